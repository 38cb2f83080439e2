"""`explore`: task vectors tried in the browser, over the public API; delete the room at will."""

"""Named pairs: the built-in tasks, and the user's own files."""

"""What a run would cost, from the configuration alone; delete the room and only `plan` is gone."""

"""The one loop that runs every experiment, and the check before it."""

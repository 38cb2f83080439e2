"""Data files: the tasks."""

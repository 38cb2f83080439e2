"""A run's folder: one schema, written whole, recovered after a kill, read leniently."""

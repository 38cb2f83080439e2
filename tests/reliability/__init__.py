"""Kills, full disks, two writers and load: what a run survives, with real processes."""

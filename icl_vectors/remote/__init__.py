"""Models that an NDIF server holds: what it hosts, whether a job can go, and the wait for it."""

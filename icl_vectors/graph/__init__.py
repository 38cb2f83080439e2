"""Traces: the paper's two passes (`passes`), and one session a file. Sent to a server by value."""

"""Threads, progress bars and pieces of work."""

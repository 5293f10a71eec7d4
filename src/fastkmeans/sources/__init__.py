"""Rows that do not lie in memory: files, batches and tables, read one block after the other."""

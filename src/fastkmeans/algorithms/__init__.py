"""Exact algorithms for the nearest centers, and the choice among them."""

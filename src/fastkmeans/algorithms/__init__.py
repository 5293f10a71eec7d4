"""Exact ways to find the nearest center, and which of them pays."""

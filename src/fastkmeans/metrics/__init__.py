"""The metrics: distances, and the best centers for them."""

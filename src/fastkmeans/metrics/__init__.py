"""Which center is best for a cluster."""

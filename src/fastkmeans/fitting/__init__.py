"""From samples to a fit: starts, iterations, search on subsamples, exchange of clusters."""

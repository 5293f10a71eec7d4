"""How good clusters are: silhouettes and other scores."""

"""How many clusters: sweeps over k, and the criteria that judge each k."""

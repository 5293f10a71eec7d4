"""Peak resident memory of a process that makes the rows, loads one library and fits.

Subtract ``peakmem_rows`` of the same workload. The difference holds the library's code as well;
``python -m benchmarks.compare`` reports the two parts.
"""

from __future__ import annotations

from . import datasets, peers

_WORKLOADS = ["tutorial", "tall", "table"]


class Rows:
    """The process without a library: what the others are measured against."""

    params = [_WORKLOADS]
    param_names = ["workload"]

    def setup(self, workload: str) -> None:
        """Make the same arrays as `Fit`."""
        self.X = datasets.WORKLOADS[workload].make()
        self.centers = datasets.initial_centers(self.X, datasets.WORKLOADS[workload].n_clusters)

    def peakmem_rows(self, workload: str) -> None:
        """Do nothing."""


class Fit:
    """Two iterations hold as much memory as twenty."""

    params = [peers.DEFAULT_PEERS, _WORKLOADS]
    param_names = ["peer", "workload"]
    timeout = 600.0

    def setup(self, peer: str, workload: str) -> None:
        """Make the rows and prepare the fit."""
        X = datasets.WORKLOADS[workload].make()
        centers = datasets.initial_centers(X, datasets.WORKLOADS[workload].n_clusters)
        self.fit = peers.prepare(peer, "fit", X, centers, 2, peers.n_threads_available())

    def peakmem_fit(self, peer: str, workload: str) -> None:
        self.fit()

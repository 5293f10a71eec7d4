"""Fits: from given centers, and as a user calls them."""

from __future__ import annotations

from . import datasets, exact, peers
from ._timing import SlowCalls

N_ITER = 20
_WORKLOADS = ["tutorial", "tall", "pixels-64", "table", "table100", "mid"]


class GivenStart(SlowCalls):
    """20 Lloyd iterations from the same random rows, without a tolerance."""

    params = [peers.DEFAULT_PEERS, _WORKLOADS]
    param_names = ["peer", "workload"]

    def setup(self, peer: str, workload: str) -> None:
        """Make the rows and prepare the fit; both stay outside the time."""
        self.X = datasets.WORKLOADS[workload].make()
        centers = datasets.initial_centers(self.X, datasets.WORKLOADS[workload].n_clusters)
        self.fit = peers.prepare(peer, "fit", self.X, centers, N_ITER, peers.n_threads_available())
        self.fit()

    def time_fit(self, peer: str, workload: str) -> None:
        self.fit()

    def track_inertia(self, peer: str, workload: str) -> float:
        return exact.inertia(self.X, self.fit().centers)

    track_inertia.unit = "squared units of X"


class DefaultFit(SlowCalls):
    """``KMeans(k, random_state=0).fit(X)`` of every estimator: its seeding, its tolerance."""

    params = [[name for name in peers.DEFAULT_PEERS if peers.PEERS[name].full_fit], _WORKLOADS]
    param_names = ["peer", "workload"]

    def setup(self, peer: str, workload: str) -> None:
        """Make the rows and prepare the fit; both stay outside the time."""
        self.X = datasets.WORKLOADS[workload].make()
        n_clusters = datasets.WORKLOADS[workload].n_clusters
        self.fit = peers.prepare(peer, "full_fit", self.X, n_clusters, 0, peers.n_threads_available())

    def time_fit(self, peer: str, workload: str) -> None:
        self.fit()

    def track_inertia(self, peer: str, workload: str) -> float:
        return exact.inertia(self.X, self.fit().centers)

    track_inertia.unit = "squared units of X"

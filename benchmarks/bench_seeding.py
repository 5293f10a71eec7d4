"""k-means++ by itself. Ours and scikit-learn's are greedy (best of several candidates); faiss's is not."""

from __future__ import annotations

from . import datasets, exact, peers
from ._timing import SlowCalls


class KMeansPlusPlus(SlowCalls):
    """Choose the initial centers of a workload."""

    params = [
        [name for name in peers.DEFAULT_PEERS if peers.PEERS[name].seed],
        ["tutorial", "tall", "pixels-256", "table100", "mid"],
    ]
    param_names = ["peer", "workload"]

    def setup(self, peer: str, workload: str) -> None:
        """Make the rows; they stay outside the time."""
        self.X = datasets.WORKLOADS[workload].make()
        n_clusters = datasets.WORKLOADS[workload].n_clusters
        self.seed = peers.prepare(peer, "seed", self.X, n_clusters, 0, peers.n_threads_available())

    def time_seed(self, peer: str, workload: str) -> None:
        self.seed()

    def track_potential(self, peer: str, workload: str) -> float:
        """The inertia before the first iteration: what good seeding makes small."""
        return exact.inertia(self.X, self.seed())

    track_potential.unit = "squared units of X"

"""Labels of samples for known centers."""

from __future__ import annotations

from . import datasets, peers


class Predict:
    """Label all rows of a workload, by random rows as centers or by a model one iteration away from them."""

    params = [peers.DEFAULT_PEERS, ["tutorial", "tall", "pixels-256", "table100", "mid"]]
    param_names = ["peer", "workload"]
    timeout = 600.0

    def setup(self, peer: str, workload: str) -> None:
        """Make the rows and the model; both stay outside the time."""
        X = datasets.WORKLOADS[workload].make()
        centers = datasets.initial_centers(X, datasets.WORKLOADS[workload].n_clusters)
        self.predict = peers.prepare(peer, "predict", X, centers, peers.n_threads_available())
        self.predict()

    def time_predict(self, peer: str, workload: str) -> None:
        self.predict()

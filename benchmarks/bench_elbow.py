"""The elbow sweep over k = 1..10 against the loop that users write around scikit-learn."""

from __future__ import annotations

import functools
from collections.abc import Callable

from . import Absent, datasets, peers
from ._timing import SlowCalls

K = range(1, 11)
_N_SAMPLES = 100_000


def _fastkmeans_sweep(X, n_threads) -> Callable[[], object]:
    from fastkmeans import elbow

    return functools.partial(elbow, X, k=K, random_state=0, n_threads=n_threads)


def _sklearn_sweep(X, n_threads) -> Callable[[], object]:
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    threadpool_limits(limits=n_threads)
    return lambda: [KMeans(n_clusters, random_state=0).fit(X).inertia_ for n_clusters in K]


SWEEPS = {"fastkmeans": _fastkmeans_sweep, "scikit-learn": _sklearn_sweep}


class Elbow(SlowCalls):
    """Ten default fits of one array, at most 100 000 rows of it."""

    params = [list(SWEEPS), ["tutorial", "pixels-64", "table"]]
    param_names = ["peer", "workload"]

    def setup(self, peer: str, workload: str) -> None:
        """Make the rows; they stay outside the time."""
        X = datasets.WORKLOADS[workload].make()[:_N_SAMPLES]
        try:
            self.sweep = SWEEPS[peer](X, peers.n_threads_available())
        except ImportError as error:
            raise Absent(f"{peer} cannot be imported: {error}") from error

    def time_sweep(self, peer: str, workload: str) -> None:
        self.sweep()

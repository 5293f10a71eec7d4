"""Greedy k-means++ over sparse rows: a reading of all rows per seed, for all of its candidates at once."""

from __future__ import annotations

import numpy as np

from .._core.csr import CsrRows
from .._core.sparse_seeding import SparseSeeding
from ..types import Floats


def choose_rows(
    rows: CsrRows, sample_weight: Floats | None, first: int, n_clusters: int, n_trials: int,
    random_state: np.random.RandomState, n_threads: int,
) -> list[int]:  # fmt: skip
    """Draw rows by squared distance to those before, keeping of a few candidates the one that lowers the potential most.

    first : the first seed.   Returns n_clusters rows, or fewer if every row that weighs something is a copy of one of them.
    """
    seeding = SparseSeeding(rows, sample_weight, n_trials, n_threads)
    min_sq_distances = seeding.min_sq_distances
    running = np.empty(len(rows))
    candidates, chosen = np.array([first]), []
    while True:
        best = int(np.argmax(seeding.gains(candidates)))
        seeding.take(best)
        chosen.append(int(candidates[best]))
        if len(chosen) == n_clusters:
            break
        if sample_weight is not None:
            np.multiply(min_sq_distances, sample_weight, out=running)
        np.cumsum(min_sq_distances if sample_weight is None else running, out=running)
        if not running[-1] > 0.0:
            break
        places = random_state.random_sample(n_trials) * running[-1]
        candidates = np.minimum(running.searchsorted(places, side="right"), len(rows) - 1)
    return chosen

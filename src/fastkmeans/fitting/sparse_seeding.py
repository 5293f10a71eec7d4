"""Greedy k-means++ over sparse rows: a reading of all rows per seed, for all of its candidates at once."""

from __future__ import annotations

import numpy as np

from .._core import sparse
from .._core.csr import CsrRows
from ..types import Floats

MOST_TRIALS = 8
"""Candidates of one reading: a stored value meets eight float64 in one or two vectors."""


def choose_rows(
    rows: CsrRows, sample_weight: Floats | None, first: int, n_clusters: int, n_trials: int,
    random_state: np.random.RandomState, n_threads: int,
) -> list[int]:  # fmt: skip
    """Draw rows by squared distance to those before, keeping of a few candidates the one that lowers the potential most.

    first : the first seed.   Returns n_clusters rows, or fewer if every row that weighs something is a copy of one of them.
    """
    n_trials = min(n_trials, MOST_TRIALS)
    sq_distances = np.empty((len(rows), MOST_TRIALS))
    min_sq_distances = np.full(len(rows), np.inf)
    chosen = [first]
    _, min_sq_distances = _lower(rows, [first], min_sq_distances, None, sq_distances, n_threads)
    while len(chosen) < n_clusters:
        running = np.cumsum(min_sq_distances if sample_weight is None else min_sq_distances * sample_weight)
        if not running[-1] > 0.0:
            break
        places = random_state.random_sample(n_trials) * running[-1]
        candidates = np.minimum(running.searchsorted(places, side="right"), len(rows) - 1)
        best, min_sq_distances = _lower(
            rows, candidates.tolist(), min_sq_distances, sample_weight, sq_distances, n_threads
        )
        chosen.append(best)
    return chosen


def _lower(
    rows: CsrRows, candidates: list[int], min_sq_distances: Floats, sample_weight: Floats | None, sq_distances: Floats,
    n_threads: int,
) -> tuple[int, Floats]:  # fmt: skip
    """Return the best of the candidates, the first of equals, and the squared distances to the nearest seed with it."""
    columns, norms = np.zeros((rows.shape[1], MOST_TRIALS)), np.zeros(MOST_TRIALS)
    for place, row in enumerate(candidates):
        here = slice(rows.starts[row], rows.starts[row + 1])
        values = rows.values[here].astype(np.float64)
        columns[rows.features[here], place] = values
        # Added up as the distance of the row to itself is, which is 0 then.
        norms[place] = np.add.accumulate(values * values)[-1] if len(values) else 0.0
    sums = sparse.seeding_pass(rows, columns, norms, min_sq_distances, sample_weight, sq_distances, n_threads)
    best = int(np.argmin(sums[: len(candidates)]))
    return candidates[best], sq_distances[:, best].copy()

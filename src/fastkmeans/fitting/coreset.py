"""A coreset: few weighted rows whose inertia is close to that of all samples for any centers.

Rows are drawn in proportion to masses. Masses are whole numbers, so their sums are exact, and any division of the samples
into parts draws the same rows.
"""

from __future__ import annotations

from math import frexp, ldexp
from typing import Any

import numpy as np

from ..drawing import Drawn, in_runs, whole_masses
from ..runtime.threads import effective_n_threads
from ..samples import Samples
from ..types import Floats, Indices, Values

SUM_BITS = 62
"""Sums of whole numbers are scaled to at most 2^62. What is rounded up still fits below 2^63."""

MASS_BITS = 60
"""A mass of 1 is the whole number 2^60. All masses together are at most 3."""


def importance(samples: Samples, weights: Floats | None, centers: Values, n_threads: int | None) -> Drawn:
    """Return the masses with which rows are drawn into the coreset.

    weights : (n_samples,), the largest 1, or None.

    A third of the mass goes by weight, a third by squared distance to the nearest of the given centers, and a third in
    equal shares to the clusters. So neither far samples nor small clusters are missed (O. Bachem, M. Lucic and A. Krause,
    "Practical coreset constructions for machine learning", 2017, algorithm 2).
    """
    n_samples, n_features = samples.values.shape
    n_threads = effective_n_threads(n_threads, float(n_samples) * n_features * len(centers))
    weighing = samples.weighing(weights, centers.astype(np.float64), n_threads)
    unit = ldexp(1.0, min(-frexp(weighing.largest())[1], 1000))
    per_sum = _per_sum(n_samples)
    per_weight = 1.0 if weights is None else per_sum
    whole_sizes, total = weighing.weigh(unit, per_weight, per_sum)
    sizes = whole_sizes / per_weight
    of_cluster = 1.0 / sizes.sum() + 1.0 / (np.count_nonzero(sizes) * np.where(sizes > 0, sizes, 1.0))
    of_distance = per_sum / total if total else 0.0
    return weighing.masses(of_cluster, unit, of_distance, 2.0**MASS_BITS)


def masses_of(shares: Any) -> Any:
    """Return masses in proportion to shares.   shares : (n_samples,), not negative, not all 0."""
    per_largest = _per_sum(len(shares))
    if not isinstance(shares, np.ndarray):
        return shares.masses(per_largest)  # weights that lie elsewhere
    return in_runs(whole_masses(shares, float(shares.max()), per_largest))


def _per_sum(n_terms: int) -> float:
    """Return the whole number that stands for 1, so that sums of n_terms terms of at most 1 are exact."""
    return 2.0 ** (SUM_BITS - n_terms.bit_length())


def draw(
    n_samples: int, by: Drawn | None, count: int, random_state: np.random.RandomState, n_threads: int = 1
) -> Indices:
    """Draw `count` rows, ascending, repeats allowed, in proportion to their masses (None: all equal).

    One row is drawn from each of `count` stretches of equal mass. Sums over these rows vary less than over independent draws.
    """
    places = (np.arange(count) + random_state.random_sample(count)) / count
    if by is None:
        return np.minimum((places * n_samples).astype(np.intp), n_samples - 1)
    total = by.total
    return by.rows_at(np.minimum((places * total).astype(np.int64), total - 1), n_threads)


def weights_of(by: Drawn, rows: Indices, weights: Floats | None) -> Floats:
    """Return the weights with which a sum over the drawn rows is, on average, the sum over all rows."""
    own = 1.0 if weights is None else weights[rows]
    drawn: Floats = own * (by.total / len(rows)) / by.masses_of(rows)
    return drawn

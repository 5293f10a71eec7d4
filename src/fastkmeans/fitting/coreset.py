"""A few weighted rows that stand for all: their inertia is close to that of all samples for any centers."""

from __future__ import annotations

import numpy as np

from .._core import distances, samples
from ..runtime.parts import parts_of
from ..runtime.threads import effective_n_threads
from ..types import Floats, Indices, Values


def importance(values: Values, weights: Floats | None, centers: Values, n_threads: int | None) -> Floats:
    """Return the probability, not scaled, with which each row is drawn into the coreset.

    weights : (n_samples,), the largest 1, or None.

    A third each by weight, by squared distance to the nearest of the given centers, and evenly by cluster: so neither
    far samples nor small clusters are missed (O. Bachem, M. Lucic and A. Krause, "Practical coreset constructions for
    machine learning", 2017, algorithm 2).
    """
    n_threads = effective_n_threads(n_threads, float(values.size) * len(centers))
    wide = centers.astype(np.float64)
    labels, sq_distances = np.empty(len(values), dtype=np.int32), np.empty(len(values))
    distances.nearest(values, wide, labels, n_threads)
    distances.own_sq_distances(values, wide, labels, sq_distances, n_threads)
    sizes = np.zeros(len(centers))
    for part in parts_of(len(values)):
        weight = None if weights is None else weights[part]
        sizes += np.bincount(labels[part], weights=weight, minlength=len(centers))
        if weight is not None:
            sq_distances[part] *= weight
    of_cluster = 1.0 / sizes.sum() + 1.0 / (np.count_nonzero(sizes) * np.where(sizes > 0, sizes, 1.0))
    total = sq_distances.sum()
    for part in parts_of(len(values)):
        mass = of_cluster[labels[part]]
        if weights is not None:
            mass *= weights[part]
        if total > 0:
            mass += sq_distances[part] / total
        sq_distances[part] = mass
    return sq_distances


def draw(n_samples: int, mass: Floats | None, count: int, random_state: np.random.RandomState) -> Indices:
    """Draw `count` rows, ascending, repeats allowed, each with probability by its mass (None: all alike).

    One from each of `count` stretches of equal mass, which scatters sums over them less than independent draws do.
    """
    places = (np.arange(count) + random_state.random_sample(count)) / count
    if mass is None:
        return np.minimum((places * n_samples).astype(np.intp), n_samples - 1)
    rows = np.empty(count, dtype=np.intp)
    places *= mass.sum()
    samples.rows_at(mass, places, rows)
    return rows


def weights_of(mass: Floats, rows: Indices, weights: Floats | None) -> Floats:
    """Weights that make the sum over the drawn rows equal, on average, to the sum over all."""
    own = 1.0 if weights is None else weights[rows]
    drawn: Floats = own * (mass.sum() / len(rows)) / mass[rows]
    return drawn


def take(values: Values, rows: Indices, origin: Floats | None, n_threads: int | None) -> Values:
    """Return some rows, with an origin as float32 values about it."""
    dtype = values.dtype if origin is None else np.float32
    taken: Values = np.empty((len(rows), values.shape[1]), dtype=dtype)
    n_threads = effective_n_threads(n_threads, float(taken.size))
    samples.take(values, rows, np.zeros(values.shape[1]) if origin is None else origin, taken, n_threads)
    return taken

"""Empty clusters: each takes a sample where that saves most.

Again and again the cluster is split whose split saves most, and gives a sample away (kmeans_core/spread.pyx). The samples farthest
of all may be copies or neighbours of one another, so taking just these saves little. From given centers with duplicates (36 sets of
counts, integers, one-hot columns and blobs) the inertia after all iterations was half of scikit-learn's on the geometric mean, and
above it on 3 sets; it was above it on 11 while the farthest sample of the cluster of the largest inertia was taken.
"""

from __future__ import annotations

import numpy as np

from .._core.spread import spread
from ..engines.contract import Engine, Served
from ..types import Floats, Indices

SEEN_ROWS, SEEN_VALUES = 8192, 1 << 21
"""Samples among which the taken ones are chosen, evenly spread over all, and how many values they may have together. Fewer are not enough
where few samples make most of the inertia: with 512 of the 234 908 places of geo-1000 for one empty cluster, the inertia after
20 iterations was 46 % higher. Only if clusters stay empty with all of these on their centers, the farthest of all samples are looked for."""


def refill(engine: Engine, centers: Floats, moved: Floats) -> int:
    """Move the centers of empty clusters onto samples; return how many.

    The lowest empty cluster takes the sample that is chosen first. Samples without weight, samples that equal their center up to
    rounding, and the last sample of a cluster are not taken. The old cluster's center moves as if the sample had left, but the
    label of the sample stays until the next step. moved and the engine's sq_shifts are updated in place.
    """
    empty = np.flatnonzero(engine.weights <= 0.0)
    served, chosen = _choose(engine, moved, len(empty))
    if not len(chosen):
        return 0
    takers = empty[: len(chosen)]
    moved[takers] = served.values[chosen]
    lost: dict[int, list[int]] = {}
    for row, label in zip(served.rows[chosen].tolist(), served.labels[chosen].tolist()):
        lost.setdefault(label, []).append(row)
    donors = list(lost)
    moved[donors] = engine.centers_without(lost, centers)
    changed = [*takers, *donors]
    engine.sq_shifts[changed] = ((moved[changed] - centers[changed]) ** 2).sum(axis=1)
    return len(chosen)


def _choose(engine: Engine, moved: Floats, n_wanted: int) -> tuple[Served, Indices]:
    """Choose at most n_wanted samples; return the samples that were seen, and the places of the chosen ones among them."""
    n_samples, n_features = len(engine.labels), moved.shape[1]
    n_seen = max(min(SEEN_ROWS, SEEN_VALUES // n_features), 2 * n_wanted)
    served = engine.serve(np.arange(0, n_samples, -(-n_samples // n_seen)), moved)
    chosen = _spread(engine, served, n_wanted)
    n_seen = len(served.rows)
    while not len(chosen) and n_seen < n_samples:
        n_seen = min(8 * n_seen, n_samples)
        farthest = engine.farthest(moved, n_seen)
        if not len(farthest):
            break
        served = engine.serve(farthest, moved)
        chosen = _spread(engine, served, n_wanted)
        if len(farthest) < n_seen or not served.distances[-1] > 0.0:
            break
    return served, chosen


def _spread(engine: Engine, served: Served, n_wanted: int) -> Indices:
    """Choose from the samples that were seen; see _core/spread.pyi."""
    if not served.distances.any():
        return np.empty(0, dtype=np.intp)
    chosen = np.empty(n_wanted, dtype=np.intp)
    values = np.ascontiguousarray(served.values, dtype=np.float64)
    n_chosen = spread(
        values, served.weights, served.labels, served.distances, engine.count_rows(), chosen, engine.kind
    )  # fmt: skip
    return chosen[:n_chosen]

"""Empty clusters: each takes the sample that is farthest from its center."""

from __future__ import annotations

import numpy as np

from ..engines.contract import Engine
from ..types import Floats


def refill(engine: Engine, centers: Floats, moved: Floats) -> int:
    """Move the centers of empty clusters onto the samples farthest from their own centers; return how many.

    The lowest empty cluster takes the farthest sample; among equals, the lowest number. Samples without weight, samples
    that equal their center up to rounding, and the last sample of a cluster are not taken. The old cluster's center moves
    as if the sample had left, but the label of the sample stays until the next step. moved and the engine's sq_shifts
    are updated in place.
    """
    empty = np.flatnonzero(engine.weights <= 0.0)
    taken = _farthest(engine, centers, len(empty))
    if not taken:
        return 0
    takers = empty[: len(taken)]
    moved[takers] = engine.take(list(taken))
    lost: dict[int, list[int]] = {}
    for row, label in taken.items():
        lost.setdefault(label, []).append(row)
    donors = list(lost)
    moved[donors] = engine.centers_without(lost, centers)
    changed = [*takers, *donors]
    engine.sq_shifts[changed] = ((moved[changed] - centers[changed]) ** 2).sum(axis=1)
    return len(taken)


def _farthest(engine: Engine, centers: Floats, n_wanted: int) -> dict[int, int]:
    """Choose at most n_wanted samples, farthest first; return number -> label."""
    rows_left = engine.count_rows()
    n_samples = len(engine.labels)
    taken: dict[int, int] = {}
    for count in (4 * n_wanted, n_samples):  # all samples, if too few of the farthest can be taken
        served = engine.farthest(centers, min(count, n_samples))
        for row, distance, label in zip(*(values.tolist() for values in served)):
            if len(taken) == n_wanted or distance <= 0.0:
                return taken
            if row in taken or rows_left[label] <= 1:
                continue
            if distance > engine.rounding or not engine.sits_on(row, centers[label]):
                rows_left[label] -= 1
                taken[row] = label
        if count >= n_samples or len(served.rows) < count:
            break
    return taken

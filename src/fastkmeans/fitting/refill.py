"""Empty clusters: each takes the sample that is worst served where it is."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..runtime.parts import parts_of


def refill(engine: Any, centers: np.ndarray, moved: np.ndarray) -> int:
    """Move the centers of empty clusters onto the samples farthest from their own centers; return how many.

    Lowest empty cluster first, farthest sample first, lowest index of equals. Passed over are samples without
    weight, samples that sit on their center up to rounding, and the last sample of a cluster. The sample leaves its old
    cluster's center, but its label stays until the next step. moved and the engine's sq_shifts are
    updated in place.
    """
    labels, sample_weight = engine.labels, engine.sample_weight
    rows_left = _rows_of(labels, sample_weight, engine.least_weight, len(centers))
    empty = np.flatnonzero(engine.weights <= 0.0)
    taken: dict[int, list[int]] = {}
    chosen = _farthest(engine, centers, engine.own_distances(centers), len(empty), rows_left)
    for i, taker in zip(chosen, empty):
        taken.setdefault(int(labels[i]), []).append(i)
        moved[taker] = engine.X[i]
        engine.sq_shifts[taker] = ((moved[taker] - centers[taker]) ** 2).sum()
    donors = list(taken)
    if not donors:
        return 0
    moved[donors] = engine.centers_without(taken, centers)
    engine.sq_shifts[donors] = ((moved[donors] - centers[donors]) ** 2).sum(axis=1)
    return len(chosen)


def _farthest(engine: Any, centers: np.ndarray, distances, n_wanted: int, rows_left: np.ndarray) -> list[int]:
    """Choose up to n_wanted samples, farthest first; rows_left counts down the weighing samples of each cluster."""
    labels, rounding = engine.labels, engine.rounding
    if engine.sample_weight is not None:
        distances[engine.sample_weight < engine.least_weight] = 0.0
    chosen: list[int] = []
    n_sorted = min(len(distances), 4 * n_wanted)
    order = _largest(distances, n_sorted)
    while True:
        for i in order:
            if len(chosen) == n_wanted or distances[i] <= 0:
                return chosen
            if distances[i] <= rounding and engine.sits_on(i, centers[labels[i]]):
                distances[i] = 0.0
            elif rows_left[labels[i]] > 1:
                rows_left[labels[i]] -= 1
                chosen.append(int(i))
                distances[i] = 0.0
        if n_sorted == len(distances):
            return chosen
        # Every sample of the first sorting was the last of its cluster, or taken: look at all that are left.
        for i in order:
            if rows_left[labels[i]] <= 1:
                distances[i] = 0.0
        n_sorted = len(distances)
        order = _largest(distances, n_sorted)


def _largest(values: np.ndarray, count: int) -> np.ndarray:
    """Indices of the `count` largest values, largest first, lowest index of equals."""
    kept = np.empty(0, dtype=np.intp)
    for part in parts_of(len(values)):
        block = values[part]
        least = values[kept[-1]] if len(kept) == count else -1.0
        new = np.flatnonzero(block > least)
        if len(new) > 4 * count:  # selecting is cheaper than sorting; equals of the last one stay
            new = np.flatnonzero(block >= np.partition(block, len(block) - count)[len(block) - count])
        if len(new):
            kept = np.concatenate([kept, new + part.start])
            kept = kept[np.argsort(-values[kept], kind="stable")[:count]]
    return kept


def _rows_of(labels, sample_weight, least_weight, n_clusters: int) -> np.ndarray:
    """Number of rows of each cluster, those that weigh next to nothing left out."""
    counts = np.zeros(n_clusters, dtype=np.intp)
    for part in parts_of(len(labels)):
        weighing = labels[part] if sample_weight is None else labels[part][sample_weight[part] >= least_weight]
        counts += np.bincount(weighing, minlength=n_clusters)
    return counts

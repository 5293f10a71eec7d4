"""What an engine is: it says where the samples are, and runs the steps of a fit over them.

The iterations, refills and exchanges know samples by their number among all, and read no more of them than `take` gives. Searches on
subsamples read `Samples.arrays()` once, and the rows that they draw. k-means++ reads `Samples.whole()`: samples in one array.

An engine is made as Engine(samples, n_clusters, algorithm, n_threads), where n_threads may be None. `samples` is Samples, or a
subclass that engines/table.py names. Outside its engine, values.shape, values.dtype, sample_weight and description of a subclass are
read, and its methods are called. `scatter` is the engine's to fill, for later runs over the same samples.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np

from ..runtime.parts import parts_of
from ..samples import Samples
from ..types import Floats, Indices, Labels, Values


class Served(NamedTuple):
    """Samples that their centers serve worst, the worst first, and the lowest number of equals.

    rows : their numbers.   distances : to the centers of their labels, squared if Euclidean.   labels : theirs.
    """

    rows: Indices
    distances: Floats
    labels: Labels


class Engine(Protocol):
    """Samples, somewhere, and the state of one run over them.

    rounding : distance, squared if Euclidean, that no sample exceeds which sits on a center.   largest_weight : of a sample.
    stepped_by : the algorithm of the last step.
    labels : (n_samples,), those of the last step; overwritten by the next. A run keeps them without a copy.
    weights, sq_shifts : (n_clusters,), the weight of each cluster at the last move, and how far its center went, squared. The latter
    is the engine's own memory, not a copy: refilling writes into it.
    exchange, sums : of engines whose centers are means.
    """

    @property
    def rounding(self) -> float: ...
    @property
    def largest_weight(self) -> float: ...
    @property
    def stepped_by(self) -> str: ...
    @property
    def labels(self) -> Labels: ...
    @property
    def weights(self) -> Floats: ...
    @property
    def sq_shifts(self) -> Floats: ...

    def step(self, centers: Floats) -> int:
        """Label every sample with its nearest center; return the number of labels that changed.

        centers : (n_clusters, n_features), the values of the stored centers.
        """

    def move(self, centers: Floats) -> tuple[Floats, float, float, int]:
        """Return the best centers of the labels, the sum of their squared shifts, the inertia of the labels and the centers
        before, and the number of empty clusters."""

    def forget_history(self) -> None:
        """Nobody will be told the inertia of each iteration: it may have few digits."""

    def defer_history(self) -> None:
        """The inertia of an iteration is asked for at the end alone: until then `move` may return NaN for it."""

    def settle_history(self, history: list[dict[str, Any]], centers: Floats, inertia: float) -> None:
        """Write the inertias that were NaN into the entries.   centers, inertia : those of the last step."""

    def farthest(self, centers: Floats, count: int) -> Served:
        """Return at most `count` samples that weigh something, those farthest from the centers of their labels."""

    def count_rows(self) -> Indices:
        """(n_clusters,): number of samples of each cluster that weigh something."""

    def take(self, rows: list[int]) -> Values:
        """(len(rows), n_features): some samples."""

    def sits_on(self, row: int, center: Floats) -> bool:
        """Is the center that of copies of a sample, up to rounding?"""

    def centers_without(self, taken: dict[int, list[int]], centers: Floats) -> Floats:
        """Return where the centers of clusters move that lose samples.

        taken : numbers of samples by cluster; at least one that has weight is left.   centers : all, as for move.
        """

    def exchange(self, moved: Floats, n_trial: int, n_iterations: int, n_rows: int, surplus: float) -> int:
        """Merge pairs of clusters and split others where that saves more than `surplus` times its cost; return how many.

        moved : (n_clusters, n_features), the means of the labels; changed in place.   n_trial : clusters split on trial.
        n_iterations, n_rows : of the two means of a cluster, and of the samples they are found on, at most.
        Nobody asks an engine whose centers are no means.
        """

    def inertia(self, centers: Floats) -> float:
        """Sum of weight * distance to the center of its label, squared if Euclidean, term by term."""

    def n_distinct(self) -> int:
        """Number of clusters that have samples."""

    def sums(self) -> Floats:
        """(n_clusters, 2, n_features + 1): sums of weight * x over each cluster and its weight, each as two numbers.

        Nobody asks an engine whose centers are no means.
        """


def farthest_of(engine: Any, samples: Samples, centers: Floats, count: int) -> Served:
    """Engine.farthest of an engine with sample_weight, labels and kind in this process's memory."""
    labels = engine.labels
    own = samples.own_sq_distances(centers, labels, engine.n_threads, engine.kind)
    if engine.sample_weight is not None:
        own[engine.sample_weight <= 0.0] = 0.0
    chosen = largest(own, count)
    return Served(chosen, own[chosen], labels[chosen])


def count_rows_of(labels: Labels, sample_weight: Floats | None, n_clusters: int) -> Indices:
    """Engine.count_rows of labels and weights in this process's memory."""
    counts = np.zeros(n_clusters, dtype=np.intp)
    for part in parts_of(len(labels)):
        weighing = labels[part] if sample_weight is None else labels[part][sample_weight[part] > 0.0]
        counts += np.bincount(weighing, minlength=n_clusters)
    return counts


def largest(values: Floats, count: int) -> Indices:
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

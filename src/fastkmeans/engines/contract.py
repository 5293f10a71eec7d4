"""The contract of engines: an engine holds the samples in some way, and runs the steps of a fit over them.

Iterations, refills and exchanges know samples by their number among all samples, and read them only through `take`. A search on
subsamples reads `Samples.arrays()` twice to draw rows by their importance, and once more for each `Samples.take` of drawn rows.
Other methods of Samples read them again, some several times per call. So every call of `arrays()` must give the same arrays, and arrays
that are costly to make are better kept. k-means++ reads `Samples.whole()`: one array.

An engine is made as Engine(samples, n_clusters, algorithm, n_threads), where n_threads may be None. `samples` is Samples, or a
subclass that engines/table.py names. Outside its engine, a subclass needs values.shape, values.dtype and len(values), which a Shape
has (samples.py), sample_weight, description and its methods. The engine sets `scatter`, for later runs over the same samples.
An engine that subclasses LocalEngine makes states by `_state_over(values, ...)`, which also makes the compact copies.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np

from .._core.distances import own_sq_distances
from ..runtime.parts import parts_of
from ..samples import Samples
from ..types import Floats, Indices, Labels, Values


class Served(NamedTuple):
    """Some samples, and how well the centers of their labels serve them.

    rows : numbers of the samples.   distances : to the centers of their labels, squared if Euclidean; 0 for samples that equal
    their center up to the rounding of a mean of equal values.   labels, weights, values : of the samples; weights are 1 if
    there are none.
    """

    rows: Indices
    distances: Floats
    labels: Labels
    weights: Floats
    values: Values


class Engine(Protocol):
    """Samples, wherever they are, and the state of one run over them.

    kind : of distance, as in kmeans_core/distances.pyx.
    largest_weight : of all samples.   stepped_by : the algorithm of the last step.
    labels : (n_samples,) of the last step. The next step overwrites them. The result of a run holds this array, not a copy.
    weights, sq_shifts : (n_clusters,) of the last move: weight of each cluster, squared shift of its center. sq_shifts is the
    engine's own memory, not a copy, because refilling writes into it.
    exchange, sums : only called if the centers are means.
    """

    @property
    def kind(self) -> int: ...
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
        """Return the best centers of the labels, the sum of their squared shifts, the inertia of the labels with the given
        centers, and the number of empty clusters."""

    def forget_history(self) -> None:
        """Declare that nobody reads the inertia of each iteration: it may have few digits."""

    def defer_history(self) -> None:
        """Declare that the inertia of each iteration is read only at the end: until then `move` may return NaN for it."""

    def settle_history(self, history: list[dict[str, Any]], centers: Floats, inertia: float) -> None:
        """Replace the inertias in the history that are NaN.   centers, inertia : those of the last step."""

    def serve(self, rows: Indices, centers: Floats) -> Served:
        """Return how well these centers serve the samples with these numbers, whose labels stay those of the last step."""

    def farthest(self, centers: Floats, count: int) -> Indices:
        """Return the numbers of at most `count` samples, those farthest from the centers of their labels: farthest first, lowest
        number first among equals. Samples at distance 0, and those without weight, are left out."""

    def count_rows(self) -> Indices:
        """Return the number of samples with weight in each cluster, (n_clusters,)."""

    def take(self, rows: list[int] | Indices) -> Values:
        """Return the samples with these numbers, (len(rows), n_features)."""

    def centers_without(self, taken: dict[int, list[int]], centers: Floats) -> Floats:
        """Return the best centers of clusters that lose samples, (len(taken), n_features).

        taken : cluster -> numbers of the samples it loses; a sample with weight is left.   centers : of all clusters.
        """

    def exchange(
        self, moved: Floats, n_trial: int, n_iterations: int, n_rows: int, surplus: float
    ) -> tuple[int, float]:
        """Merge pairs of clusters and split as many others, if the splits save more than `surplus` times what the merges cost.

        Returns the number of pairs that were merged, and by what share of itself this lowers the inertia, before labels change.
        moved : (n_clusters, n_features), the means of the labels; changed in place.   n_trial : clusters split on trial.
        n_iterations, n_rows : a split finds two means by so many iterations over at most so many samples of the cluster.
        """

    def inertia(self, centers: Floats) -> float:
        """Return the sum of weight * distance to the center of the label, squared if Euclidean, added up term by term."""

    def n_distinct(self) -> int:
        """Return the number of clusters that have samples."""

    def sums(self) -> Floats:
        """Return (n_clusters, 2, n_features + 1): sums of weight * x over each cluster, and its weight, each as two numbers."""


def serve_by(engine: Any, rows: Indices, centers: Floats, rounding: float) -> Served:
    """Engine.serve of an engine with sample_weight, labels and kind in this process's memory.

    rounding : largest relative error of a center that is the mean of equal values.
    """
    values, labels = engine.take(rows), engine.labels[rows]
    distances = np.empty(len(rows))
    own_sq_distances(values, centers, labels, distances, engine.n_threads, engine.kind)
    distances[_equal_rows(values, centers, labels, distances, rounding)] = 0.0
    weights = np.ones(len(rows)) if engine.sample_weight is None else engine.sample_weight[rows]
    return Served(rows, distances, labels, weights, values)


def _equal_rows(values: Values, centers: Floats, labels: Labels, distances: Floats, rounding: float) -> Indices:
    """Return the numbers of the rows that equal the center of their label up to rounding.

    Few rows are looked at. Feature by feature NumPy does so ten times as fast as row by row where features are few.
    """
    n_features, largest = values.shape[1], rounding * float(np.abs(values).max())
    near = np.flatnonzero(distances <= n_features * largest**2)
    own, of_centers = values[near].T.astype(np.float64, order="C"), np.ascontiguousarray(centers[labels[near]].T)
    reach = rounding * np.abs(own)
    is_equal = (np.abs(own - of_centers) <= reach).all(axis=0)
    found: Indices = near[is_equal & (distances[near] <= n_features * reach.max(axis=0, initial=0.0) ** 2)]
    return found


def farthest_of(engine: Any, samples: Samples, centers: Floats, count: int) -> Indices:
    """Engine.farthest of an engine with sample_weight, labels and kind in this process's memory."""
    own = samples.own_sq_distances(centers, engine.labels, engine.n_threads, engine.kind)
    if engine.sample_weight is not None:
        own[engine.sample_weight <= 0.0] = 0.0
    rows = largest(own, count)
    return rows[own[rows] > 0.0]


def count_rows_of(labels: Labels, sample_weight: Floats | None, n_clusters: int) -> Indices:
    """Engine.count_rows of labels and weights in this process's memory."""
    counts = np.zeros(n_clusters, dtype=np.intp)
    for part in parts_of(len(labels)):
        weighing = labels[part] if sample_weight is None else labels[part][sample_weight[part] > 0.0]
        counts += np.bincount(weighing, minlength=n_clusters)
    return counts


def largest(values: Floats, count: int) -> Indices:
    """Return the indices of the `count` largest values: largest first, lowest index first among equals."""
    kept = np.empty(0, dtype=np.intp)
    for part in parts_of(len(values)):
        block = values[part]
        least = values[kept[-1]] if len(kept) == count else -1.0
        new = np.flatnonzero(block > least)
        if len(new) > 4 * count:  # selecting is cheaper than sorting; values equal to the last one stay
            new = np.flatnonzero(block >= np.partition(block, len(block) - count)[len(block) - count])
        if len(new):
            kept = np.concatenate([kept, new + part.start])
            kept = kept[np.argsort(-values[kept], kind="stable")[:count]]
    return kept

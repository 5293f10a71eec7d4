"""The engine for Manhattan distances and samples in this process's memory. A center is the median of each feature."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._core import distances
from .._core.medians import MediansState
from ..runtime.threads import assignment_work, effective_n_threads
from ..samples import Samples, count_distinct, inertia_of, weight_unit
from ..types import Floats, Indices, Labels, Mask, Values
from .contract import Served, count_rows_of, farthest_of, serve_by
from .rounding import VANISHING, light_of


def lower_median(X: Values, chosen: Mask, weights: Floats | None) -> Values:
    """Return the lower median of each column: the smallest value that at least half the weight does not exceed.

    X : (n_samples, n_features).   chosen : (n_samples,) bool, True for the samples to use, at least one.
    weights : (n_chosen,), not all 0; None for ones.
    """
    medians: Values = np.empty(X.shape[1], dtype=X.dtype)
    for f in range(X.shape[1]):
        column = X[chosen, f]
        medians[f] = _middle_of(column) if weights is None else _weighted_middle_of(column, weights)
    return medians


def _middle_of(values: Values) -> Any:
    middle = (len(values) - 1) // 2
    return np.partition(values, middle)[middle]


def _weighted_middle_of(values: Values, weights: Floats) -> Any:
    """Find the lower median by quickselect. Sorting 3 million values takes a second, during which Ctrl-C is not heard."""
    half, below = 0.5 * float(weights.sum()), 0.0
    while True:
        middle = _middle_of(values)
        less = values < middle
        below_middle = below + float(weights[less].sum())
        if below_middle >= half and below_middle > below:
            values, weights = values[less], weights[less]
            continue
        up_to_middle = below_middle + float(weights[values == middle].sum())
        more = values > middle
        if up_to_middle >= half or not more.any():
            return middle
        values, weights, below = values[more], weights[more], up_to_middle


class MediansEngine:
    """Samples in this process's memory, and the state of one run of k-medians over them; see LocalEngine."""

    kind = distances.MANHATTAN

    def __init__(self, samples: Samples, n_clusters: int, algorithm: str, n_threads: int | None) -> None:
        self._samples = samples
        self.X = X = samples.values
        n_samples, n_features = X.shape
        self.n_threads = effective_n_threads(n_threads, assignment_work(n_samples, n_features, n_clusters))
        self._weight_unit, max_weight, self.sample_weight = weight_unit(samples.sample_weight)
        self.largest_weight = self._weight_unit * max_weight
        self._state = MediansState(
            X, self.sample_weight, samples.description.max_abs, max_weight, n_clusters, self.n_threads
        )
        self._light = light_of(self.sample_weight, max_weight)
        self._told = True

    @property
    def labels(self) -> Labels:
        """(n_samples,) int32: the labels of the last step; overwritten by the next."""
        return self._state.labels

    @property
    def stepped_by(self) -> str:
        """The algorithm of the last step, always Lloyd's."""
        return self._state.stepped_by

    def step(self, centers: Floats) -> int:
        """Label every sample with its nearest center; return the number of labels that changed."""
        return self._state.step(centers)

    def move(self, centers: Floats) -> tuple[Floats, float, float, int]:
        """Return medians, the sum of their squared shifts, the inertia of the last step, and the number of empty clusters.
        Per-cluster values: weights, sq_shifts."""
        moved, self.weights = np.empty_like(centers), np.empty(len(centers))
        inertia = self._weight_unit * self._state.cost
        if self._told and (self._light > 0.0 or not inertia > VANISHING):
            inertia = self.inertia(centers)
        self._state.move(moved, self.weights)
        if self._light > 0.0 and self.weights.min() < self._light:
            self._move_light(moved, self.weights)
        self.sq_shifts = ((moved - centers) ** 2).sum(axis=1)
        return moved, float(self.sq_shifts.sum()), inertia, int(np.count_nonzero(self.weights <= 0.0))

    def forget_history(self) -> None:
        """Declare that nobody reads the inertia of each iteration: it may have few digits."""
        self._told = False

    def defer_history(self) -> None:
        """Do nothing: `move` computes every inertia."""

    def settle_history(self, history: list[dict[str, Any]], centers: Floats, inertia: float) -> None:
        """Do nothing: no inertia is NaN."""

    def _move_light(self, moved: Floats, weights: Floats) -> None:
        """Compute median and weight of very light clusters again, from their own samples."""
        assert self.sample_weight is not None  # else no cluster is light
        weighing = self.sample_weight > 0
        for j in np.flatnonzero(weights < self._light):
            own = (self.labels == j) & weighing
            if own.any():
                moved[j] = lower_median(self.X, own, self.sample_weight[own])
                weights[j] = self.sample_weight[own].sum()

    def centers_without(self, taken: dict[int, list[int]], centers: Floats) -> Floats:
        """Return the medians of clusters that lose samples; see the contract."""
        return np.stack([self._median_without(j, rows) for j, rows in taken.items()])

    def _median_without(self, j: int, rows: list[int]) -> Values:
        own = self.labels == j
        own[rows] = False
        return lower_median(self.X, own, None if self.sample_weight is None else self.sample_weight[own])

    def serve(self, rows: Indices, centers: Floats) -> Served:
        """Return how well the centers serve the samples with these numbers; see the contract."""
        return serve_by(self, rows, centers, 0.0)  # a median is the value of a sample

    def farthest(self, centers: Floats, count: int) -> Indices:
        """Return the numbers of the `count` samples farthest from the centers of their labels; see the contract."""
        return farthest_of(self, self._samples, centers, count)

    def count_rows(self) -> Indices:
        """Return the number of samples with weight in each cluster, (n_clusters,)."""
        return count_rows_of(self.labels, self.sample_weight, len(self.weights))

    def take(self, rows: list[int] | Indices) -> Values:
        """Return the samples with these numbers, (len(rows), n_features)."""
        return self.X[rows]

    def n_distinct(self) -> int:
        """Return the number of clusters that have samples."""
        return count_distinct(self.labels, len(self.weights))

    def inertia(self, centers: Floats) -> float:
        """Return the sum of weight * distance to the center of the label, term by term."""
        return self._weight_unit * inertia_of(
            self.X, centers, self.labels, self.sample_weight, self.n_threads, self.kind
        )

"""The threads of this machine, for Manhattan distances: centers are medians of each feature."""

from __future__ import annotations

import numpy as np

from .._core import distances
from .._core.medians import MediansState
from ..runtime.threads import assignment_work, effective_n_threads
from ..samples import Samples, count_distinct, inertia_of, weight_unit
from .rounding import VANISHING, light_of


def lower_median(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Per column the smallest value up to which at least half the weight lies.

    values : (n, n_features).   weights : (n,), not all 0.
    """
    order = values.argsort(axis=0, kind="stable")
    running = weights[order].cumsum(axis=0)
    place = (running >= 0.5 * running[-1]).argmax(axis=0)
    return values[order[place, np.arange(values.shape[1])], np.arange(values.shape[1])]


class MediansEngine:
    """Samples in this process's memory, and the state of one run of k-medians over them; see LocalEngine."""

    kind = distances.MANHATTAN
    rounding = 0.0  # a median is the value of a sample

    def __init__(self, samples: Samples, n_clusters: int, algorithm: str, n_threads: int | None) -> None:
        self.X = X = samples.values
        self.n_threads = effective_n_threads(n_threads, assignment_work(*X.shape, n_clusters))
        self._weight_unit, max_weight, self.sample_weight = weight_unit(samples.sample_weight)
        self.largest_weight = self._weight_unit * max_weight
        self._state = MediansState(
            X, self.sample_weight, samples.description.max_abs, max_weight, n_clusters, self.n_threads
        )
        self.least_weight = 0.0 if self.sample_weight is None else np.nextafter(0, 1)
        self._light = light_of(self.sample_weight, max_weight)
        self._told = True

    @property
    def labels(self) -> np.ndarray:
        """(n_samples,) int32: the labels of the last step; overwritten by the next."""
        return self._state.labels

    @property
    def stepped_by(self) -> str:
        """The algorithm of the last step, always Lloyd's."""
        return self._state.stepped_by

    def step(self, centers: np.ndarray) -> int:
        """Label every sample with its nearest center; return the number of labels that changed."""
        return self._state.step(centers)

    def move(self, centers: np.ndarray) -> tuple[np.ndarray, float, float, int]:
        """Return medians, the sum of their squared shifts, the inertia of the last step, and the number of empty clusters.
        What it is of each cluster stands in weights and sq_shifts."""
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
        """Nobody will be told the inertia of each iteration: it may have few digits."""
        self._told = False

    def _move_light(self, moved: np.ndarray, weights: np.ndarray) -> None:
        """Move the centers of clusters that weigh next to nothing by sums of their own, in the order of the rows."""
        weighing = self.sample_weight > 0
        for j in np.flatnonzero(weights < self._light):
            rows = np.flatnonzero((self.labels == j) & weighing)
            if len(rows):
                moved[j] = lower_median(self.X[rows], self.sample_weight[rows])
                weights[j] = self.sample_weight[rows].sum()

    def centers_without(self, taken: dict[int, list[int]], centers: np.ndarray) -> np.ndarray:
        """The medians of clusters without some of their rows.

        taken : rows by cluster; at least one that has weight is left.   centers : all of them, as in move.
        """
        return np.stack([self._median_without(j, rows) for j, rows in taken.items()])

    def _median_without(self, j: int, rows: list[int]) -> np.ndarray:
        is_own = self.labels == j
        is_own[rows] = False
        own = np.flatnonzero(is_own)
        weights = np.ones(len(own)) if self.sample_weight is None else self.sample_weight[own]
        return lower_median(self.X[own], weights)

    def own_distances(self, centers: np.ndarray) -> np.ndarray:
        """(n_samples,) float64: distance of each sample to the center of its label."""
        own = np.empty(len(self.X))
        distances.own_sq_distances(self.X, centers, self.labels, own, self.n_threads, self.kind)
        return own

    def n_distinct(self) -> int:
        """Number of clusters that have samples."""
        return count_distinct(self.labels, len(self.weights))

    def inertia(self, centers: np.ndarray) -> float:
        """Sum of weight * distance to the center of its label, term by term."""
        return self._weight_unit * inertia_of(
            self.X, centers, self.labels, self.sample_weight, self.n_threads, self.kind
        )

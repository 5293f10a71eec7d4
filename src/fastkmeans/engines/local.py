"""The threads of this machine."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .._algorithms import ALGORITHMS
from .._blas import one_blas_thread
from .._core import distances, samples
from .._core.quantized import LEAST_SIZE
from .._threads import assignment_work, effective_n_threads


class Description(NamedTuple):
    """What a fit knows of its samples before it starts.

    max_abs, mean, variance : (n_features,) float64, without weights. Where a value is not finite, neither is the mean.
    """

    max_abs: np.ndarray
    mean: np.ndarray
    variance: np.ndarray


add_up, largest_of = np.add.reduce, np.maximum.reduce  # what sum and max call, without the microsecond they spend before

INERTIA_SAMPLES = 1024  # samples of a partial sum of the inertia, as in distances.pyx


def inertia_of(X, centers, labels, sample_weight, n_threads: int, kind: int = distances.EUCLIDEAN) -> float:
    """Return the sum of weight * distance to the own center, squared if Euclidean; the same bits for any n_threads."""
    inertias = np.empty(-(-len(X) // INERTIA_SAMPLES))
    distances.inertia_of_blocks(X, centers, labels, sample_weight, inertias, n_threads, kind)
    return float(add_up(inertias)) if len(inertias) > 1 else float(inertias[0])


def describe(X, n_threads: int) -> Description:
    """Describe the samples, in an order that the shape alone fixes."""
    n_samples, n_features = X.shape
    block = max(1024, -(-n_samples // 256))
    described = np.empty((-(-n_samples // block), 3, n_features))
    samples.describe_blocks(X, block, described, n_threads)
    if len(described) == 1:
        max_abs, mean, deviations = described[0]
        return Description(max_abs, mean, deviations / n_samples)
    counts = np.full((len(described), 1), float(block))
    counts[-1] = n_samples - block * (len(described) - 1)
    with np.errstate(invalid="ignore", over="ignore"):
        mean = (counts * described[:, 1]).sum(axis=0) / n_samples
        deviations = (described[:, 2] + counts * (described[:, 1] - mean) ** 2).sum(axis=0)
    return Description(described[:, 0].max(axis=0), mean, deviations / n_samples)


def scatter_of(X, sample_weight, description: Description, n_threads: int) -> float:
    """Return the sum of weight * |x - mean|^2."""
    if sample_weight is None:
        return float(add_up(description.variance)) * len(X)
    one_cluster = np.zeros(len(X), dtype=np.int32)
    return inertia_of(X, description.mean[None, :], one_cluster, sample_weight, n_threads)


def weight_unit(sample_weight) -> tuple[float, float, Any]:
    """Return a unit for the weights, the largest in that unit, and the weights in it.

    The grids of the sums end at 2^-1020: weights near it are brought to 1 by a power of two.
    """
    largest = 1.0 if sample_weight is None else float(sample_weight.max())
    if 1e-100 < largest < 1e100:
        return 1.0, largest, sample_weight
    unit = 2.0 ** (np.frexp(largest)[1] - 1)
    return unit, largest / unit, sample_weight / unit


class LocalEngine:
    """Samples in this process's memory, and the state of one run over them.

    X : (n_samples, n_features) float32 or float64, C order, finite.   sample_weight : (n_samples,) float64 or None.
    n_threads : int or None, see _threads.
    copies : Copies of X that starts share, or None.
    scatter : that of another engine over the same samples, which took a reading of them, or None.
    """

    kind = distances.EUCLIDEAN

    def __init__(
        self, X, sample_weight, description: Description, n_clusters: int, algorithm: str, n_threads, copies=None,
        scatter=None,
    ):  # fmt: skip
        self.X = X
        self.description = description
        self.n_threads = effective_n_threads(n_threads, assignment_work(*X.shape, n_clusters))
        self._weight_unit, max_weight, sample_weight = weight_unit(sample_weight)
        self.sample_weight = sample_weight
        self.scatter = scatter_of(X, sample_weight, description, self.n_threads) if scatter is None else scatter
        if algorithm != "lloyd" and description.max_abs.max() < LEAST_SIZE:
            algorithm = "lloyd"  # no bound is as coarse as squares of few digits
        self._starts_with_blas = ALGORITHMS[algorithm].starts_with_blas
        shared = {}
        if ALGORITHMS[algorithm].copies and copies is not None:
            shared["copies"] = getattr(copies, ALGORITHMS[algorithm].copies)
        self._state = ALGORITHMS[algorithm].state(
            X, sample_weight, description.max_abs, max_weight, n_clusters, self.n_threads, **shared
        )
        # A lighter row may vanish in a sum beside the heaviest weight.
        self.least_weight = 0.0 if sample_weight is None else max(max_weight * 2.0**-32, np.nextafter(0, 1))
        # A lighter cluster may lose more than 2^-36 of its sums to the fine grid (1.5 * 2^52 times its spacing).
        self._light = 0.0 if sample_weight is None else len(X) * self._state.grid[1, -1] / 1.5 * 2.0**-52 * 2.0**36
        self._terms = np.empty((n_clusters, 3))

    @property
    def rounding(self) -> float:
        """Squared distance that a sample may have from the mean of copies of it, by rounding."""
        return float(((2.0**-50 * self.description.max_abs) ** 2).sum())

    @property
    def labels(self) -> np.ndarray:
        """(n_samples,) int32: the labels of the last step; overwritten by the next."""
        return self._state.labels

    @property
    def stepped_by(self) -> str:
        """The algorithm of the last step: filters that do not pay go over to Lloyd's."""
        return self._state.stepped_by

    def step(self, centers: np.ndarray) -> int:
        """Label every sample with its nearest center; return the number of labels that changed.

        centers : (n_clusters, n_features) float64, the values of the stored centers.
        """
        if self._starts_with_blas:
            self._starts_with_blas = False
            with one_blas_thread():
                return self._state.step(centers)
        return self._state.step(centers)

    def move(self, centers: np.ndarray) -> tuple[np.ndarray, float, float, int]:
        """Return moved centers, the sum of their squared shifts, the inertia of the last step, and the number of empty
        clusters. What it is of each cluster stands in weights and sq_shifts."""
        moved = np.empty_like(centers)
        center_shift, explained, n_empty = self._state.move(centers, self.description.mean, moved, self._terms)
        if self.sample_weight is not None and self.weights.min() < self._light:
            self._move_light(centers, moved)
            n_empty = int(np.count_nonzero(self.weights <= 0.0))
            center_shift, explained = self._terms[:, 1:].sum(axis=0).tolist()
        inertia = self.scatter - explained
        # Clusters far apart: the difference is rounding, so the terms are added one by one.
        if not inertia > 1e-9 * self.scatter:
            inertia = self.inertia(centers)
        else:
            inertia *= self._weight_unit * (0.5 if self.kind == distances.COSINE else 1.0)
        return moved, center_shift, inertia, n_empty

    @property
    def weights(self) -> np.ndarray:
        """(n_clusters,) float64: the weight of each cluster at the last move; overwritten by the next."""
        return self._terms[:, 0]

    @property
    def sq_shifts(self) -> np.ndarray:
        """(n_clusters,) float64: how far each center moved, squared; overwritten by the next move."""
        return self._terms[:, 1]

    def _move_light(self, centers: np.ndarray, moved: np.ndarray) -> None:
        """Move the centers of clusters that weigh next to nothing by sums of their own, in the order of the rows."""
        labels, weighing = self.labels, self.sample_weight > 0
        for j in np.flatnonzero(self._terms[:, 0] < self._light):
            rows = np.flatnonzero((labels == j) & weighing)
            if len(rows):
                weights, values = self.sample_weight[rows, None], self.X[rows].astype(np.float64)
                top = weights.max()
                mean = (weights / top * values).sum(axis=0) / (weights / top).sum()
                moved[j] = mean.astype(self.X.dtype)
                weight, origin = weights.sum(), self.description.mean
                between = ((mean - origin) ** 2).sum() - ((mean - centers[j]) ** 2).sum()
                self._terms[j] = weight, ((moved[j] - centers[j]) ** 2).sum(), weight * between

    def sums_of(self, j: int) -> np.ndarray:
        """(2, n_features + 1) float64: coarse and fine sums of weight * x over cluster j, and its weight."""
        return self._state.sums[j].copy()

    def center_without(self, j: int, rows: list[int]) -> np.ndarray:
        """The center of cluster j without some of its rows, whose shares are taken out without rounding."""
        sums = self.sums_of(j)
        for i in rows:
            sums -= self._share_of(i)
        total = sums[0] + sums[1]
        return (total[:-1] / total[-1]).astype(self.X.dtype)

    def _share_of(self, i: int) -> np.ndarray:
        """(2, n_features + 1) float64: what sample i adds to the sums of its cluster, without rounding."""
        weight = 1.0 if self.sample_weight is None else self.sample_weight[i]
        share = np.append(weight * self.X[i].astype(np.float64), weight)
        coarse, fine = self._state.grid
        coarse_part = (share + coarse) - coarse
        return np.stack([coarse_part, ((share - coarse_part) + fine) - fine])

    def own_distances(self, centers: np.ndarray) -> np.ndarray:
        """(n_samples,) float64: distance of each sample to the center of its label, squared if Euclidean."""
        own = np.empty(len(self.X))
        distances.own_sq_distances(self.X, centers, self.labels, own, self.n_threads, self.kind)
        return own

    def n_distinct(self) -> int:
        """Number of clusters that have samples."""
        if self.sample_weight is None:
            return int(np.count_nonzero(self._state.sums[:, 0, -1]))
        return int(np.count_nonzero(np.bincount(self.labels, minlength=len(self._terms))))

    def inertia(self, centers: np.ndarray) -> float:
        """Sum of weight * squared distance to the center of its label, term by term."""
        return self._weight_unit * inertia_of(
            self.X, centers, self.labels, self.sample_weight, self.n_threads, self.kind
        )

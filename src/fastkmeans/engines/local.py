"""The threads of this machine."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .._algorithms import ALGORITHMS
from .._core import distances, samples
from .._threads import effective_n_threads


class Description(NamedTuple):
    """What a fit knows of its samples before it starts.

    max_abs, mean, variance : (n_features,) float64; mean and variance do not know weights.
    scatter : sum of weight * |x - mean|^2.
    """

    max_abs: np.ndarray
    mean: np.ndarray
    variance: np.ndarray
    scatter: float


INERTIA_SAMPLES = 1024  # samples of a partial sum of the inertia, as in distances.pyx


def inertia_of(X, centers, labels, sample_weight, n_threads: int) -> float:
    """Return the sum of weight * squared distance to the own center; the same bits for any number of threads."""
    inertias = np.empty(-(-len(X) // INERTIA_SAMPLES))
    distances.inertia_of_blocks(X, centers, labels, sample_weight, inertias, n_threads)
    return float(inertias.sum())


def describe(X, sample_weight, n_threads: int) -> Description:
    """Describe the samples, in an order that the shape alone fixes."""
    n_samples, n_features = X.shape
    block = max(1024, -(-n_samples // 256))
    described = np.empty((-(-n_samples // block), 3, n_features))
    samples.describe_blocks(X, block, described, n_threads)
    counts = np.full((len(described), 1), float(block))
    counts[-1] = n_samples - block * (len(described) - 1)
    mean = (counts * described[:, 1]).sum(axis=0) / n_samples
    deviations = (described[:, 2] + counts * (described[:, 1] - mean) ** 2).sum(axis=0)
    if sample_weight is None:
        scatter = float(deviations.sum())
    else:
        one_cluster = np.zeros(n_samples, dtype=np.int32)
        scatter = inertia_of(X, mean[None, :], one_cluster, sample_weight, n_threads)
    return Description(described[:, 0].max(axis=0), mean, deviations / n_samples, scatter)


class LocalEngine:
    """Samples in this process's memory, and the state of one run over them.

    X : (n_samples, n_features) float32 or float64, C order, finite.   sample_weight : (n_samples,) float64 or None.
    n_threads : int or None, see _threads.
    """

    def __init__(self, X, sample_weight, description: Description, n_clusters: int, algorithm: str, n_threads):
        self.X = X
        self.sample_weight = sample_weight
        self.description = description
        self.n_threads = effective_n_threads(n_threads, float(X.shape[0]) * X.shape[1] * n_clusters)
        max_weight = 1.0 if sample_weight is None else float(sample_weight.max())
        self._state = ALGORITHMS[algorithm].state(
            X, sample_weight, description.max_abs, max_weight, n_clusters, self.n_threads
        )
        self._terms = np.empty((n_clusters, 3))

    @property
    def labels(self) -> np.ndarray:
        """(n_samples,) int32: the labels of the last step; overwritten by the next."""
        return self._state.labels

    def step(self, centers: np.ndarray) -> int:
        """Label every sample with its nearest center; return the number of labels that changed.

        centers : (n_clusters, n_features) float64, the values of the stored centers.
        """
        return self._state.step(centers)

    def move(self, centers: np.ndarray) -> tuple[np.ndarray, np.ndarray, float, np.ndarray]:
        """Return moved centers, their squared shifts, the inertia of the last step, and the weight of each cluster."""
        moved = np.empty_like(centers)
        self._state.move(centers, self.description.mean, moved, self._terms)
        weights, sq_shifts, explained = self._terms.T
        inertia = max(0.0, self.description.scatter - float(explained.sum()))
        return moved, sq_shifts.copy(), inertia, weights.copy()

    def sums(self) -> np.ndarray:
        """(n_clusters, n_features + 1) float64: sums of weight * x, and the weight."""
        return self._state.sums[:, 0] + self._state.sums[:, 1]

    def own_sq_distances(self, centers: np.ndarray) -> np.ndarray:
        """(n_samples,) float64: squared distance of each sample to the center of its label."""
        sq_distances = np.empty(len(self.X))
        distances.own_sq_distances(self.X, centers, self.labels, sq_distances, self.n_threads)
        return sq_distances

    def inertia(self, centers: np.ndarray) -> float:
        """Sum of weight * squared distance to the center of its label, term by term."""
        return inertia_of(self.X, centers, self.labels, self.sample_weight, self.n_threads)

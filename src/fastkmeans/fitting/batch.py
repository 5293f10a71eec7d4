"""Dense batches of mini-batch k-means: a compiled step without what a whole fit needs besides.

The results have the bits that an engine gives. Where that cannot be told beforehand, an engine takes the step.
"""

from __future__ import annotations

from math import sqrt
from typing import NamedTuple

import numpy as np

from .._core import minibatch, samples
from ..engines.rounding import fine_quanta, losses_of, rounding_of
from ..input.finite import MAGNITUDE_LIMIT
from ..runtime.threads import assignment_work, effective_n_threads
from ..samples import inertia_of, weight_unit
from ..types import Floats, Labels, Values

SAFE_INERTIA = 1e300
"""An inertia that is surely below this does not overflow."""

_FLOAT32_MAX = float(np.finfo(np.float32).max)


class Batch(NamedTuple):
    """A dense batch.   sample_weight : (n_samples,) or None.   max_abs : (n_features,), not below the largest |x|."""

    values: Values
    sample_weight: Floats | None
    max_abs: Floats


def measured(values: Values, sample_weight: Floats | None) -> Batch | None:
    """Return the batch of these rows; None if a value is NaN, infinite or too large."""
    max_abs = np.empty(values.shape[1])
    limit = _FLOAT32_MAX if values.dtype.itemsize == 4 else MAGNITUDE_LIMIT
    is_unusable = minibatch.check_and_measure(values, limit, max_abs)
    return None if is_unusable else Batch(values, sample_weight, max_abs)


class BatchStep:
    """A step over a dense batch: first `move`, then what else is asked for.   n_threads : as the estimator's."""

    def __init__(self, batch: Batch, n_clusters: int, n_threads: int | None) -> None:
        self._batch = batch
        n_samples, n_features = batch.values.shape
        self._n_threads = effective_n_threads(n_threads, assignment_work(n_samples, n_features, n_clusters))
        self._unit, self._largest_weight, self._weights = weight_unit(batch.sample_weight)
        self._step = minibatch.BatchStep(
            batch.values, self._weights, batch.max_abs, self._largest_weight, n_clusters, self._n_threads
        )

    def move(self, centers: Floats, counts: Floats) -> tuple[Floats, Floats] | None:
        """Label the rows with the nearest of these centers. Return centers and counts after the step.

        centers : (n_clusters, n_features), means so far.   counts : (n_clusters,) weights that they are the means of.
        Returns None if the sums may have lost digits to their grids, so that an engine must find others.
        """
        self._centers = centers
        self._step.label(centers)
        moved, grown = np.empty_like(centers), np.empty_like(counts)
        batch, grid = self._batch, self._step.clusters.grid
        needed = rounding_of(*batch.values.shape).digits * fine_quanta(grid)
        is_small = self._step.move(centers, counts, batch.sample_weight, moved, grown, needed)
        if is_small and losses_of(grid, self._weights, self._smallest(), len(batch.values)) is not None:
            return None
        return moved, grown

    def _smallest(self) -> Floats:
        """Return the smallest |x| above 0 of each feature, (n_features,)."""
        blocks = np.empty((1, self._batch.values.shape[1]))
        samples.find_smallest(self._batch.values, blocks, 1)
        smallest: Floats = blocks[0]
        return smallest

    def may_overflow(self) -> bool:
        """May the inertia of the first labels be too large for float64?"""
        # The root of the sum of all squares is an upper bound of the values, and one call of BLAS.
        reach = float(self._batch.max_abs.max()) + sqrt(np.vdot(self._centers, self._centers))
        terms = self._batch.values.size * self._largest_weight * self._unit
        return not reach * reach < SAFE_INERTIA / terms if terms < SAFE_INERTIA else True

    def inertia(self) -> float:
        """Return the inertia of the first labels with the centers that gave them."""
        return self._inertia_of(self._centers, self._step.clusters.labels)

    def relabel(self, centers: Floats) -> tuple[Labels, float]:
        """Return the labels of the nearest of other centers, and their inertia."""
        labels = self._step.relabel(centers)
        return labels, self._inertia_of(centers, labels)

    @property
    def largest_weight(self) -> float:
        """The largest weight of a row; 1 without weights."""
        return self._unit * self._largest_weight

    def _inertia_of(self, centers: Floats, labels: Labels) -> float:
        values = self._batch.values
        return self._unit * inertia_of(values, centers, labels, self._weights, self._n_threads)

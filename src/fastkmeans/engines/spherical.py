"""The engine for cosine distances and samples in this process's memory. Rows and centers have length 1.

I. S. Dhillon and D. S. Modha, "Concept decompositions for large sparse text data using clustering", Machine Learning
42, 2001. For unit vectors |x - c|^2 / 2 = 1 - cos, so the Euclidean engine finds the labels. The best center of a cluster
is the unit vector along its mean: a move to it never increases the sum of 1 - cos.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .._core import csr, distances, samples
from .._core.csr import CsrRows
from ..runtime.threads import effective_n_threads
from ..types import Floats, Mask, Values
from .local import LocalEngine

SAVED_ROUNDING = 2.0**-50
"""Largest rounding error of what a center's move saves, per weight and length of the move: the products have three or four
roundings, of numbers up to 2."""


def unit_rows(values: Values, dtype: Any, name: str = "X", n_threads: int | None = None) -> Values:
    """Return the rows divided by their lengths, as `dtype`; raise ValueError for a row of zeros."""
    if isinstance(values, CsrRows):
        rows, zero = csr.normalize(values.astype(dtype))
    else:
        rows = np.empty(values.shape, dtype=dtype)
        zero = samples.normalize(values, rows, effective_n_threads(n_threads, float(values.size)))
    if zero < len(values):
        raise ValueError(
            f"{name} must have no row of zeros, which has no direction for metric='cosine' to compare; row {zero} is "
            "all zeros. Drop such rows, or use metric='euclidean'."
        )
    return rows


def unit_centers(centers: Values) -> Values:
    """Return the centers divided by their lengths. A center whose length is 1 up to rounding stays as it is."""
    lengths = np.sqrt((centers.astype(np.float64) ** 2).sum(axis=1))
    off = ~(np.abs(lengths - 1.0) <= 2.0 * np.finfo(centers.dtype).eps)
    scaled = centers.copy()
    if off.any():
        scaled[off] = unit_rows(centers, centers.dtype, "the centers", 1)[off]
    return scaled


class SphericalEngine(LocalEngine):
    """A LocalEngine over rows of length 1, whose centers have length 1 too. Distances are 1 - cos."""

    kind = distances.COSINE

    def move(self, centers: Floats) -> tuple[Floats, float, float, int]:
        """As LocalEngine.move, but each center moves to the unit vector along its mean.

        The center stays if its mean has length 0, or if the unit vector in the dtype of X is no better.
        """
        means, _, inertia, n_empty = super().move(centers)
        sums = self._clusters.sums
        if self._doubtful is not None and self._anew is not None:
            sums = self._mended_sums(self._doubtful, self._anew[0])
        moved = self._along(means, self.weights > 0.0, sums, centers)
        self.sq_shifts[:] = ((moved - centers) ** 2).sum(axis=1)
        return moved, float(self.sq_shifts.sum()), inertia, n_empty

    def _best_centers(self, sums: Floats, units: Floats, centers: Floats) -> Floats:
        means = super()._best_centers(sums, units, centers)
        return self._along(means, np.ones(len(centers), dtype=bool), sums, centers)

    def _along(self, means: Floats, weigh: Mask, sums: Floats, centers: Floats) -> Floats:
        """Return the unit vector along each mean, or the center of the cluster if the unit vector is no better.

        weigh : (n_clusters,) bool, whether a cluster has weight.   sums : in any unit.
        """
        lengths = np.sqrt((means**2).sum(axis=1))
        off = weigh & (lengths > 0.0)
        moved = centers.copy()
        moved[off] = (means[off] / lengths[off, None]).astype(self.X.dtype)
        kept = _is_no_better(sums.sum(axis=1), centers, moved)
        moved[kept] = centers[kept]
        return moved


def _is_no_better(sums: Floats, centers: Floats, moved: Floats) -> Mask:
    """Return for each cluster whether the move of its center lowers its inertia by no more than rounding, (n_clusters,) bool."""
    weights, steps = sums[:, -1], moved - centers
    saved = (steps * (2.0 * sums[:, :-1] - weights[:, None] * (centers + moved))).sum(axis=1)
    kept: Mask = saved <= SAVED_ROUNDING * weights * np.sqrt((steps**2).sum(axis=1))
    return kept

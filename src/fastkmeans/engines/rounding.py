"""Bounds of rounding errors: in the inertia of an iteration, and in the sums of a cluster."""

from __future__ import annotations

from functools import cached_property, lru_cache
from math import inf, sqrt
from typing import NamedTuple

import numpy as np

from ..samples import Description
from ..types import Floats, Values

HISTORY_ROUNDING = 2.0**-38
"""Largest relative error of the inertia of an iteration. As a rule the error is a hundredth of that."""

MOST_BITS, LEAST_BITS, USUAL_SPREAD_BITS = 54, 40, 20
"""Bits of the mean of a cluster that the grids must keep: MOST_BITS, which is all. Beyond 16 000 samples the grids hold fewer
bits, so fewer must be kept, but at least LEAST_BITS. USUAL_SPREAD_BITS are left for the values of a feature, which differ in
size by at most 2^20 in most data."""

UNIT_ROUNDOFF = 2.0**-53

DESCRIBED_ROUNDINGS = 4.0 + 8.0 + 16.0
"""Largest number of roundings of a value on its way into the scatter that `describe` computes: additions within a run and of
runs (kernels/describe.h), operations on the value before, and on the sums of runs after."""

VANISHING = 1e-280  # sums of squares below it may have lost digits to underflow


class ShapeRounding(NamedTuple):
    """Bounds of rounding that follow from the shape of X alone.

    lost : largest error of a value on the grids, relative to the largest value.
    a_scatter, a_root : arguments of _needed if there are no weights; a_root is relative to the largest value.
    digits : how large the values of a cluster must be on average, in quanta of the fine grid.
    """

    lost: float
    a_scatter: float
    a_root: float
    digits: float


@lru_cache(maxsize=64)
def rounding_of(n_samples: int, n_features: int) -> ShapeRounding:
    """Return the bounds for a shape. They are cached, because computing them takes 5 of the 130 us of a small fit."""
    lost = 2.0 ** (-1 - _grid_bits(n_samples))
    a_scatter = UNIT_ROUNDOFF * (n_features / 8.0 + 24.0 + DESCRIBED_ROUNDINGS) / HISTORY_ROUNDING
    a_root = sqrt(n_features * n_samples) * (8.0 * UNIT_ROUNDOFF + lost) / HISTORY_ROUNDING
    return ShapeRounding(lost, a_scatter, a_root, _trusted_digits(n_samples))


def plain_bound(shape: ShapeRounding, largest: float, scatter: float) -> float:
    """Return Bounds(...).plain for samples without weights, in a third of the time, which matters in small fits."""
    return _needed(scatter, shape.a_scatter, shape.a_root * largest)


def _needed(scatter: float, a_scatter: float, a_root: float, least: float = 0.0) -> float:
    """Return the least inertia whose relative error is at most HISTORY_ROUNDING.

    a_scatter : error per scatter.   a_root : error per root of the scatter; per root of the inertia if that is larger, because
    initial centers may lie far from all samples.   least : error that does not depend on the scatter.   All three are divided
    by HISTORY_ROUNDING.
    """
    if not scatter >= 0.0:
        return inf
    return max(a_scatter * scatter + a_root * sqrt(scatter) + least, a_root * a_root) + VANISHING


class Bounds:
    """How large an inertia must be, so that it may be computed as scatter minus the part that the clusters explain.

    If each term has c roundings, the errors of both are at most c * UNIT_ROUNDOFF * scatter, plus a few times
    UNIT_ROUNDOFF * |x| * sqrt(weight * scatter): products with a center are rounded relative to the center's size, not to its
    distance from the origin. N. J. Higham, "Accuracy and Stability of Numerical Algorithms", 2002, chapter 4.

    X, sample_weight, max_weight, description : as in the engine.   scatter : sum of weight * |x - origin|^2.
    """

    def __init__(
        self, X: Values, sample_weight: Floats | None, max_weight: float, description: Description, scatter: float
    ) -> None:
        self._X, self._sample_weight = X, sample_weight
        n_samples, n_features = X.shape
        self._scatter = scatter
        self._shape = rounding_of(n_samples, n_features)
        weight = max_weight * n_samples  # a bound of the sum of weights, which may depend on their order
        self._largest = description.largest
        self._size = self._largest * sqrt(n_features * weight)
        self._lost = 0.0
        if sample_weight is not None:
            self._lost = 8.0 * self._shape.lost * max_weight * n_samples * n_features * description.largest**2

    @property
    def plain(self) -> float:
        """The least inertia if sums are float64."""
        if self._sample_weight is None:
            return plain_bound(self._shape, self._largest, self._scatter)
        return self._bound(UNIT_ROUNDOFF * (self._X.shape[1] / 4.0 + 88.0), 8.0 * UNIT_ROUNDOFF)

    def _bound(self, a_scatter: float, a_root: float) -> float:
        """Return the least inertia for these errors.   a_root : relative to the size of the data."""
        if self._sample_weight is None:
            a_root += self._shape.lost
        return _needed(
            self._scatter,
            a_scatter / HISTORY_ROUNDING,
            a_root * self._size / HISTORY_ROUNDING,
            self._lost / HISTORY_ROUNDING,
        )

    @cached_property
    def careful(self) -> float:
        """The least inertia if sums have twice as many digits."""
        n_features = self._X.shape[1]
        rounding = 2.0**-100 * (n_features + 16.0)
        of_products = 0.0 if self._has_exact_products() else 4.0 * UNIT_ROUNDOFF
        return self._bound(rounding, rounding + of_products)

    def _has_exact_products(self) -> bool:
        """Is weight * x never rounded?"""
        weights = self._sample_weight
        if weights is None:
            return True
        if not isinstance(weights, np.ndarray):  # weights that lie elsewhere
            return self._X.dtype.itemsize == 4 and bool(weights.are_float32)
        with np.errstate(over="ignore"):
            return self._X.dtype.itemsize == 4 and bool((weights == weights.astype(np.float32)).all())


def fine_quanta(grid: Floats) -> Floats:
    """Return the quanta of the fine grid, (n_features + 1,).   grid : of a ClusterSums; grid[1] is 1.5 * 2^52 quanta."""
    quanta: Floats = grid[1] / 1.5 * 2.0**-52
    return quanta


def losses_of(grid: Floats, sample_weight: Floats | None, min_abs: Floats, n_samples: int) -> Floats | None:
    """Return how large weight * x must be on average over a cluster, so that its sum loses no digits to the grids.

    grid : of a ClusterSums.   min_abs : (n_features,), smallest |x| above 0.
    Returns (n_features + 1,) float64, the last for the weights. An entry is 0 if no value is so small; None if all would be 0.
    """
    least = np.append(min_abs, 1.0) * least_weight(sample_weight)
    needed = rounding_of(n_samples, len(min_abs)).digits * fine_quanta(grid)
    losses = np.where(least < needed, needed, 0.0)
    return losses if losses.any() else None


def light_of(sample_weight: Floats | None, max_weight: float) -> float:
    """Return how much a cluster must weigh, so that its weight loses no digits to the grids; 0 if none is too light."""
    if sample_weight is None:
        return 0.0
    n_samples = len(sample_weight)
    needed = _trusted_digits(n_samples) * max_weight * 2.0 ** -_grid_bits(n_samples)
    return needed * n_samples if least_weight(sample_weight) < needed else 0.0


def least_weight(sample_weight: Floats | None) -> float:
    """Return the least weight above 0."""
    if sample_weight is None:
        return 1.0
    if not isinstance(sample_weight, np.ndarray):  # weights that lie elsewhere
        return float(sample_weight.least)
    least = float(sample_weight.min())
    return least if least > 0.0 else float(np.min(sample_weight, where=sample_weight > 0.0, initial=np.inf))


def _count_bits(n_samples: int) -> int:
    return max(n_samples - 1, 3).bit_length()


def _grid_bits(n_samples: int) -> int:
    """Return the bits from a quantum of the fine grid to the largest value.

    Two float64 have 106 bits. One is spare, rounding the grids to powers of two costs at most two, and each of the two float64
    needs _count_bits for the number of values.
    """
    return 103 - 2 * _count_bits(n_samples)


def _trusted_digits(n_samples: int) -> float:
    """Return how large the values of a cluster must be on average, in quanta of the fine grid."""
    return 2.0 ** min(MOST_BITS, max(LEAST_BITS, _grid_bits(n_samples) - USUAL_SPREAD_BITS))

"""How much rounding may spoil: the inertia of an iteration, and the sums of a cluster. Bounds, from what the data are."""

from __future__ import annotations

from functools import cached_property, lru_cache
from math import inf, sqrt
from typing import NamedTuple

import numpy as np

from ..samples import Description
from ..types import Floats, Values

HISTORY_ROUNDING = 2.0**-38
"""Relative error that the inertia of an iteration may have at most. It has a hundredth of that, as a rule."""

MOST_BITS, LEAST_BITS, USUAL_SPREAD_BITS = 54, 40, 20
"""Bits of the mean of a cluster that no grid may cost: all, as long as the values of a feature differ in size by no more than
they do in most data; of more samples than 16 000 fewer, of which the grids keep fewer."""

UNIT_ROUNDOFF = 2.0**-53

DESCRIBED_ROUNDINGS = 4.0 + 8.0 + 16.0
"""Roundings that a value goes through at most on its way into the scatter that `describe` tells: additions of a run and of runs
(kernels/describe.h), and what is done to it before and to these sums after."""

VANISHING = 1e-280  # sums of squares below it may have lost digits because float64 ends


class ShapeRounding(NamedTuple):
    """What the shape of X alone tells of rounding.

    lost : what a value loses to the grids, in units of the largest.
    a_scatter, a_root : see _needed, without weights; a_root in units of the largest value.
    digits : quanta of the fine grid that the values of a cluster must come to on average.
    """

    lost: float
    a_scatter: float
    a_root: float
    digits: float


@lru_cache(maxsize=64)
def rounding_of(n_samples: int, n_features: int) -> ShapeRounding:
    """Look up what a shape tells: small fits ask often, and 5 us of 130 go into its numbers."""
    lost = 2.0 ** (-1 - _grid_bits(n_samples))
    a_scatter = UNIT_ROUNDOFF * (n_features / 8.0 + 24.0 + DESCRIBED_ROUNDINGS) / HISTORY_ROUNDING
    a_root = sqrt(n_features * n_samples) * (8.0 * UNIT_ROUNDOFF + lost) / HISTORY_ROUNDING
    return ShapeRounding(lost, a_scatter, a_root, _trusted_digits(n_samples))


def plain_bound(shape: ShapeRounding, largest: float, scatter: float) -> float:
    """Return what Bounds(...).plain is without weights, in a third of the time: small fits notice it."""
    return _needed(scatter, shape.a_scatter, shape.a_root * largest)


def _needed(scatter: float, a_scatter: float, a_root: float, least: float = 0.0) -> float:
    """The inertia from which on errors are small beside it.

    a_scatter, a_root : what it takes per scatter; and per its root, or per the root of the inertia, where that is larger: first
    centers may lie farther from all samples than those from each other.   least : what it takes beside any scatter.
    """
    if not scatter >= 0.0:
        return inf
    return max(a_scatter * scatter + a_root * sqrt(scatter) + least, a_root * a_root) + VANISHING


class Bounds:
    """How large the inertia of an iteration must be, so that it may be had from what clusters take off the scatter.

    With c the number of roundings that a term goes through, scatter and explained part are off by c * UNIT_ROUNDOFF times the
    scatter, and, because the products of a center have roundings of the size of the center itself and not of its distance to
    the origin, by as much as |x| * sqrt(weight * scatter) times a few. N. J. Higham, "Accuracy and Stability of Numerical
    Algorithms", 2002, chapter 4.

    X, sample_weight, max_weight, description : of an engine.   scatter : sum of weight * |x - origin|^2.
    """

    def __init__(
        self, X: Values, sample_weight: Floats | None, max_weight: float, description: Description, scatter: float
    ) -> None:
        self._X, self._sample_weight = X, sample_weight
        n_samples, n_features = X.shape
        self._scatter = scatter
        self._shape = rounding_of(n_samples, n_features)
        weight = max_weight * n_samples  # not their sum, which may depend on the order
        self._largest = description.largest
        self._size = self._largest * sqrt(n_features * weight)
        self._lost = 0.0
        if sample_weight is not None:
            self._lost = 8.0 * self._shape.lost * max_weight * n_samples * n_features * description.largest**2

    @property
    def plain(self) -> float:
        """For sums of float64."""
        if self._sample_weight is None:
            return plain_bound(self._shape, self._largest, self._scatter)
        return self._bound(UNIT_ROUNDOFF * (self._X.shape[1] / 4.0 + 88.0), 8.0 * UNIT_ROUNDOFF)

    def _bound(self, a_scatter: float, a_root: float) -> float:
        """a_scatter, a_root : errors, the second in units of the size of the data."""
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
        """For sums of twice as many digits."""
        n_features = self._X.shape[1]
        rounding = 2.0**-100 * (n_features + 16.0)
        of_products = 0.0 if self._has_exact_products() else 4.0 * UNIT_ROUNDOFF
        return self._bound(rounding, rounding + of_products)

    def _has_exact_products(self) -> bool:
        """Is weight * x never rounded?"""
        weights = self._sample_weight
        if weights is None:
            return True
        with np.errstate(over="ignore"):
            return self._X.dtype.itemsize == 4 and bool((weights == weights.astype(np.float32)).all())


def fine_quanta(grid: Floats) -> Floats:
    """(n_features + 1,): what the fine grid of sums counts in.   grid : of a ClusterSums, which holds 1.5 * 2^52 of them."""
    quanta: Floats = grid[1] / 1.5 * 2.0**-52
    return quanta


def losses_of(grid: Floats, sample_weight: Floats | None, min_abs: Floats, n_samples: int) -> Floats | None:
    """What weight * x must come to on average over a cluster, so that its sum has lost no digits to the grids.

    grid : of a ClusterSums.   min_abs : (n_features,), smallest |x| but 0.
    Returns (n_features + 1,) float64, with 0 for features that have no values so small; None where none has.
    """
    least = np.append(min_abs, 1.0) * (1.0 if sample_weight is None else _least_weight(sample_weight))
    needed = rounding_of(n_samples, len(min_abs)).digits * fine_quanta(grid)
    losses = np.where(least < needed, needed, 0.0)
    return losses if losses.any() else None


def light_of(sample_weight: Floats | None, max_weight: float) -> float:
    """What the weights of a cluster must come to, so that their sum has lost no digits to the grids; 0 for any."""
    if sample_weight is None:
        return 0.0
    n_samples = len(sample_weight)
    needed = _trusted_digits(n_samples) * max_weight * 2.0 ** -_grid_bits(n_samples)
    return needed * n_samples if _least_weight(sample_weight) < needed else 0.0


def _least_weight(sample_weight: Floats) -> float:
    """The least weight above 0."""
    least = float(sample_weight.min())
    return least if least > 0.0 else float(np.min(sample_weight, where=sample_weight > 0.0, initial=np.inf))


def _count_bits(n_samples: int) -> int:
    return max(n_samples - 1, 3).bit_length()


def _grid_bits(n_samples: int) -> int:
    """Bits from the fine grid to the largest value: two float64 have 106, less one to spare and those that count values, in
    both; grids are powers of two, which costs up to two."""
    return 103 - 2 * _count_bits(n_samples)


def _trusted_digits(n_samples: int) -> float:
    """Quanta of the fine grid that the values of a cluster must come to on average."""
    return 2.0 ** min(MOST_BITS, max(LEAST_BITS, _grid_bits(n_samples) - USUAL_SPREAD_BITS))

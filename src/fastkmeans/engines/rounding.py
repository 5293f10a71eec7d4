"""How much rounding may spoil: the inertia of an iteration, and the sums of a cluster. Bounds, from what the data are."""

from __future__ import annotations

from functools import cached_property, lru_cache
from math import inf, sqrt
from typing import Any, NamedTuple

import numpy as np

HISTORY_ROUNDING = 2.0**-38
"""Relative error that the inertia of an iteration may have at most. It has a hundredth of that, as a rule."""

MOST_BITS, LEAST_BITS, USUAL_SPREAD_BITS = 54, 40, 20
"""Bits of the mean of a cluster that no grid may cost: all, as long as the values of a feature differ in size by no more than
they do in most data; of more samples than 16 000 fewer, of which the grids keep fewer."""

LEAST_BLOCK, MOST_BLOCKS = 1024, 256
"""Samples of a block that is described by itself, and blocks."""

UNIT_ROUNDOFF = 2.0**-53
VANISHING = 1e-280  # sums of squares below it may have lost digits because float64 ends


class ShapeRounding(NamedTuple):
    """What the shape of X alone tells of rounding.

    lost : what a value loses to the grids, in units of the largest.   n_roundings : that a term of the inertia goes through.
    trusted : quanta of the fine grid that the values of a cluster must come to on average.
    spread : ratio of largest to least value of a feature from which the grids may cost digits.
    """

    lost: float
    n_roundings: float
    trusted: float
    spread: float


@lru_cache(maxsize=64)
def rounding_of(n_samples: int, n_features: int) -> ShapeRounding:
    """Look up what a shape tells: small fits ask often, and 5 us of 130 go into its numbers."""
    bits, trusted = _grid_bits(n_samples), _trusted_digits(n_samples)
    n_roundings = n_features / 8.0 + 24.0 + _additions_in_a_row(n_samples, n_features)
    return ShapeRounding(2.0 ** (-1 - bits), n_roundings, trusted, 2.0**bits / trusted)


def plain_bound(n_samples: int, n_features: int, largest: float, scatter: float) -> float:
    """Return what Bounds(...).plain is without weights, in a third of the time: small fits notice it."""
    shape = rounding_of(n_samples, n_features)
    size = largest * sqrt(n_features * n_samples)
    return _needed(scatter, UNIT_ROUNDOFF * shape.n_roundings, size * (8.0 * UNIT_ROUNDOFF + shape.lost))


def _needed(scatter: float, a_scatter: float, a_root: float, lost: float = 0.0) -> float:
    """The inertia from which on errors are small beside it.

    a_scatter, a_root : error per scatter; and per its root, or per the root of the inertia, where that is larger: first centers
    may lie farther from all samples than those from each other.   lost : error of any scatter.
    """
    if not scatter >= 0.0:
        return inf
    of_scatter = (a_scatter * scatter + a_root * sqrt(scatter) + lost) / HISTORY_ROUNDING
    return max(of_scatter, (a_root / HISTORY_ROUNDING) ** 2) + VANISHING


class Bounds:
    """How large the inertia of an iteration must be, so that it may be had from what clusters take off the scatter.

    With c the number of roundings that a term goes through, scatter and explained part are off by c * UNIT_ROUNDOFF times the
    scatter, and, because the products of a center have roundings of the size of the center itself and not of its distance to
    the origin, by as much as |x| * sqrt(weight * scatter) times a few. N. J. Higham, "Accuracy and Stability of Numerical
    Algorithms", 2002, chapter 4.

    X, sample_weight, max_weight, description : of an engine.   scatter : sum of weight * |x - origin|^2.
    """

    def __init__(self, X, sample_weight, max_weight: float, description: Any, scatter: float):
        self._X, self._sample_weight = X, sample_weight
        n_samples, n_features = X.shape
        self._scatter = scatter
        self._shape = rounding_of(n_samples, n_features)
        weight = float(n_samples) if sample_weight is None else float(np.add.reduce(sample_weight))
        self._size = description.largest * sqrt(n_features * weight)
        if sample_weight is None:
            self._lost_a_root, self._lost = self._shape.lost * self._size, 0.0
        else:
            self._lost_a_root = 0.0
            self._lost = 8.0 * self._shape.lost * max_weight * n_samples * n_features * description.largest**2

    @property
    def plain(self) -> float:
        """For sums of float64."""
        n_roundings = self._shape.n_roundings
        if self._sample_weight is not None:
            n_roundings = self._X.shape[1] / 4.0 + 88.0
        a_root = 8.0 * UNIT_ROUNDOFF * self._size + self._lost_a_root
        return _needed(self._scatter, UNIT_ROUNDOFF * n_roundings, a_root, self._lost)

    @cached_property
    def careful(self) -> float:
        """For sums of twice as many digits."""
        n_features = self._X.shape[1]
        rounding = 2.0**-100 * (n_features + 16.0)
        of_products = 0.0 if self._has_exact_products() else 4.0 * UNIT_ROUNDOFF
        return _needed(self._scatter, rounding, (rounding + of_products) * self._size + self._lost_a_root, self._lost)

    def _has_exact_products(self) -> bool:
        """Is weight * x never rounded?"""
        weights = self._sample_weight
        if weights is None:
            return True
        with np.errstate(over="ignore"):
            return self._X.dtype.itemsize == 4 and bool((weights == weights.astype(np.float32)).all())


def losses_of(grid, sample_weight, max_weight: float, description: Any, n_samples: int) -> np.ndarray | None:
    """What weight * x must come to on average over a cluster, so that its sum has lost no digits to the grids.

    Returns (n_features + 1,) float64, with 0 for features that have no values so small; None where all are.
    """
    spread = description.spread
    if sample_weight is not None:
        spread *= max_weight / _least_weight(sample_weight)
    shape = rounding_of(n_samples, len(description.max_abs))
    if spread < shape.spread:
        return None
    least = np.append(description.min_abs, 1.0) * (1.0 if sample_weight is None else _least_weight(sample_weight))
    needed = shape.trusted * (grid[1] / 1.5 * 2.0**-52)
    losses = np.where(least < needed, needed, 0.0)
    return losses if losses.any() else None


def light_of(sample_weight, max_weight: float) -> float:
    """What the weights of a cluster must come to, so that their sum has lost no digits to the grids; 0 for any."""
    if sample_weight is None:
        return 0.0
    n_samples = len(sample_weight)
    needed = _trusted_digits(n_samples) * max_weight * 2.0 ** -_grid_bits(n_samples)
    return needed * n_samples if _least_weight(sample_weight) < needed else 0.0


def _least_weight(sample_weight: np.ndarray) -> float:
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


def _additions_in_a_row(n_samples: int, n_features: int) -> float:
    """Return how many roundings a value goes through at most on its way into the scatter that `describe` tells."""
    block = n_samples if n_samples <= LEAST_BLOCK else max(LEAST_BLOCK, n_samples / MOST_BLOCKS)
    side_by_side = max(1.0, 128.0 / n_features)  # see kernels/describe.h
    in_a_row = 32.0 + block / 256.0 + side_by_side
    return in_a_row if block == n_samples else 2.0 * in_a_row + 24.0

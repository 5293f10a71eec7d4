"""Standardised features: how far a value lies from the middle of its feature, in units of the feature's spread."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from .errors import FeatureScaleWarning, warn
from .input.finite import check_finite
from .input.matrix import Matrix
from .input.sources import is_open
from .rows import check_values
from .runtime.parts import parts_of
from .runtime.threads import effective_n_threads
from .samples import LEAF, Description, describe
from .types import Floats, Names, Values

NORMAL_QUARTILES = 1.349
"""Interquartile range of a normal distribution in standard deviations: 2 * 0.6745."""

DOMINANT_SHARE = 0.9
"""Share of the total variance above which one feature decides nearly all distances by itself."""


class Scaling(NamedTuple):
    """How features are standardised: z = (x - offset) / scale.

    offset, scale : (n_features,) float64, scale above 0.
    """

    offset: Floats
    scale: Floats

    def standardized(self, values: Values, dtype: Any, name: str = "X", names: Names | None = None) -> Values:
        """(n_rows, n_features): standardised rows, computed in float64 and rounded once to `dtype`.

        values : finite.   name, names : what messages call the rows and the features.
        Raises ValueError if a result overflows.
        """
        if is_open(values):
            from . import streamed

            return streamed.standardized(values, self.standardized, dtype)  # type: ignore[return-value]  # as Matrix holds them
        rows: Values = np.empty(values.shape, dtype=dtype)
        with np.errstate(over="ignore", invalid="ignore"):
            for part in parts_of(len(values)):
                wide = np.subtract(values[part], self.offset, dtype=np.float64)
                np.divide(wide, self.scale, out=wide)
                rows[part] = wide
        check_finite(rows, f"{name} (standardised)", names)
        return rows

    def in_units(self, centers: Values) -> Values:
        """Standardised centers in the units of the features, in the type of the centers."""
        with np.errstate(over="ignore"):
            units: Values = np.empty_like(centers)
            units[:] = self.offset + self.scale * centers.astype(np.float64)
        return units


def measure_scaling(matrix: Matrix, sample_weight: Floats | None, how: bool | str, n_threads: int | None) -> Scaling:
    """Measure offset and scale of each feature; samples of weight 0 do not count.

    how : True for mean and standard deviation (of the population: divided by the total weight), "robust" for median and
        interquartile range / 1.349.
    Raises ValueError if a value is not finite or too large.
    """
    n_threads = effective_n_threads(n_threads, float(matrix.values.size))
    check_values(matrix, n_threads)
    values = matrix.values
    if sample_weight is not None and not sample_weight.all():
        values, sample_weight = values[sample_weight > 0], sample_weight[sample_weight > 0]
    low, high = values.min(axis=0), values.max(axis=0)
    mean, deviation = _mean_and_deviation(values, sample_weight, n_threads)
    offset, scale = mean, deviation.copy()
    if how == "robust":
        first, offset, third = _quartiles(values, sample_weight)
        scale = (third - first) / NORMAL_QUARTILES
        # More than half of the values are alike: they say nothing about the spread of the others.
        scale[scale == 0.0] = deviation[scale == 0.0]
    # A mean is rounded, and so is a deviation: a feature without spread shows by its ends.
    alike = low == high
    offset, scale = np.where(alike, low, offset), np.where(alike | (scale == 0.0), 1.0, scale)
    return Scaling(offset, scale)


def _mean_and_deviation(values: Values, sample_weight: Floats | None, n_threads: int) -> tuple[Floats, Floats]:
    """Return mean and standard deviation of each feature, float64; the same bits for any number of threads."""
    description = describe(values, n_threads)
    if sample_weight is None:
        return description.mean, np.sqrt(description.variance)
    # A power of two keeps all digits of the weights, and products with squares within float64.
    weights = np.ldexp(sample_weight, -int(np.frexp(sample_weight.max())[1]))
    shift, _ = _weighted_moments(values, weights, description.mean)
    mean = description.mean + shift
    shift, square = _weighted_moments(values, weights, mean)
    return mean + shift, np.sqrt(np.maximum(square - shift**2, 0.0))


def _weighted_moments(values: Values, weights: Floats, origin: Floats) -> tuple[Floats, Floats]:
    """Return the weighted means of x - origin and of its square, per feature.

    Added up leaf by leaf: the error of a sum grows with the samples of a leaf and the number of leaves, not with all
    samples.
    """
    sums, squares = np.zeros(len(origin)), np.zeros(len(origin))
    for start in range(0, len(values), LEAF):
        apart = values[start : start + LEAF] - origin
        weighted = apart * weights[start : start + LEAF, None]
        sums += weighted.sum(axis=0)
        squares += (weighted * apart).sum(axis=0)
    total = weights.sum()
    return sums / total, squares / total


def _quartiles(values: Values, sample_weight: Floats | None) -> Floats:
    """(3, n_features) float64: for each feature the smallest values up to which a quarter, half and three quarters of
    the weight lie.

    No value lies between two samples, so that a weight of 3 equals three copies exactly.
    """
    quartiles = np.empty((3, values.shape[1]))
    for f in range(values.shape[1]):
        column = values[:, f].astype(np.float64)
        quartiles[:, f] = np.quantile(column, (0.25, 0.5, 0.75), method="inverted_cdf", weights=sample_weight)
    return quartiles


def warn_of_dominant_feature(
    description: Description, names: Sequence[str] | Names, way_out: str = "pass standardize=True"
) -> None:
    """Warn if one of several features holds nearly all of the variance, and with it of the distances.

    description : of the samples, as they are clustered.   way_out : how the user asks for standardised features.
    """
    variance, n_others = description.variance, len(description.variance) - 1
    largest = int(variance.argmax())
    if n_others == 0 or not variance[largest] > DOMINANT_SHARE * description.total_variance:
        return
    from .display.words import percent

    share = percent(variance[largest] / description.total_variance)
    others = "the other feature hardly counts" if n_others == 1 else f"the other {n_others} features hardly count"
    warn(
        f"{str(names[largest])!r} holds {share} of the total variance, so {others}. "
        f"If the features have different units, {way_out}.",
        FeatureScaleWarning,
    )

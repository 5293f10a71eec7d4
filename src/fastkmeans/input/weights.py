"""Checks the weights of samples."""

from __future__ import annotations

from math import log10
from typing import Any

import numpy as np

from ..types import Floats
from .arrays import FLOAT64, to_array, to_float
from .finite import check_finite

LIGHTEST_SHARE = 1e-290
"""The lightest weight allowed above 0, relative to the largest. Products with lighter weights would lose digits, because float64
ends at 5e-324."""


def as_weights(sample_weight: Any, n_samples: int) -> Floats | None:
    """Return the weights as a C-order float64 array of shape (n_samples,), or None if sample_weight is None.

    sample_weight : None, a number (the weight of every sample) or array-like of shape (n_samples,); finite, not
        negative, at least one above 0, and none between 0 and LIGHTEST_SHARE of the largest. Not copied if it is float64.
    Raises ValueError if it breaks one of these rules.
    """
    if sample_weight is None:
        return None
    array = to_array(sample_weight, "sample_weight")
    if array.ndim == 0:
        array = np.full(n_samples, array)
    if array.ndim != 1:
        raise ValueError(
            "sample_weight must be a number or a 1D array with one weight per sample; got an array of shape "
            f"{array.shape}. Use sample_weight.ravel() if it is one column."
        )
    if len(array) != n_samples:
        raise ValueError(
            f"sample_weight must have one weight per sample; got {len(array)} weights for {n_samples} samples."
        )
    weights = to_float(array, "sample_weight", FLOAT64)
    check_finite(weights, "sample_weight")
    lightest = int(weights.argmin())
    if weights[lightest] < 0:
        raise ValueError(
            f"sample_weight must not be negative; got {weights[lightest]:g} for row {lightest}. "
            "Use 0 to leave a sample out."
        )
    if not weights.any():
        raise ValueError(
            f"sample_weight must contain at least one non-zero number; all {n_samples} are 0. "
            "Use sample_weight=None to weigh all samples alike."
        )
    largest = float(weights.max())
    if weights[lightest] < largest * LIGHTEST_SHARE:
        _check_lightest(weights, largest)
    return weights


def _check_lightest(weights: Floats, largest: float) -> None:
    """Raise ValueError for the first weight above 0 that is too light compared with the largest."""
    too_light = (weights > 0.0) & (weights < largest * LIGHTEST_SHARE)
    row = int(too_light.argmax())
    if too_light[row]:
        raise ValueError(
            f"sample_weight must not span more than {-log10(LIGHTEST_SHARE):.0f} powers of ten; got {weights[row]:g} for row "
            f"{row}, and the largest is {largest:g}. Use 0 to leave that sample out."
        )

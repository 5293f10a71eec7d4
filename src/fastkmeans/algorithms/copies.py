"""Compact copies of the samples, made when they are first asked for."""

from __future__ import annotations

from typing import NamedTuple

from .._core.codes import Codes
from .._core.quantized import QuantizedCopies
from ..types import Floats, Values


class Copies(NamedTuple):
    """What seeding, algorithms and several starts share of an array.

    quantized : whole numbers for every feature.   codes : bytes along a few directions.
    """

    quantized: QuantizedCopies
    codes: Codes


def copies_of(X: Values, max_abs: Floats, n_threads: int) -> Copies:
    """Prepare to copy an array.   max_abs : (n_features,) float64, its largest |x| of each feature."""
    return Copies(QuantizedCopies(X, n_threads), Codes(X, max_abs, n_threads))

"""Compact copies of the samples, made at the first request."""

from __future__ import annotations

from typing import NamedTuple

from ..types import Floats, Values
from .coding import Codes
from .quantizing import QuantizedCopies


class Copies(NamedTuple):
    """Compact copies of one array, shared by seeding, algorithms and several starts.

    quantized : each feature as a whole number.   codes : coordinates along a few directions.
    """

    quantized: QuantizedCopies
    codes: Codes


def copies_of(X: Values, max_abs: Floats, n_threads: int) -> Copies:
    """Return the copies of an array, to be made at the first request.   max_abs : (n_features,) float64, largest |x|."""
    quantized = QuantizedCopies(X, n_threads)
    return Copies(quantized, Codes(X, max_abs, n_threads, quantized))

"""The numbers of clusters that a sweep tries."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from typing import Any

import numpy as np

DEFAULT_K = range(1, 11)


def k_values(k: int | str | Iterable[int], n_samples: int) -> list[int]:
    """Return the numbers of clusters to try, ascending and each once."""
    if k is DEFAULT_K:  # nobody asked for more than there are
        k = range(1, min(DEFAULT_K[-1], n_samples) + 1)
    candidates = sorted({_whole_number(value) for value in _expand(k)})
    if not candidates:
        raise ValueError(f"k must hold at least one number of clusters; got {k!r}.")
    if candidates[0] < 1:
        raise ValueError(f"k must hold numbers of clusters >= 1; got {candidates[0]}.")
    if candidates[-1] > n_samples:
        raise ValueError(
            f"k must not go beyond n_samples={n_samples}; got {candidates[-1]}. Pass k={n_samples} or less."
        )
    return candidates


def _expand(k: int | str | Iterable[int]) -> Iterable[Any]:
    if isinstance(k, str):
        first, colon, last = k.partition(":")
        try:
            return range(int(first), int(last) + 1) if colon else range(1, int(k) + 1)
        except ValueError:
            raise ValueError(f"k must look like '1:10' or '10' when it is text; got {k!r}.") from None
    if isinstance(k, Iterable) and getattr(k, "ndim", 1):
        return k
    return range(1, _whole_number(k) + 1)


def _whole_number(value: Any) -> int:
    if not isinstance(value, (bool, np.bool_)):
        try:
            return operator.index(value)
        except TypeError:
            pass
    raise TypeError(
        f"k must be a whole number, a range, a list of whole numbers or text such as '1:10'; got {value!r}."
    )

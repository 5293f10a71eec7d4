"""The numbers of clusters that a sweep tries."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from typing import Any

import numpy as np

DEFAULT_K = range(1, 11)

AUTO_LIMIT = 40
"""n_clusters="auto" tries 1 to 10 as elbow() does. If that names no number and the curve has not come to rest, it goes on to 20,
and then to this number."""


def k_values(k: int | str | Iterable[int], n_samples: int) -> list[int]:
    """Return the numbers of clusters to try, ascending and each once.

    Raises TypeError if k is no whole numbers, ValueError if k is empty or a number is below 1 or above n_samples.
    """
    if k is DEFAULT_K:  # the default fits any number of samples
        k = range(1, min(DEFAULT_K[-1], n_samples) + 1)
    numbers = _expand(k)
    if isinstance(numbers, range):  # the ends are checked before a long range becomes a list
        _check_ends([*numbers[:1], *numbers[-1:]], k, n_samples)
    candidates = sorted({_whole_number(value) for value in numbers})
    _check_ends(candidates, k, n_samples)
    return candidates


def _check_ends(numbers: list[int], k: int | str | Iterable[int], n_samples: int) -> None:
    if not numbers:
        raise ValueError(f"k must hold at least one number of clusters; got {k!r}. Pass for example '1:10'.")
    if min(numbers) < 1:
        raise ValueError(f"k must hold numbers of clusters >= 1; got {min(numbers)}. Start at 1.")
    if max(numbers) > n_samples:
        raise ValueError(f"k must not go beyond n_samples={n_samples}; got {max(numbers)}. Pass k={n_samples} or less.")


def _expand(k: int | str | Iterable[int]) -> Iterable[Any]:
    if isinstance(k, str):
        first, colon, last = k.partition(":")
        try:
            return range(int(first), int(last) + 1) if colon else range(1, int(k) + 1)
        except ValueError:
            raise ValueError(f"k must look like '1:10' or '10' when it is text; got {k!r}.") from None
    if isinstance(k, Iterable) and getattr(k, "ndim", 1) != 0:
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

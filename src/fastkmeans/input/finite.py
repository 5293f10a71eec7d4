"""Checks that float64 can compute with values: finite, small enough to be squared, small enough to be added up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from ..types import Names, Values

# Squares of larger values leave no room in float64 for the sum over the features.
MAGNITUDE_LIMIT = 1e150
_LARGEST = float(np.finfo(np.float64).max)


def check_finite(
    values: Values,
    name: str = "X",
    feature_names: Names | None = None,
    *,
    find: Callable[[Values], int] | None = None,
    first_row: int = 0,
) -> None:
    """Raise ValueError, naming the place, if a value is NaN, infinite or too large to be squared.

    values : 1-D or 2-D, C order, float32 or float64.
    feature_names : column names for the message; by default columns are numbered.
    find : returns the flat index of the first such value or -1; by default find_unusable.
    first_row : number of the row of `values` that is its first.
    """
    index = (find or find_unusable)(values)
    if index < 0:
        return
    refuse(values.flat[index], name, _where(values, index, feature_names, first_row))


def refuse(value: Any, name: str, where: str) -> NoReturn:
    """Raise ValueError for a value that is NaN, infinite or too large to be squared.   where : its place, in words."""
    if np.isnan(value):
        raise ValueError(
            f"Input {name} contains NaN. The first is in {where}; a null counts as one. Fill it in, or drop its row."
        )
    if np.isinf(value):
        raise ValueError(
            f"Input {name} contains infinity or a value too large for dtype('{value.dtype}'). "
            f"The first is in {where}. Clip it, or drop its row."
        )
    raise ValueError(
        f"Input {name} contains {value:g} in {where}, which overflows float64 when squared: the limit is "
        f"{MAGNITUDE_LIMIT:g}. Rescale {name}."
    )


def find_unusable(values: Values) -> int:
    """Return the flat index of the first value that is NaN, infinite or over MAGNITUDE_LIMIT; -1 if none."""
    # One pass without a temporary: an unusable value drives the sum of squares beyond the limit's square, or
    # to NaN. A comparison in float32 would round the limit to infinity, hence float().
    if float(np.vdot(values, values)) <= MAGNITUDE_LIMIT**2:
        return -1
    limit = min(MAGNITUDE_LIMIT, float(np.finfo(values.dtype).max))
    flat = values.reshape(-1)
    block = 1 << 16
    for start in range(0, flat.size, block):
        unusable = ~(np.abs(flat[start : start + block]) <= limit)
        if unusable.any():
            return start + int(unusable.argmax())
    return -1


def check_inertia(inertia: float, largest_weight: float) -> float:
    """Return the inertia, or raise ValueError if it overflows float64.

    largest_weight : the largest sample_weight; 1 if there are no weights.
    """
    if inertia <= _LARGEST:  # False for NaN, too
        return inertia
    if largest_weight > 1.0:
        raise ValueError(
            "sample_weight must be small enough that the inertia, a sum of weight times distance, does not overflow "
            f"float64; its largest weight is {largest_weight:g}. Divide all weights by that: only their ratios matter."
        )
    raise ValueError(
        "X must be small enough that the inertia, a sum over all samples, does not overflow float64. Rescale X."
    )


def _where(values: Values, index: int, feature_names: Names | None, first_row: int) -> str:
    """Return the place of a flat index in words."""
    if values.ndim == 1:
        return f"row {first_row + index}"
    i, f = divmod(index, values.shape[1])
    i += first_row
    return f"row {i}, column {f if feature_names is None else repr(feature_names[f])}"

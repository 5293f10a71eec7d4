"""Turns anything array-like into an ndarray of floats, which shares its memory if possible."""

from __future__ import annotations

from typing import Any, overload

import numpy as np

from .._core.stored import KINDS, StoredRows
from ..types import AnyArray, Floats, Values

FLOAT32 = np.dtype(np.float32)
FLOAT64 = np.dtype(np.float64)

_DLPACK_CPU = 1
_DLPACK_NAMES = {
    2: "CUDA",
    4: "OpenCL",
    7: "Vulkan",
    8: "Metal",
    10: "ROCm",
    13: "CUDA managed",
    14: "oneAPI",
    15: "WebGPU",
}

_NEEDS_NUMBERS = "and k-means needs numbers: encode it as numbers, or leave it out"

_REFUSED_KINDS = {
    "c": "Complex data not supported: {name} has dtype {dtype}. Pass real and imaginary parts as columns.",
    "U": "{name} holds text (dtype {dtype}), " + _NEEDS_NUMBERS + ".",
    "S": "{name} holds bytes (dtype {dtype}), " + _NEEDS_NUMBERS + ".",
    "T": "{name} holds text (dtype {dtype}), " + _NEEDS_NUMBERS + ".",
    "M": "{name} holds dates (dtype {dtype}), " + _NEEDS_NUMBERS + ".",
    "m": "{name} holds durations (dtype {dtype}), " + _NEEDS_NUMBERS + ".",
    "V": "{name} is a structured array (dtype {dtype}): pass a plain 2D array, for example "
    "numpy.lib.recfunctions.structured_to_unstructured({name}).",
}


BFLOAT16 = "bfloat16"
"""Name of a type of ml_dtypes, which is not imported for it."""

COPIED_VALUES = 1 << 18
"""An array of at most so many values is copied rather than read in place: the copy has at most 2 MiB, and small fits are faster over
it."""


def counted_as(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return float32 or float64: the type that samples of some type count as. float16 and bfloat16 are exact in float32."""
    is_short = dtype.kind == "f" and dtype.itemsize <= FLOAT32.itemsize
    return FLOAT32 if is_short or dtype.name == BFLOAT16 else FLOAT64


def read_in_place(array: AnyArray) -> StoredRows | None:
    """Return the rows of an array that needs neither a copy nor C order; None if it is small, or of a type that needs a copy."""
    if array.dtype == np.bool_:
        array = array.view(np.uint8)
    dtype = array.dtype
    if array.size <= COPIED_VALUES or not (dtype.name in KINDS and dtype.isnative and array.flags.aligned):
        return None
    if is_ready(array, None):
        return None
    return StoredRows(array, counted_as(dtype))


def is_ready(array: AnyArray, wanted: np.dtype[Any] | None) -> bool:
    """Say whether the array can be used as it is."""
    flags, dtype = array.flags, array.dtype
    return (
        array.ndim == 2
        and array.size > 0
        and flags.c_contiguous
        and flags.aligned
        and (dtype in (FLOAT32, FLOAT64) if wanted is None else dtype == wanted)
    )


def to_array(X: Any, name: str) -> AnyArray:
    """Return X as a plain ndarray of any shape and dtype, which shares its memory if possible."""
    if hasattr(X, "toarray") and hasattr(X, "nnz"):
        raise TypeError(f"{name} must be dense; got a sparse {type(X).__name__}. Use {name}.toarray().")
    if hasattr(X, "filled") and np.any(getattr(X, "mask", False)):
        raise ValueError(
            f"{name} is a masked array with masked values: fill or drop them, for example {name}.filled(0)."
        )
    try:
        if not isinstance(X, np.ndarray) and hasattr(X, "__dlpack_device__"):
            _check_device(X, name)
            array = np.asarray(X) if hasattr(X, "__array__") else np.from_dlpack(X)
        else:
            array = np.asarray(X)
    except ValueError as error:
        message = _ragged_message(X, name) or f"{name} does not convert to an array: {error}"
        raise ValueError(message) from error
    except MemoryError:
        raise
    except Exception as error:  # libraries have errors of their own
        raise TypeError(
            f"{name} ({type(X).__name__}) does not convert to a NumPy array: {error}. Cast it to float64 first."
        ) from error
    return array


def check_shape(array: AnyArray, name: str) -> None:
    """Raise ValueError if an array is not 2-D, or has no rows or no columns."""
    if array.ndim != 2:
        got = "scalar array" if array.ndim == 0 else f"{array.ndim}D array"
        way_out = {
            0: f"{name}.reshape(1, -1)",
            1: f"{name}.reshape(-1, 1) if it is one feature, {name}.reshape(1, -1) if it is one sample, "
            "or table[['column']] for one column of a table",
        }.get(array.ndim, f"{name}.reshape(len({name}), -1) gives one row per sample")
        raise ValueError(
            f"Expected 2D array, got {got} instead: {name} has shape {array.shape}. Reshape your data: {way_out}."
        )
    for length, what in zip(array.shape, ("sample", "feature")):
        if length == 0:
            raise ValueError(
                f"Found array with 0 {what}(s) (shape={array.shape}) while a minimum of 1 is required. "
                f"Pass an {name} with at least one row and one column."
            )


@overload
def to_float(array: AnyArray, name: str, wanted: np.dtype[np.float64]) -> Floats: ...


@overload
def to_float(array: AnyArray, name: str, wanted: np.dtype[Any] | None) -> Values: ...


def to_float(array: AnyArray, name: str, wanted: np.dtype[Any] | None) -> Values:
    """Convert to an aligned C-order array of float32 or float64."""
    kind, dtype = array.dtype.kind, array.dtype
    if kind in _REFUSED_KINDS and dtype.name != BFLOAT16:
        raise ValueError(_REFUSED_KINDS[kind].format(name=name, dtype=dtype))
    if wanted is None:
        wanted = counted_as(dtype)
    try:
        # A value that overflows becomes infinite, which check_finite reports better than a warning.
        with np.errstate(over="ignore"):
            return np.require(array, wanted, ("C_CONTIGUOUS", "ALIGNED")).view()
    except (TypeError, ValueError, OverflowError) as error:
        kind_of_error = TypeError if isinstance(error, TypeError) else ValueError
        raise kind_of_error(
            f"{name} has dtype {dtype} with entries that are not numbers ({error}), {_NEEDS_NUMBERS}."
        ) from error


def _check_device(X: Any, name: str) -> None:
    """Raise TypeError if a tensor is not in CPU memory."""
    device = X.__dlpack_device__()[0]
    if device != _DLPACK_CPU:
        where = _DLPACK_NAMES.get(int(device), f"device type {int(device)} of DLPack")
        raise TypeError(
            f"{name} ({type(X).__name__}) is not in CPU memory but in that of {where}: copy it to the CPU first, for example "
            f"{name}.cpu()."
        )


def _ragged_message(X: Any, name: str) -> str | None:
    """Describe the first row whose length differs from that of row 0; None if X is not a ragged list."""
    if not isinstance(X, (list, tuple)):
        return None
    lengths = [len(row) if hasattr(row, "__len__") else 1 for row in X]
    for i, length in enumerate(lengths):
        if length != lengths[0]:
            return (
                f"{name} is ragged: row {i} has {length} values and row 0 has {lengths[0]}. "
                "Give every row the same number of values."
            )
    return None

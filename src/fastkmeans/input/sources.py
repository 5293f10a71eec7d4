"""Rows that lie outside memory: recognised here, and read by the folder sources, which is imported when such rows arrive."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np

from ..types import Names, Values

if TYPE_CHECKING:
    from ..sources.rows import StreamedRows

_HELD_IN_MEMORY = (list, tuple, set, frozenset, dict, bytes, bytearray, range)


def is_source(X: Any) -> bool:
    """Say whether X is read in blocks: open rows, files, a map of a file, a lazy table, or batches; not what lies in memory."""
    if isinstance(X, np.ndarray):
        return isinstance(X, np.memmap) and getattr(X, "_mmap", None) is not None
    if is_path(X):
        return True
    if isinstance(X, _HELD_IN_MEMORY):
        return isinstance(X, (list, tuple)) and len(X) > 0 and all(map(is_path, X))
    if is_open(X) or is_lazy(X):
        return True
    if isinstance(X, type) or hasattr(X, "__array__") or hasattr(X, "shape") or hasattr(X, "__array_interface__"):
        return False
    return callable(X) or (hasattr(X, "__iter__") and not hasattr(X, "__getitem__"))


def is_path(X: Any) -> bool:
    """Say whether X is a path or a pattern of paths."""
    return isinstance(X, (str, os.PathLike))


def is_lazy(X: Any) -> bool:
    """Say whether X is a table that its library has not read yet, or a reader of its batches."""
    library = type(X).__module__.partition(".")[0]
    if library == "polars":
        return hasattr(X, "collect_schema") and hasattr(X, "collect")
    return library == "pyarrow" and (hasattr(X, "scanner") or hasattr(X, "read_next_batch"))


def is_open(X: Any) -> TypeGuard[StreamedRows]:
    """Say whether X is what open_rows returns."""
    return getattr(type(X), "opened_by", None) == "open_rows"


def weights_or_own(X: Any, sample_weight: Any) -> Any:
    """Return the weights, or those of rows that open_rows has opened with weights."""
    return X.sample_weight if sample_weight is None and is_open(X) else sample_weight


def read_source(
    X: Any, name: str, features: Names | None, streamed: bool
) -> tuple[Values | StreamedRows, Names | None] | None:
    """Return the rows of a source, and the names of their columns: in an array if they fit memory, else as StreamedRows.

    Returns None for a map of a file that is better read as it is: if it fits, or if the caller needs an array.
    features : as for as_matrix.   streamed : whether the caller reads StreamedRows.
    Raises ValueError if the rows fit no array and the caller needs one.
    """
    from ..sources.rows import opened

    rows = opened(X, name, features)
    if isinstance(X, np.memmap) and (rows.fits_memory or not streamed):
        return None
    if rows.fits_memory:
        return rows.loaded(), rows.feature_names
    if not streamed:
        raise ValueError(
            f"{name} has {rows.size * rows.dtype.itemsize:,} bytes, more than the third of memory_limit={rows.memory_limit:,} that is "
            "read into memory; only KMeans and elbow(), with missing='error', read rows in blocks."
        )
    return rows, rows.feature_names

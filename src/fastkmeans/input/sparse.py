"""Sparse matrices and arrays of SciPy -> sparse rows. SciPy is never imported: what it is asked for are its objects' own methods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .._core.csr import CsrRows, first_unusable
from .arrays import check_shape, to_float
from .finite import MAGNITUDE_LIMIT, refuse

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

_LARGEST_INDEX = 2**31 - 1


def is_sparse(X: Any) -> bool:
    """Say whether X is a sparse matrix or a sparse array of SciPy, or has the same methods."""
    return hasattr(X, "tocsr") and hasattr(X, "nnz")


def read_sparse(X: Any, name: str, wanted: DTypeLike | None) -> CsrRows:
    """Return the rows of X, which share its memory if X is CSR in float32 or float64 with 32-bit indices.

    Other layouts are converted by SciPy. Entries that are stored twice are added up, in a copy.
    """
    check_shape(X, name)
    n_features = X.shape[1]
    if n_features > _LARGEST_INDEX:
        raise ValueError(f"{name} must have at most {_LARGEST_INDEX} features; got {n_features}. Hash or drop some.")
    rows = X if X.format == "csr" else X.tocsr()
    if not rows.has_canonical_format:
        rows = rows.copy() if rows is X else rows
        rows.sum_duplicates()
    values = to_float(rows.data[None, : rows.indptr[-1]], name, None if wanted is None else np.dtype(wanted))[0]
    features = np.ascontiguousarray(rows.indices[: rows.indptr[-1]], dtype=np.int32)
    return CsrRows(values, features, np.ascontiguousarray(rows.indptr, dtype=np.int64), int(n_features))


def check_stored(rows: CsrRows, name: str) -> None:
    """Raise ValueError, naming the place, if a stored value is NaN, infinite or too large to be squared."""
    limit = min(MAGNITUDE_LIMIT, float(np.finfo(rows.dtype).max))
    place = first_unusable(rows, limit)
    if place >= 0:
        row = int(np.searchsorted(rows.starts, place, side="right")) - 1
        refuse(rows.values[place], name, f"row {row}, column {rows.features[place]}")

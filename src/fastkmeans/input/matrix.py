"""Turns anything 2-D into a row matrix. An ndarray that needs no conversion is not copied.

A wrong container (sparse, lazy, on a GPU) raises TypeError. Wrong contents raise ValueError, except that an entry raises
TypeError if float() does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..types import Names, Values
from .arrays import check_shape, is_ready, read_in_place, to_array, to_float
from .sources import is_source, read_source
from .sparse import is_sparse, read_sparse
from .tables import column_names, is_table, read_table, select_columns

if TYPE_CHECKING:
    from numpy.typing import DTypeLike


class Matrix(NamedTuple):
    """A checked row matrix, and what is needed to return names and tables like the caller's.

    values : (n_samples, n_features), C order, native float32 or float64, the caller's memory if that fits; CsrRows if X is sparse;
        StoredRows if it is read in place.
    feature_names : (n_features,) of str, dtype object; None unless every column has a string for a name.
    native : the table that was passed, for the frame_* functions of tables.py; None for anything else.
    """

    values: Values
    feature_names: Names | None
    native: Any


def as_matrix(
    X: Any, *, name: str = "X", dtype: DTypeLike | None = None, features: Names | None = None, sparse: bool = False,
    in_place: bool = False, streamed: bool = False,
) -> Matrix:  # fmt: skip
    """Turn X into a row matrix, without a copy when X is an aligned C-order float32 or float64 array.

    X : array-like of shape (n_samples, n_features), nested lists, DataFrame, or tensor in CPU memory.
    name : what messages call X.
    dtype : float32 or float64 to convert to. By default float32 stays, float16 becomes float32, the rest
        float64; a table gives float32 only if all its columns are float32.
    features : names of the features of a fitted model. Of a table that has all these columns and others, such as text and
        labels, these are read, in the order of the fit. Every other table is read as it is, for the model to compare the names.
    sparse : whether X may be a sparse matrix or array of SciPy, whose values are then CsrRows.
    in_place : whether values may be StoredRows, if X is a large array that float32 or float64 in C order would be a copy of.
    streamed : whether X may be rows that do not fit memory, whose values are then StreamedRows. If they fit, they are read into
        an array for everyone.
    Returns Matrix. Values may be NaN or infinite (a null becomes NaN): compare the feature names with those
        of fit first, then call check_finite.
    Raises TypeError for a container that cannot be read, ValueError for a wrong shape or wrong contents.
    """
    wanted = None if dtype is None else np.dtype(dtype)
    if type(X) is np.ndarray and is_ready(X, wanted):
        return Matrix(X.view(), None, None)  # a view, because the caller may change the shape of X meanwhile
    if is_source(X):
        read = read_source(X, name, features, streamed)
        if read is not None:
            return Matrix(*read, None)  # type: ignore[arg-type]  # they have shape, dtype and size as values have
    if is_table(X):
        if features is not None and set(features) < set(column_names(X)):
            X = select_columns(X, features.tolist())
        return Matrix(*read_table(X, name, wanted), X)
    if sparse and is_sparse(X):
        rows = read_sparse(X, name, wanted)
        return Matrix(rows, None, None)  # type: ignore[arg-type]  # they have shape, dtype and size as values have
    array = to_array(X, name)
    if array.ndim == 0 and array.dtype.kind in "OUS":
        raise TypeError(f"{name} must be a 2D array-like or a DataFrame; got {type(X).__name__}.")
    check_shape(array, name)
    if in_place and wanted is None:
        stored = read_in_place(array)
        if stored is not None:
            return Matrix(stored, None, None)  # type: ignore[arg-type]  # as above
    return Matrix(to_float(array, name, wanted), None, None)

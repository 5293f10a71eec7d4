"""Anything 2-D -> a row matrix, and results -> the caller's kind of table.

The one file that names a DataFrame library. An ndarray that needs no conversion passes through untouched, and
narwhals is imported only when a table arrives.

A wrong container (sparse, lazy, on a GPU) raises TypeError, wrong contents raise ValueError; only an entry
that Python's own float() refuses with TypeError does so here too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

FLOAT32 = np.dtype(np.float32)
FLOAT64 = np.dtype(np.float64)

# Squares of larger values leave no room in float64 for the sum over the features.
MAGNITUDE_LIMIT = 1e150
_LARGEST = float(np.finfo(np.float64).max)

# What set_output accepts: "default" is a NumPy array, the others are libraries narwhals can build tables of.
OUTPUT_KINDS = ("default", "pandas", "polars", "pyarrow")

_TABLE_LIBRARIES = frozenset({"pandas", "polars", "pyarrow", "modin", "cudf", "dask", "narwhals"})

_DLPACK_CPU = 1

# A table is copied in blocks of rows that stay in the L2 cache: 1M x 20 float64 fills in 31 ms, and takes
# 380 ms as a Fortran-order copy that is then transposed.
_BLOCK_SAMPLES = 4096

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


class Matrix(NamedTuple):
    """A checked row matrix and what is needed to answer in the caller's own terms.

    values : (n_samples, n_features), C order, native float32 or float64; the caller's memory if that fits.
    feature_names : (n_features,) of str, dtype object; None unless every column has a string for a name.
    native : the table that was passed, for the frame_* helpers; None for anything else.
    """

    values: np.ndarray
    feature_names: np.ndarray | None
    native: Any


def is_table(X: Any) -> bool:
    """Say whether X is a table, eager or lazy, of a library that narwhals reads. A Series is not."""
    if not any(base.__module__.partition(".")[0] in _TABLE_LIBRARIES for base in type(X).__mro__):
        return False
    if _is_record_batch(X):
        return True
    import narwhals.stable.v2 as nw
    from narwhals.exceptions import DuplicateError

    try:
        return isinstance(nw.from_native(X, pass_through=True), (nw.DataFrame, nw.LazyFrame))
    except DuplicateError:
        return True


def as_matrix(X: Any, *, name: str = "X", dtype: Any = None) -> Matrix:
    """Turn X into a row matrix, without a copy when X is an aligned C-order float32 or float64 array.

    X : array-like of shape (n_samples, n_features), nested lists, DataFrame, or tensor in CPU memory.
    name : what messages call X.
    dtype : float32 or float64 to convert to. By default float32 stays, float16 becomes float32, the rest
        float64; a table gives float32 only if all its columns are float32.
    Returns Matrix. Values may be NaN or infinite (a null becomes NaN): compare the feature names with those
        of fit first, then call check_finite.
    Raises TypeError for a container that cannot be read, ValueError for a wrong shape or wrong contents.
    """
    wanted = None if dtype is None else np.dtype(dtype)
    if type(X) is np.ndarray and _is_ready(X, wanted):
        return Matrix(X.view(), None, None)  # whoever holds X may give it another shape meanwhile
    if is_table(X):
        return _read_table(X, name, wanted)
    array = _to_array(X, name)
    if array.ndim == 0 and array.dtype.kind in "OUS":
        raise TypeError(f"{name} must be a 2D array-like or a DataFrame; got {type(X).__name__}.")
    _check_shape(array, name)
    return Matrix(_to_float(array, name, wanted), None, None)


def check_finite(
    values: np.ndarray,
    name: str = "X",
    feature_names: np.ndarray | None = None,
    *,
    find: Callable[[np.ndarray], int] | None = None,
) -> None:
    """Raise ValueError, naming the place, if a value is NaN, infinite or too large to be squared.

    values : 1-D or 2-D, C order, float32 or float64.
    feature_names : column names for the message; by default columns are numbered.
    find : returns the flat index of the first such value or -1; by default find_unusable.
    """
    index = (find or find_unusable)(values)
    if index < 0:
        return
    value = values.flat[index]
    where = _where(values, index, feature_names)
    if np.isnan(value):
        raise ValueError(
            f"Input {name} contains NaN. The first is in {where}; a null counts as one. "
            "Fill it in, or drop its row."
        )
    if np.isinf(value):
        raise ValueError(
            f"Input {name} contains infinity or a value too large for dtype('{values.dtype}'). "
            f"The first is in {where}. Clip it, or drop its row."
        )
    raise ValueError(
        f"Input {name} contains {value:g} in {where}, which overflows float64 when squared: the limit is "
        f"{MAGNITUDE_LIMIT:g}. Rescale {name}."
    )


def find_unusable(values: np.ndarray) -> int:
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


def as_weights(sample_weight: Any, n_samples: int) -> np.ndarray | None:
    """Return the weights as a C-order float64 array of shape (n_samples,), or None if sample_weight is None.

    sample_weight : None, a number (given to every sample) or array-like of shape (n_samples,); finite, not
        negative, at least one above zero. Not copied when already float64.
    Raises ValueError if it is anything else.
    """
    if sample_weight is None:
        return None
    array = _to_array(sample_weight, "sample_weight")
    if array.ndim == 0:
        array = np.full(n_samples, array)
    if array.ndim != 1:
        raise ValueError(
            "sample_weight must be a number or a 1D array with one weight per sample; got an array of shape "
            f"{array.shape}. Use sample_weight.ravel() if it is one column."
        )
    if len(array) != n_samples:
        raise ValueError(
            f"sample_weight must have one weight a sample; got {len(array)} weights for {n_samples} samples."
        )
    weights = _to_float(array, "sample_weight", FLOAT64)
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
    return weights


def check_inertia(inertia: float, largest_weight: float) -> float:
    """Return the inertia, or raise ValueError if it overflows float64.

    largest_weight : the largest sample_weight, 1 without.
    """
    if inertia <= _LARGEST:  # no NaN either
        return inertia
    if largest_weight > 1.0:
        raise ValueError(
            f"sample_weight must be small enough that the inertia, a sum of weight times distance, does not overflow float64; "
            f"its largest weight is {largest_weight:g}. Divide all weights by that: only their ratios matter."
        )
    raise ValueError(
        "X must be small enough that the inertia, a sum over all samples, does not overflow float64. Rescale X."
    )


def frame_with_labels(native_table: Any, labels: np.ndarray, column: str = "labels") -> Any:
    """Return the table, of its own kind and with its own index, with the labels as its last column.

    Raises ValueError if the table already has a column of that name.
    """
    import narwhals.stable.v2 as nw

    frame = _open_table(native_table, "the table")
    if column in frame.columns:
        raise ValueError(
            f"The table already has a column {column!r}: name the new one otherwise, or drop that column."
        )
    series = nw.new_series(column, labels, backend=nw.get_native_namespace(frame))
    return _like(frame.with_columns(series), native_table)


def frame_from_columns(columns: Mapping[str, np.ndarray], like: Any) -> Any:
    """Return a table of the same library as `like`, with a default index, from arrays of equal length."""
    import narwhals.stable.v2 as nw

    backend = nw.get_native_namespace(_open_table(like, "the table"))
    return _like(nw.from_dict(dict(columns), backend=backend), like)


def frame_for_output(values: np.ndarray, columns: np.ndarray, kind: str, like: Any = None) -> Any:
    """Return the output of a transform as a table of the library `kind` (one of OUTPUT_KINDS[1:]).

    values : (n_samples, len(columns)).
    like : what was transformed; if it is a table with an index and `kind` has one, that is kept.
    """
    import narwhals.stable.v2 as nw

    by_name = {str(column): values[:, j] for j, column in enumerate(columns)}
    try:
        frame = nw.from_dict(by_name, backend=kind)
    except ImportError as error:
        raise ImportError(f"set_output(transform={kind!r}) needs {kind}: pip install {kind}") from error
    table = frame.to_native()
    if is_table(like) and nw.maybe_get_index(frame) is not None:
        index = nw.maybe_get_index(_open_table(like, "the table"))
        if index is not None:
            table.index = index
    return table


def _is_ready(array: np.ndarray, wanted: np.dtype | None) -> bool:
    """Say whether the array can be used as it is."""
    flags, dtype = array.flags, array.dtype
    return (
        array.ndim == 2
        and array.size > 0
        and flags.c_contiguous
        and flags.aligned
        and (dtype in (FLOAT32, FLOAT64) if wanted is None else dtype == wanted)
    )


def _to_array(X: Any, name: str) -> np.ndarray:
    """Read X into a plain ndarray of any shape and dtype, sharing memory where possible."""
    if hasattr(X, "toarray") and hasattr(X, "nnz"):
        raise TypeError(
            f"{name} is sparse ({type(X).__name__}), and only dense data is supported: use {name}.toarray()."
        )
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


def _check_device(X: Any, name: str) -> None:
    """Refuse a tensor that is not in CPU memory."""
    device = X.__dlpack_device__()[0]
    if device != _DLPACK_CPU:
        raise TypeError(
            f"{name} ({type(X).__name__}) is not in CPU memory (DLPack device {int(device)}): copy it there "
            f"first, for example {name}.cpu()."
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


def _check_shape(array: np.ndarray, name: str) -> None:
    """Refuse an array that is not 2-D, or has no rows or no columns."""
    if array.ndim != 2:
        got = "scalar array" if array.ndim == 0 else f"{array.ndim}D array"
        way_out = {
            0: f"{name}.reshape(1, -1)",
            1: f"{name}.reshape(-1, 1) if it is one feature, {name}.reshape(1, -1) if it is one sample, "
            "or table[['column']] for one column of a table",
        }.get(array.ndim, f"{name}.reshape(len({name}), -1) gives one row per sample")
        raise ValueError(
            f"Expected 2D array, got {got} instead: {name} has shape {array.shape}. "
            f"Reshape your data: {way_out}."
        )
    for length, what in zip(array.shape, ("sample", "feature")):
        if length == 0:
            raise ValueError(
                f"Found array with 0 {what}(s) (shape={array.shape}) while a minimum of 1 is required. "
                f"Pass an {name} with at least one row and one column."
            )


def _to_float(array: np.ndarray, name: str, wanted: np.dtype | None) -> np.ndarray:
    """Convert to an aligned C-order array of float32 or float64."""
    kind, dtype = array.dtype.kind, array.dtype
    if kind in _REFUSED_KINDS:
        raise ValueError(_REFUSED_KINDS[kind].format(name=name, dtype=dtype))
    if wanted is None:
        wanted = FLOAT32 if kind == "f" and dtype.itemsize <= FLOAT32.itemsize else FLOAT64
    try:
        # What overflows becomes infinite, and check_finite says so better than a warning.
        with np.errstate(over="ignore"):
            return np.require(array, wanted, ("C_CONTIGUOUS", "ALIGNED")).view()
    except (TypeError, ValueError, OverflowError) as error:
        kind_of_error = TypeError if isinstance(error, TypeError) else ValueError
        raise kind_of_error(
            f"{name} has dtype {dtype} with entries that are not numbers ({error}), {_NEEDS_NUMBERS}."
        ) from error


def _where(values: np.ndarray, index: int, feature_names: np.ndarray | None) -> str:
    """Name the place of a flat index."""
    if values.ndim == 1:
        return f"row {index}"
    i, f = divmod(index, values.shape[1])
    return f"row {i}, column {f if feature_names is None else repr(feature_names[f])}"


def _open_table(X: Any, name: str) -> Any:
    """Wrap an eager table in narwhals."""
    import narwhals.stable.v2 as nw
    from narwhals.exceptions import DuplicateError

    try:
        frame = nw.from_native(_as_arrow_table(X) if _is_record_batch(X) else X)
    except DuplicateError as error:
        raise ValueError(
            f"{name} must have unique column names: rename or drop the repeated ones. {error}"
        ) from error
    if isinstance(frame, nw.LazyFrame):
        raise TypeError(
            f"{name} is a lazy table ({type(X).__name__}): load it first, for example {name}.collect() or "
            f"{name}.compute()."
        )
    return frame


def _like(frame: Any, native_table: Any) -> Any:
    """Return a narwhals frame as it is if the caller gave one, else as a table of its library."""
    import narwhals

    if isinstance(native_table, narwhals.DataFrame):
        return frame
    table = frame.to_native()
    return table.combine_chunks().to_batches()[0] if _is_record_batch(native_table) else table


def _is_record_batch(X: Any) -> bool:
    """Say whether X is pyarrow's RecordBatch, a table that narwhals does not read."""
    return type(X).__name__ == "RecordBatch" and type(X).__module__.partition(".")[0] == "pyarrow"


def _as_arrow_table(batch: Any) -> Any:
    """Return a RecordBatch as a pyarrow Table over the same memory."""
    import pyarrow

    return pyarrow.Table.from_batches([batch])


def _read_table(X: Any, name: str, wanted: np.dtype | None) -> Matrix:
    """Copy a table into one C-order array and take its column names."""
    frame = _open_table(X, name)
    names = _feature_names(frame.columns, name)
    _check_shape(np.empty(frame.shape, dtype=bool), name)
    columns = _read_columns(frame, name)
    if wanted is None:
        wanted = FLOAT32 if all(column.dtype == FLOAT32 for column in columns) else FLOAT64
    values = np.empty(frame.shape, dtype=wanted)
    with np.errstate(over="ignore"):
        for start in range(0, len(values), _BLOCK_SAMPLES):
            rows = slice(start, start + _BLOCK_SAMPLES)
            for f, column in enumerate(columns):
                values[rows, f] = column[rows]
    return Matrix(values, names, X)


def _feature_names(columns: list, name: str) -> np.ndarray | None:
    """Return the column names if all are strings, None if none is."""
    kinds = {type(column).__name__ for column in columns if not isinstance(column, str)}
    if not kinds:
        return np.array(columns, dtype=object) if columns else None
    if any(isinstance(column, str) for column in columns):
        raise TypeError(
            f"Feature names must be all strings or none: {name} has column names of type str and of type "
            f"{', '.join(sorted(kinds))}. Rename its columns, for example to {name}.columns.astype(str)."
        )
    return None


def _read_columns(frame: Any, name: str) -> list[np.ndarray]:
    """Read every column of a narwhals frame into a 1-D array of numbers, nulls as NaN, mostly without a copy.

    Raises ValueError naming the columns that do not hold numbers.
    """
    import narwhals.stable.v2 as nw

    refused = [
        f"{column!r} ({dtype})"
        for column, dtype in zip(frame.columns, frame.schema.dtypes())
        # Object and Unknown may yet hold numbers: their entries decide.
        if not (dtype.is_numeric() or dtype in (nw.Boolean, nw.Object, nw.Unknown))
    ]
    if refused:
        listed = ", ".join(refused[:5]) + (f" and {len(refused) - 5} more" if len(refused) > 5 else "")
        raise ValueError(
            f"{name} has columns that do not hold numbers: {listed}. "
            "Encode them as numbers, or select the others."
        )
    columns = []
    for series in frame.iter_columns():
        # A null in a boolean column would make an object array.
        try:
            array = (series.cast(nw.Float64) if series.dtype == nw.Boolean else series).to_numpy()
        except MemoryError:
            raise
        except Exception as error:  # each library has errors of its own
            raise ValueError(
                f"column {series.name!r} of {name} ({series.dtype}) does not convert to a NumPy array: {error}. "
                "Cast it to Float64 first."
            ) from error
        if array.dtype.kind not in "fiu":
            array = _to_float(array, f"column {series.name!r} of {name}", None)
        columns.append(array)
    return columns

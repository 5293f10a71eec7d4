"""Tables of any library -> arrays, and results -> the caller's kind of table.

The one file of the package that names a DataFrame library, beside those that read and write files for the command line.
narwhals is imported only when a table arrives.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..types import AnyArray, Labels, Mask, Names, Values
from .arrays import FLOAT32, FLOAT64, check_shape, to_float

if TYPE_CHECKING:
    from .columns import Column

# What set_output accepts: "default" is a NumPy array, the others are libraries narwhals can build tables of.
OUTPUT_KINDS = ("default", "pandas", "polars", "pyarrow")

_TABLE_LIBRARIES = frozenset({"pandas", "polars", "pyarrow", "modin", "cudf", "dask", "narwhals"})

# A table is copied in blocks of rows that stay in the L2 cache: 1M x 20 float64 fills in 31 ms, and takes
# 380 ms as a Fortran-order copy that is then transposed.
_BLOCK_SAMPLES = 4096

# So many values of a column of text show what it holds.
_FEW_VALUES = 20


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


def read_table(X: Any, name: str, wanted: np.dtype[Any] | None) -> tuple[Values, Names | None]:
    """Copy a table into one C-order array, of float32 if `wanted` or all columns are, and take its column names."""
    frame = _open_table(X, name)
    names = _feature_names(frame.columns, name)
    check_shape(np.empty(frame.shape, dtype=bool), name)
    columns = _read_columns(frame, name)
    return stack_columns(columns, wanted), names


def stack_columns(columns: Sequence[AnyArray], dtype: np.dtype[Any] | None = None) -> Values:
    """Copy 1-D arrays of equal length side by side into one C-order array.

    dtype : float32 or float64; by default float32 if all columns are, else float64.
    """
    if dtype is None:
        dtype = FLOAT32 if all(column.dtype == FLOAT32 for column in columns) else FLOAT64
    values = np.empty((len(columns[0]), len(columns)), dtype=dtype)
    fill_columns(columns, values)
    return values


def fill_columns(columns: Sequence[AnyArray], values: Values) -> None:
    """Copy 1-D arrays of equal length side by side.   values : OUT (length, len(columns)), C order."""
    with np.errstate(over="ignore"):
        for start in range(0, len(values), _BLOCK_SAMPLES):
            rows = slice(start, start + _BLOCK_SAMPLES)
            for f, column in enumerate(columns):
                values[rows, f] = column[rows]


def column_names(table: Any) -> list[Any]:
    """Return the names of the columns of a table of any library."""
    return list(table.column_names if hasattr(type(table), "column_names") else table.columns)


def select_columns(table: Any, names: Sequence[Any], parameter: str = "columns") -> Any:
    """Return the table with these columns only, in this order, whatever its library.

    parameter : what the message calls `names`.
    Raises ValueError that lists the names which the table does not have.
    """
    known = column_names(table)
    known_names = set(known)
    missing = [name for name in names if name not in known_names]
    if missing:
        from .columns import list_names

        raise ValueError(
            f"{parameter} names {list_names(missing)}, which the table does not have; it has {list_names(known)}."
        )
    # The class is asked, not the table, because a pandas column may itself be called "select".
    return table.select(list(names)) if hasattr(type(table), "select") else table[list(names)]


def table_columns(X: Any, name: str = "the table") -> list[Column]:
    """Describe every column of an eager table, for feature_columns. Columns of numbers are not copied where that is possible."""
    import narwhals.stable.v2 as nw

    from .columns import Column

    frame = _open_table(X, name)
    index = _names_of_pandas_index(frame)
    columns = []
    for column_name, series in zip(frame.columns, frame.iter_columns()):
        dtype = series.dtype
        may_hold_numbers = dtype.is_numeric() or dtype in (nw.Boolean, nw.Object, nw.Unknown)
        marked = _marked_numbers(series)
        try:
            values = _read_column(series, name) if may_hold_numbers or marked is not None else None
        except (TypeError, ValueError):
            values = None
        columns.append(
            Column(
                column_name,
                values,
                whole=dtype.is_integer() or dtype == nw.Boolean,
                holds=_contents(series) if values is None else "numbers",
                is_index=column_name in index,
                mark="" if marked is None else marked[0],
            )
        )
    return columns


def missing_in(table: Any, name: str) -> Mask:
    """Return where a column of a table has no value: a null or a NaN."""
    series = _open_table(table, "X")[name]
    absent: Mask = series.is_null().to_numpy().astype(bool)
    if series.dtype.is_float():
        absent = absent | series.is_nan().fill_null(True).to_numpy().astype(bool)
    return absent


def take_rows(table: Any, kept: Mask) -> Any:
    """Return some rows of a table, of its own kind and with their index."""
    return _like(_open_table(table, "X").filter(kept.tolist()), table)


def index_of(table: Any) -> AnyArray | None:
    """Return the index of a table, (n_rows,) of any objects; None if its library has none."""
    import narwhals.stable.v2 as nw

    index = nw.maybe_get_index(_open_table(table, "X"))
    if index is None:
        return None
    labels = np.empty(len(index), dtype=object)
    labels[:] = list(index)
    return labels


def frame_with_labels(native_table: Any, labels: Labels, column: str = "labels", kept: AnyArray | None = None) -> Any:
    """Return the table, of its own kind and with its own index, with the labels as its last column.

    labels : (n_samples,), or (n_kept,) with `kept`.
    kept : (n_samples,) bool, which rows have labels; the others get null. None if all have.
    Raises ValueError if the table already has a column of that name.
    """
    import narwhals.stable.v2 as nw

    frame = _open_table(native_table, "the table")
    if column in frame.columns:
        raise ValueError(f"The table already has a column {column!r}: name the new one otherwise, or drop that column.")
    backend = nw.get_native_namespace(frame)
    if kept is None:
        return _like(frame.with_columns(nw.new_series(column, labels, backend=backend)), native_table)
    of_all = np.zeros(len(kept), dtype=labels.dtype)
    of_all[kept] = labels
    series = nw.new_series(column, of_all, backend=backend)
    if nw.dependencies.is_pandas_like_series(series.to_native()):
        # narwhals would make floats of these; pandas has integers that may be null.
        nullable = series.to_native().astype("Int32").mask(~kept)
        return _like(frame.with_columns(nw.from_native(nullable, series_only=True)), native_table)
    has_label = nw.new_series("kept", kept, backend=backend)
    labelled = frame.with_columns(series)
    return _like(labelled.with_columns(nw.when(has_label).then(nw.col(column)).alias(column)), native_table)


def frame_from_columns(columns: Mapping[str, AnyArray], like: Any) -> Any:
    """Return a table of the same library as `like`, with a default index, from arrays of equal length."""
    import narwhals.stable.v2 as nw

    backend = nw.get_native_namespace(_open_table(like, "the table"))
    return _like(nw.from_dict(dict(columns), backend=backend), like)


def frame_for_output(values: AnyArray, columns: Names, kind: str, like: Any = None) -> Any:
    """Return the output of a transform as a table of the library `kind` (one of OUTPUT_KINDS[1:]).

    values : (n_samples, len(columns)).
    like : what was transformed; if it is a table with an index and `kind` has one, that is kept.
    """
    import narwhals.stable.v2 as nw

    by_name = {str(column): values[:, j] for j, column in enumerate(columns)}
    backend: Any = kind  # narwhals' annotations list the names that it takes, and a str may be any
    try:
        frame = nw.from_dict(by_name, backend=backend)
    except ImportError as error:
        raise ImportError(f"set_output(transform={kind!r}) needs {kind}: pip install {kind}") from error
    table = frame.to_native()
    if is_table(like) and nw.maybe_get_index(frame) is not None:
        index = nw.maybe_get_index(_open_table(like, "the table"))
        if index is not None:
            table.index = index
    return table


def _open_table(X: Any, name: str) -> Any:
    """Wrap an eager table in narwhals."""
    import narwhals.stable.v2 as nw
    from narwhals.exceptions import DuplicateError

    try:
        frame = nw.from_native(_as_arrow_table(X) if _is_record_batch(X) else X)
    except DuplicateError as error:
        raise ValueError(f"{name} must have unique column names: rename or drop the repeated ones. {error}") from error
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


def _feature_names(columns: list[Any], name: str) -> Names | None:
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


def _read_columns(frame: Any, name: str) -> list[AnyArray]:
    """Read every column of a narwhals frame into a 1-D array of numbers, nulls as NaN, mostly without a copy.

    Raises ValueError naming the columns that do not hold numbers.
    """
    import narwhals.stable.v2 as nw

    refused = [
        f"{column!r} ({dtype})"
        for column, dtype in zip(frame.columns, frame.schema.dtypes())
        # Object and Unknown may yet hold numbers: their entries decide.
        if not (dtype.is_numeric() or dtype in (nw.Boolean, nw.Object, nw.Unknown))
        and _marked_numbers(frame[column]) is None
    ]
    if refused:
        listed = ", ".join(refused[:5]) + (f" and {len(refused) - 5} more" if len(refused) > 5 else "")
        raise ValueError(
            f"{name} has columns that do not hold numbers: {listed}. Encode them as numbers, or select the others."
        )
    return [_read_column(series, name) for series in frame.iter_columns()]


def _read_column(series: Any, name: str) -> AnyArray:
    """Read one column of a narwhals frame into a 1-D array of numbers; raise ValueError if that is impossible."""
    import narwhals.stable.v2 as nw

    marked = _marked_numbers(series)
    if marked is not None:
        return marked[1]
    # A null in a boolean column would make an object array.
    try:
        array: AnyArray = (series.cast(nw.Float64) if series.dtype == nw.Boolean else series).to_numpy()
    except MemoryError:
        raise
    except Exception as error:  # each library has errors of its own
        raise ValueError(
            f"column {series.name!r} of {name} ({series.dtype}) does not convert to a NumPy array: {error}. "
            "Cast it to Float64 first."
        ) from error
    if array.dtype.kind not in "fiu":
        array = to_float(array, f"column {series.name!r} of {name}", None)
    return array


def _marked_numbers(series: Any) -> tuple[str, AnyArray] | None:
    """Return the mark and the numbers of a column of text whose every value is a number with that mark; else None."""
    import narwhals.stable.v2 as nw

    from .marks import common_mark, read_marked

    if series.dtype != nw.String or not common_mark(series.drop_nulls().head(1).to_list()):
        return None
    return read_marked([field if isinstance(field, str) else None for field in series.to_list()])


def _contents(series: Any) -> str:
    """Say what a column without numbers holds."""
    import narwhals.stable.v2 as nw

    from .numbers import SIGNED, SIGNED_CONTENTS

    known = {
        nw.Date: "dates",
        nw.Datetime: "dates",
        nw.Duration: "durations",
        nw.Time: "times of day",
        nw.Categorical: "categories",
        nw.Enum: "categories",
    }
    for kind, contents in known.items():
        if series.dtype == kind:
            return contents
    values = series.drop_nulls().head(1).to_list()
    if not values:
        return "no values"
    if not isinstance(values[0], str):
        return f"no numbers: {series.dtype}, for example {values[0]!r:.40}"
    first = series.drop_nulls().head(_FEW_VALUES).to_list()
    if all(isinstance(value, str) and SIGNED.fullmatch(value) for value in first):
        return SIGNED_CONTENTS.format(values[0][:40])
    return f"text, for example {values[0]!r:.40}"


def _names_of_pandas_index(frame: Any) -> frozenset[str]:
    """Return the columns of a pyarrow table that were the index of the pandas table which was written."""
    metadata = getattr(getattr(frame.to_native(), "schema", None), "pandas_metadata", None) or {}
    return frozenset(column for column in metadata.get("index_columns", ()) if isinstance(column, str))

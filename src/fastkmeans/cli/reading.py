"""The tables that the command line reads."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from ..input.finite import check_finite
from ..input.matrix import as_matrix
from ..storage.npy import map_array
from ..storage.whole import check_plain_file
from ..types import Values
from . import csv_files

TABLE_SUFFIXES = (".csv", ".parquet", ".npy")


class TableFile(NamedTuple):
    """A table that was read: the columns to cluster by, and what is needed to write it again with labels.

    values : (n_samples, len(names)), C order, float32 or float64.
    names : the columns used. all_names : the columns of the file. named : whether the file itself names them.
    layout : how the file is laid out if it is a CSV file, else None.
    """

    path: str
    values: Values
    names: list[str]
    all_names: list[str]
    named: bool
    layout: csv_files.Layout | None


def read_table(path: str, columns: Sequence[str] | None = None, header: bool | None = None) -> TableFile:
    """Read the numeric columns of a .csv, .parquet or .npy file.

    columns : the columns to use, in this order; all by default. Without names: feature0, feature1, ...
    header : for a CSV file, whether its first record holds names; None to decide by looking.
    Raises ValueError, naming file and place, for contents that cannot be clustered; OSError if it cannot be
    read; ImportError if .parquet needs pyarrow.
    """
    table = _read(path, columns, header)
    check_finite(table.values, path, np.array(table.names, dtype=object))
    return table


def read_all_columns(table: TableFile) -> Any:
    """Read the whole of a .csv or .parquet file again, with the columns that were not used."""
    import_pyarrow()
    if table.layout is None:
        from pyarrow.parquet import read_table as read_parquet

        return read_parquet(table.path)
    from pyarrow import csv

    return csv.read_csv(
        table.path,
        read_options=csv.ReadOptions(column_names=table.all_names, skip_rows=table.layout.header_lines),
        parse_options=csv.ParseOptions(delimiter=table.layout.delimiter, newlines_in_values=True),
    )


def check_suffix(option: str, path: str, suffixes: Sequence[str]) -> str:
    suffix = os.path.splitext(path)[1].lower()
    if suffix not in suffixes:
        raise ValueError(f"{option} must end in {' or '.join(suffixes)}; got {path!r}.")
    return suffix


def import_pyarrow() -> Any:
    try:
        import pyarrow
    except ImportError as error:
        raise ImportError('this file needs pyarrow: pip install "fastkmeans-core[io]"') from error
    return pyarrow


def _read(path: str, columns: Sequence[str] | None, header: bool | None) -> TableFile:
    suffix = check_suffix("TABLE", path, TABLE_SUFFIXES)
    check_plain_file(path)
    if suffix == ".csv":
        layout = csv_files.read_layout(path, header)
        names = _choose(columns, layout.names, path)
        values = csv_files.read_values(layout, names)
        return TableFile(path, values, names, layout.names, layout.has_header, layout)
    return _read_parquet(path, columns) if suffix == ".parquet" else _read_npy(path, columns)


def _choose(columns: Sequence[str] | None, known: list[str], path: str) -> list[str]:
    known_names = set(known)
    for column in columns or ():
        if column not in known_names:
            listed = ", ".join(known[: csv_files.LISTED]) + (", ..." if len(known) > csv_files.LISTED else "")
            raise ValueError(f"there is no column {column!r} in {path}; it has {listed}.")
    return known if columns is None else list(dict.fromkeys(columns))


def _read_npy(path: str, columns: Sequence[str] | None) -> TableFile:
    try:
        array = map_array(path)
    except ValueError as error:
        raise ValueError(f"{path} is not a plain .npy array: {error}; write it with numpy.save.") from error
    values = as_matrix(array, name=path).values
    all_names = [f"feature{f}" for f in range(values.shape[1])]
    names = _choose(columns, all_names, path)
    if names != all_names:
        places = {name: f for f, name in enumerate(all_names)}
        values = values.take([places[name] for name in names], axis=1)
    return TableFile(path, values, names, all_names, False, None)


def _read_parquet(path: str, columns: Sequence[str] | None) -> TableFile:
    import_pyarrow()
    from pyarrow import parquet

    with open(path, "rb"):  # from here on an OSError says that the contents are wrong
        pass
    with _said_of(path):
        all_names = parquet.read_schema(path).names
    names = _choose(columns, all_names, path)
    with _said_of(path):
        table = parquet.read_table(path, columns=names)
    numeric = [field.name for field in table.schema if _holds_numbers(field.type)]
    if len(numeric) < len(names):
        others = ", ".join(repr(field.name) for field in table.schema if not _holds_numbers(field.type))
        example = ",".join(numeric[: csv_files.LISTED]) or "A,B"
        raise ValueError(
            f"{path} holds no numbers in {others}; choose numeric columns, for example --columns {example}."
        )
    return TableFile(path, as_matrix(table, name=path).values, names, all_names, True, None)


@contextmanager
def _said_of(path: str) -> Iterator[None]:
    """Raise ValueError, naming the Parquet file, for each of the many errors that pyarrow has for a damaged one."""
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:
        raise ValueError(f"{path} is not a Parquet file, or is damaged: {error}; write it again.") from error


def _holds_numbers(arrow_type: Any) -> bool:
    from pyarrow import types

    tests = (types.is_integer, types.is_floating, types.is_boolean, types.is_decimal)
    return any(test(arrow_type) for test in tests)

"""The files of the command line: tables in, results out, each result written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from ..input.finite import check_finite
from ..input.matrix import as_matrix
from ..input.tables import frame_with_labels
from ..storage.npy import map_array
from ..storage.whole import check_plain_file, temporary_name, whole_file
from . import csv_files

TABLE_SUFFIXES = (".csv", ".parquet", ".npy")
ROWS_AT_ONCE = 65_536
"""So many rows are turned into text at a time: their text takes many times the memory of the numbers."""


class TableFile(NamedTuple):
    """A table that was read: the columns to cluster by, and what is needed to write it again with labels.

    values : (n_samples, len(names)), C order, float32 or float64.
    names : the columns used. all_names : the columns of the file. named : whether the file itself names them.
    layout : how the file is laid out if it is a CSV file, else None.
    """

    path: str
    values: np.ndarray
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


def _read(path: str, columns: Sequence[str] | None, header: bool | None) -> TableFile:
    suffix = _suffix("TABLE", path, TABLE_SUFFIXES)
    check_plain_file(path)
    if suffix == ".csv":
        layout = csv_files.read_layout(path, header)
        names = _choose(columns, layout.names, path)
        values = csv_files.read_values(layout, names)
        return TableFile(path, values, names, layout.names, layout.has_header, layout)
    return _read_parquet(path, columns) if suffix == ".parquet" else _read_npy(path, columns)


def write_labelled(path: str, table: TableFile, labels: np.ndarray, name: str) -> None:
    """Write the table and its labels to a .csv or .parquet file, or the labels alone to a .npy file."""
    source, target = (os.path.splitext(each)[1].lower() for each in (table.path, path))
    with whole_file(path) as temporary:
        if target == ".npy":
            np.save(temporary, labels)
        elif source == ".npy":
            columns = dict(zip(table.all_names, map_array(table.path).T, strict=True))
            _write_columns(temporary, {**columns, name: labels})
        elif source == target == ".csv":
            csv_files.append_labels(table.layout, temporary, labels, name)
        else:
            _write_arrow(temporary, frame_with_labels(_arrow_table(table), labels, column=name))


def write_columns(path: str, columns: Mapping[str, np.ndarray]) -> None:
    """Write named columns of equal length to a .csv or .parquet file."""
    with whole_file(path) as temporary:
        _write_columns(temporary, columns)


def check_output(option: str, path: str, suffixes: Sequence[str]) -> None:
    """Raise ValueError now for what would fail after the work: a wrong suffix, folder or permission."""
    suffix = _suffix(option, path, suffixes)
    target = os.path.realpath(path)
    folder = os.path.dirname(target)
    if not os.path.isdir(folder):
        raise ValueError(f"{option}: there is no folder {folder}; make it first.")
    if os.path.exists(target) and not os.path.isfile(target):
        raise ValueError(f"{option}: {path} is not a plain file.")
    try:
        with open(temporary_name(path), "wb"):
            pass
        os.unlink(temporary_name(path))
    except OSError as error:
        raise ValueError(f"{option}: cannot write in {folder}: {error.strerror}.") from error
    if suffix == ".parquet":
        _import_pyarrow()


def _suffix(option: str, path: str, suffixes: Sequence[str]) -> str:
    suffix = os.path.splitext(path)[1].lower()
    if suffix not in suffixes:
        raise ValueError(f"{option} must end in {' or '.join(suffixes)}; got {path!r}.")
    return suffix


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
        values = np.ascontiguousarray(values[:, [places[name] for name in names]])
    return TableFile(path, values, names, all_names, False, None)


def _read_parquet(path: str, columns: Sequence[str] | None) -> TableFile:
    _import_pyarrow()
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


def _arrow_table(table: TableFile) -> Any:
    """Read the whole of a .csv or .parquet file again, with the columns that were not used."""
    _import_pyarrow()
    if table.layout is None:
        from pyarrow.parquet import read_table as read_parquet

        return read_parquet(table.path)
    from pyarrow import csv

    return csv.read_csv(
        table.path,
        read_options=csv.ReadOptions(column_names=table.all_names, skip_rows=table.layout.header_lines),
        parse_options=csv.ParseOptions(delimiter=table.layout.delimiter, newlines_in_values=True),
    )


def _write_columns(path: str, columns: Mapping[str, np.ndarray]) -> None:
    if path.lower().endswith(".parquet"):
        _write_arrow(path, _import_pyarrow().table(dict(columns)))
        return
    import csv

    n_rows = len(next(iter(columns.values())))
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        for start in range(0, n_rows, ROWS_AT_ONCE):
            # NumPy's text keeps a float32 short, where Python would write out the digits that float64 adds.
            block = (column[start : start + ROWS_AT_ONCE].astype(str) for column in columns.values())
            writer.writerows(zip(*block, strict=True))


def _write_arrow(path: str, table: Any) -> None:
    if path.lower().endswith(".parquet"):
        from pyarrow.parquet import write_table

        write_table(table, path)
    else:
        from pyarrow.csv import write_csv

        write_csv(table, path)


def _import_pyarrow() -> Any:
    try:
        import pyarrow
    except ImportError as error:
        raise ImportError('this file needs pyarrow: pip install "fastkmeans-core[io]"') from error
    return pyarrow

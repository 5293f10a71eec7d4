"""The tables that the command line reads."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from typing import Any, NamedTuple

import numpy as np

from ..input.arrays import FLOAT32, FLOAT64, to_float
from ..input.columns import Column, LeftOut, describe_marks, list_names, names_of_codes
from ..input.finite import check_finite
from ..input.matrix import as_matrix
from ..input.missing import complete
from ..input.tables import stack_columns, table_columns
from ..storage.npy import map_array, read_array
from ..storage.whole import check_plain_file
from ..types import AnyArray, Mask, Values
from .choosing import Choice, chosen_places, features_of
from .csv_layout import CsvOptions, Layout, check_names, read_layout
from .csv_numbers import places_of_other_marks, read_numbers, say_missing
from .csv_table import read_whole_text
from .text_files import PACKED, STREAM, TEXT_SUFFIXES, packing_of, read_text_file, suffix_of

TABLE_SUFFIXES = (*TEXT_SUFFIXES, ".parquet", ".npy")
MISSING_OPTION = "--missing {}"
NPY_MAGIC = b"\x93NUMPY"
"""How a .npy file begins, by which it is known where it has no name."""


class TableFile(NamedTuple):
    """A table that was read: the samples to cluster, and what is needed to write it again with labels.

    values : (n_samples, len(names)), C order, float32 or float64.
    names : the columns used. places : where they stand among all. all_names : the columns of the file.
    named : whether the file itself names them.
    kept : which rows of the file are samples, of shape (n_rows,); None if all are.
    layout : how the file is laid out if it is text, else None.
    left_out : the columns that are no features, where nobody chose the columns.
    notes : what the user must be told.
    array : the whole array of a .npy file, else None.
    """

    path: str
    values: Values
    names: list[str]
    places: list[int]
    all_names: list[str]
    named: bool
    kept: Mask | None
    layout: Layout | None
    left_out: list[LeftOut]
    notes: list[str]
    array: AnyArray | None = None


def read_table(
    path: str,
    columns: Sequence[str] | None = None,
    csv: CsvOptions = CsvOptions(),
    *,
    features: Sequence[str] | None = None,
    label_name: str = "labels",
    missing: str = "error",
) -> TableFile:
    """Read the samples of a table: a text file (see TEXT_SUFFIXES and PACKED), a .parquet or .npy file, or the standard input.

    columns, features, label_name : see Choice.
    csv : what the user says of a text file.
    missing : what to do with missing values, see input/missing.py.
    Raises ValueError, naming file and place, for contents that cannot be clustered; OSError if it cannot be
    read; ImportError if .parquet needs pyarrow.
    """
    suffix = check_suffix("TABLE", path, TABLE_SUFFIXES)
    choice = Choice(columns, features, label_name)
    stream = sys.stdin.buffer.read() if path == STREAM else None
    if stream is not None and stream[: len(NPY_MAGIC)] == NPY_MAGIC:
        return _without_missing(_read_npy_stream(stream, choice), missing)
    if suffix == ".npy":
        table = _read_npy(path, choice)
    elif suffix == ".parquet":
        table = _read_parquet(path, choice)
    else:
        table = _read_text(path, choice, csv, stream)
    return _without_missing(table, missing)


def check_suffix(option: str, path: str, suffixes: Sequence[str]) -> str:
    """Return the suffix of a file, without that of its packing; raise ValueError if it is none of these."""
    suffix = suffix_of(path)
    if suffix in (".xlsx", ".xls", ".ods"):
        raise ValueError(f"{option}: {path} is a spreadsheet; save it as CSV there, and pass that file.")
    if (
        suffix not in suffixes
        or (packing_of(path) and suffix not in TEXT_SUFFIXES)
        or (path == STREAM and ".csv" not in suffixes)
    ):
        packed = f" (text also packed: {', '.join(PACKED)})" if ".tsv" in suffixes else ""
        raise ValueError(f"{option} must end in {' or '.join(suffixes)}{packed}; got {path!r}.")
    return suffix


def import_pyarrow() -> Any:
    try:
        import pyarrow
    except ImportError as error:
        raise ImportError('this file needs pyarrow: pip install "fastkmeans-core[io]"') from error
    return pyarrow


def read_all_columns(table: TableFile) -> Any:
    """Read the whole of a text or .parquet file again, with the columns that were not used, as a pyarrow table."""
    import_pyarrow()
    if table.layout is not None:
        return read_whole_text(table.layout)
    from pyarrow.parquet import read_table as read_parquet

    return read_parquet(table.path)


def _read_text(path: str, choice: Choice, options: CsvOptions, stream: bytes | None) -> TableFile:
    text = read_text_file(path, options.encoding, stream)
    layout = read_layout(text, options)
    contents = layout.contents
    candidates = [place for place, column in enumerate(contents) if column.is_numeric]

    def read(places: Sequence[int]) -> list[Column]:
        columns = [Column(name, holds=column.kind) for name, column in zip(layout.names, contents, strict=True)]
        for place, values in zip(places, read_numbers(layout, places), strict=True):
            columns[place] = columns[place]._replace(
                values=values, whole=contents[place].whole, mark=contents[place].mark
            )
        return columns

    places = chosen_places(choice, layout.names, layout.has_header, text.path)
    left_out: list[LeftOut] = []
    if places is None:
        others = places_of_other_marks(layout, candidates)
        columns = read([place for place in candidates if place not in others])
        for place in others:
            columns[place] = columns[place]._replace(holds="numbers with different marks; write the numbers alone")
        places, left_out = features_of(columns, choice, text.path)
        text.notes.extend(_note_of_codes(columns, places))
    else:
        columns = read(places)
    marks = describe_marks([columns[place] for place in places])
    notes = [*text.notes, *([f"{text.path}: read {marks}"] if marks else [])]
    values = stack_columns([_values_of(columns[place]) for place in places], FLOAT64)
    names = [layout.names[place] for place in places]
    return TableFile(text.path, values, names, places, layout.names, layout.has_header, None, layout, left_out, notes)


def _note_of_codes(columns: list[Column], places: list[int]) -> list[str]:
    codes = names_of_codes(columns, places)
    if not codes:
        return []
    return [
        f"took {list_names(codes)} for measures, though such names are often those of codes; --columns leaves them out"
    ]


def _values_of(column: Column) -> Any:
    return column.values


def _read_npy(path: str, choice: Choice) -> TableFile:
    check_plain_file(path)
    try:
        array = map_array(path)
    except ValueError as error:
        raise ValueError(f"{path} is not a plain .npy array: {error}; write it with numpy.save.") from error
    return _table_of_array(array, path, choice)


def _read_npy_stream(content: bytes, choice: Choice) -> TableFile:
    name = "standard input"
    try:
        array = read_array(BytesIO(content), len(content))
    except ValueError as error:
        raise ValueError(f"{name} is not a plain .npy array: {error}; write it with numpy.save.") from error
    return _table_of_array(array, name, choice)


def _table_of_array(array: AnyArray, path: str, choice: Choice) -> TableFile:
    values = whole = as_matrix(array, name=path).values
    all_names = [f"feature{f}" for f in range(values.shape[1])]
    places = chosen_places(choice, all_names, False, path)
    if places is None:
        places = list(range(len(all_names)))
    elif places != list(range(len(all_names))):
        values = values.take(places, axis=1)
    names = [all_names[place] for place in places]
    return TableFile(path, values, names, places, all_names, False, None, None, [], [], whole)


def _read_parquet(path: str, choice: Choice) -> TableFile:
    import_pyarrow()
    from pyarrow import parquet

    check_plain_file(path)
    with open(path, "rb"):  # from here on an OSError says that the contents are wrong
        pass
    with _said_of(path):
        metadata = parquet.read_metadata(path)
        schema = metadata.schema.to_arrow_schema()
    all_names = list(schema.names)
    if not metadata.num_rows:
        raise ValueError(f"{path} has no samples.")
    check_names(all_names, path)
    others = {
        f: Column(field.name, holds=_contents(field.type))
        for f, field in enumerate(schema)
        if not _holds_numbers(field.type)
    }
    places = chosen_places(choice, all_names, True, path)
    for place in places or ():
        if place in others:
            wrong = others[place]
            raise ValueError(
                f"{path}: column {wrong.name!r} holds {wrong.holds}, no numbers; leave it out of --columns."
            )
    wanted = [f for f in range(len(all_names)) if f not in others] if places is None else places
    with _said_of(path):
        values = _read_row_groups(path, [all_names[place] for place in wanted], metadata.num_rows)
    left_out: list[LeftOut] = []
    notes: list[str] = []
    if places is None:
        index = (schema.pandas_metadata or {}).get("index_columns", ())
        found = {
            place: Column(
                all_names[place],
                values[:, f],
                _holds_whole_numbers(schema.field(place).type),
                is_index=all_names[place] in index,
            )
            for f, place in enumerate(wanted)
        }
        columns = [(found | others)[place] for place in range(len(all_names))]
        places, left_out = features_of(columns, choice, path)
        notes += _note_of_codes(columns, places)
        if places != wanted:
            values = values.take([wanted.index(place) for place in places], axis=1)
    names = [all_names[place] for place in places]
    singles = all(str(schema.field(place).type) == "float" for place in places)
    values = to_float(values, path, FLOAT32 if singles else FLOAT64)
    return TableFile(path, values, names, places, all_names, True, None, None, left_out, notes)


def _read_row_groups(path: str, names: Sequence[str], n_rows: int) -> Values:
    """Read columns of numbers part by part, so that beside the result no more than one part is in memory."""
    from pyarrow.parquet import ParquetFile

    if not names:
        return np.empty((n_rows, 0))
    values: Values | None = None
    with ParquetFile(path) as file:
        start = 0
        for group in range(file.num_row_groups):
            columns = [column.values for column in table_columns(file.read_row_group(group, list(names)), path)]
            part = stack_columns([column for column in columns if column is not None])
            if values is None:
                values = np.empty_like(part, shape=(n_rows, len(names)))
            values[start : start + len(part)] = part
            start += len(part)
    if values is None or start != n_rows:
        raise ValueError("its row groups do not hold the rows that it announces")
    return values


def _without_missing(table: TableFile, missing: str) -> TableFile:
    """Drop or fill missing values, and refuse those and all others that no fit can use."""
    names = np.array(table.names, dtype=object)

    def say_where(row: int, column: int) -> str:
        if table.layout is not None:
            return say_missing(table.layout, row, table.places[column])
        return f"{table.path}: column {table.names[column]!r} has no value in row {row + 1}, counted from 1."

    samples = complete(table.values, names, missing, MISSING_OPTION, say_where)
    check_finite(samples.values, table.path, names)
    notes = [*table.notes, f"{table.path}: {samples.summary}"] if samples.summary else table.notes
    return table._replace(values=samples.values, kept=samples.kept, notes=notes)


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

    tests = (types.is_integer, types.is_floating, types.is_boolean, types.is_decimal, types.is_null)
    return any(test(arrow_type) for test in tests)


def _holds_whole_numbers(arrow_type: Any) -> bool:
    from pyarrow import types

    return bool(types.is_integer(arrow_type) or types.is_boolean(arrow_type))


def _contents(arrow_type: Any) -> str:
    """Say what a column without numbers holds."""
    from pyarrow import types

    if types.is_string(arrow_type) or types.is_large_string(arrow_type) or types.is_string_view(arrow_type):
        return "text"
    if types.is_dictionary(arrow_type):
        return "categories"
    return "dates" if types.is_date(arrow_type) or types.is_timestamp(arrow_type) else f"{arrow_type}"

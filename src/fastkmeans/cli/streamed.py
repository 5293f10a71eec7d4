"""Tables that are read in blocks: several files, a folder of Parquet, and files larger than a third of the memory limit."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..input.columns import Column, describe, list_names, names_of_codes
from ..input.tables import table_columns
from ..sources.rows import LOADED_SHARE, StreamedRows, default_limit, open_rows
from ..sources.table import files_of
from ..types import Labels
from .choosing import Choice, chosen_places, features_of
from .messages import say_on_stderr
from .reading import TableFile, import_pyarrow
from .text_files import STREAM, packing_of, suffix_of
from .writing import Target, open_target

SUFFIXES = (".npy", ".parquet", ".csv", ".tsv")
ROWS_AT_ONCE = 65_536
"""Rows of an array that are turned into a table at a time."""

_TEXT_OPTIONS = ("header", "delimiter", "decimal", "thousands", "encoding")


def is_streamed(args: argparse.Namespace) -> bool:
    """Say whether the table of a command is read in blocks."""
    if args.memory_limit is not None or args.cache_dir is not None:
        return True
    path = args.table
    if path == STREAM:
        return False
    if os.path.isdir(path) or not os.path.exists(path):
        return os.path.isdir(path) or any(sign in path for sign in "*?[")
    is_plain = suffix_of(path) in SUFFIXES and packing_of(path) is None and not _options_that_need_memory(args)
    return is_plain and os.path.isfile(path) and os.path.getsize(path) * LOADED_SHARE > default_limit()


def open_table(args: argparse.Namespace, features: list[str] | None) -> TableFile:
    """Open the table of a command. Its values are StreamedRows.

    features : the names that a model was fitted on.
    Raises ValueError for options that need the table in memory.
    """
    wrong = _options_that_need_memory(args)
    if wrong:
        raise ValueError(
            f"{wrong} is for tables in memory; leave it out for files that are read in blocks, or write these files otherwise."
        )
    if args.table == STREAM:
        raise ValueError("TABLE: the standard input can be read only once; pass a file to read it in blocks.")
    files = files_of(args.table)
    suffixes = {suffix_of(file) for file in files}
    if len(suffixes) > 1 or not suffixes <= set(SUFFIXES):
        raise ValueError(
            f"TABLE: files must all end in one of {', '.join(SUFFIXES)}; got {', '.join(sorted(suffixes))}."
        )
    choice = Choice(args.columns, features, getattr(args, "label_name", "labels"))
    if suffixes == {".npy"}:
        return _open_arrays(args, files, choice)
    from ..sources.arrow import whole_batches

    schema, batches = whole_batches(files[0])
    all_names, first = list(schema.names), next(batches, None)
    if first is None:
        raise ValueError(f"{files[0]} has no samples.")
    places = chosen_places(choice, all_names, True, files[0])
    if places is None:
        places = _features_of(import_pyarrow().Table.from_batches([first]), choice, files[0])
    names = [all_names[place] for place in places]
    rows = open_rows(files, names, memory_limit=args.memory_limit, cache_dir=args.cache_dir)
    return TableFile(args.table, _as_values(rows), names, places, all_names, True, None, None, [], [])


def _open_arrays(args: argparse.Namespace, files: list[str], choice: Choice) -> TableFile:
    rows = open_rows(files, memory_limit=args.memory_limit, cache_dir=args.cache_dir)
    names = [f"feature{f}" for f in range(rows.shape[1])]
    if chosen_places(choice, names, False, files[0]) not in (None, list(range(len(names)))):
        raise ValueError(
            "--columns is for tables with names, or in memory; write the columns of these arrays to a file."
        )
    return TableFile(args.table, _as_values(rows), names, list(range(len(names))), names, False, None, None, [], [])


def _as_values(rows: StreamedRows) -> Any:
    """Return the rows as a TableFile holds them: in an array if they fit memory."""
    return rows.loaded() if rows.fits_memory else rows


def _features_of(table: Any, choice: Choice, path: str) -> list[int]:
    """Choose the columns that are features by the first rows, and say which are left out."""
    columns: list[Column] = table_columns(table, path)
    places, left_out = features_of(columns, choice, path)
    if left_out:
        say_on_stderr(
            f"fastkmeans: note: judged by the first {len(table):,} rows, left out {describe(left_out)}; --columns chooses other columns"
        )
    codes = names_of_codes(columns, places)
    if codes:
        say_on_stderr(
            f"fastkmeans: note: took {list_names(codes)} for measures, though such names are often those of codes; --columns leaves "
            "them out"
        )
    return places


def _options_that_need_memory(args: argparse.Namespace) -> str:
    """Return the first option of a command that blocks of rows cannot have; "" if there is none."""
    for name in _TEXT_OPTIONS:
        if getattr(args, name) is not None:
            return f"--{name}"
    if args.missing != "error":
        return f"--missing {args.missing}"
    return "--plot" if args.command == "fit" and args.plot else ""


def write_streamed(path: str, table: TableFile, labels: Labels, name: str) -> None:
    """Write the files of a table, one after the other, with the labels as their last column, batch by batch.

    labels : (n_samples,).   The file is written whole or not at all. A .npy file gets the labels alone.
    """
    with open_target(path) as target:
        if target.suffix == ".npy":
            np.save(target.path, labels)
            return
        schema, batches = _whole_table(table)
        pyarrow = import_pyarrow()
        schema = schema.append(pyarrow.field(name, pyarrow.int32())).remove_metadata()
        first = 0
        with _writer(target, schema) as write:
            for batch in batches:
                end = first + batch.num_rows
                column = pyarrow.array(np.asarray(labels[first:end]))
                write(pyarrow.RecordBatch.from_arrays([*batch.columns, column], schema=schema))
                first = end
        if first != len(labels):
            raise ValueError(f"{table.path} has {first} rows now, and had {len(labels)}: it was changed meanwhile.")


def _whole_table(table: TableFile) -> tuple[Any, Iterator[Any]]:
    """Return the schema of all columns of a table, and its batches."""
    from ..sources.arrow import whole_batches

    files = files_of(table.path)
    if suffix_of(files[0]) != ".npy":
        opened = [whole_batches(file) for file in files]
        schema = opened[0][0]
        return schema, (batch.select(schema.names).cast(schema) for _, batches in opened for batch in batches)
    pyarrow = import_pyarrow()
    arrays = [np.load(file, mmap_mode="r") for file in files]
    kind = pyarrow.from_numpy_dtype(arrays[0].dtype.newbyteorder("="))
    schema = pyarrow.schema([(column, kind) for column in table.all_names])

    def batches() -> Iterator[Any]:
        for array in arrays:
            for start in range(0, len(array), ROWS_AT_ONCE):
                rows = np.ascontiguousarray(array[start : start + ROWS_AT_ONCE].T)
                rows = rows.astype(array.dtype.newbyteorder("="), copy=False)
                yield pyarrow.RecordBatch.from_arrays([pyarrow.array(column) for column in rows], schema=schema)

    return schema, batches()


@contextmanager
def _writer(target: Target, schema: Any) -> Iterator[Callable[[Any], Any]]:
    """Give a function that writes one batch after the other."""
    if target.suffix == ".parquet":
        from pyarrow.parquet import ParquetWriter

        with ParquetWriter(target.path, schema) as writer:
            yield writer.write_batch
        return
    from pyarrow.csv import CSVWriter, WriteOptions

    options = WriteOptions(delimiter=target.delimiter, quoting_style="needed", quoting_header="needed")
    with target.open() as file, CSVWriter(file, schema, write_options=options) as writer:
        yield writer.write_batch

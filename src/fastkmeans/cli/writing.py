"""The files that the command line writes, each whole or not at all."""

from __future__ import annotations

import csv
import gzip
import io
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import IO, Any, NamedTuple, cast

import numpy as np

from ..input.tables import frame_with_labels
from ..runtime.threads import effective_n_threads
from ..storage.whole import temporary_name, whole_file
from ..types import AnyArray, Labels
from .csv_labels import append_labels
from .reading import TableFile, check_suffix, import_pyarrow, read_all_columns
from .text_files import PACKED, STREAM, packing_of, suffix_of

ROWS_AT_ONCE = 65_536
"""So many rows are turned into text at a time: their text takes many times the memory of the numbers."""

NO_LABEL = -1
"""Stands in a .npy file for a row that was left out and so has no label."""


class Target(NamedTuple):
    """A file to write: its temporary name, the suffix that tells its kind, and that of its packing."""

    path: str
    suffix: str
    packing: str | None

    @property
    def delimiter(self) -> str:
        return "\t" if self.suffix == ".tsv" else ","

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        with open(self.path, "wb") as file:
            if self.packing is None:
                yield file
            elif self.packing == ".gz":  # which would hold the time and the temporary name, and so never the same bytes
                with gzip.GzipFile("", "wb", compresslevel=6, fileobj=file, mtime=0) as packed:
                    yield cast(IO[bytes], packed)
            else:
                with PACKED[self.packing](file, "wb") as packed:
                    yield packed


def write_labelled(path: str, table: TableFile, labels: Labels, name: str) -> None:
    """Write the table and its labels to a text or .parquet file, or the labels alone to a .npy file.

    labels : (n_samples,). A row of the file that was left out has no label: an empty field, a null, or NO_LABEL in a .npy file.
    """
    with open_target(path) as target:
        if target.suffix == ".npy":
            np.save(target.path, _of_all_rows(table, labels))
        elif table.layout is not None and target.suffix != ".parquet":
            delimiter = "\t" if target.suffix == ".tsv" else table.layout.delimiter
            empty = "NA" if delimiter == " " else ""
            with target.open() as file:
                append_labels(table.layout, file, _texts(table, labels, empty), name, delimiter)
        elif table.array is not None:
            columns: dict[str, Any] = dict(zip(table.all_names, table.array.T, strict=True))
            if table.kept is not None:
                labels = np.ma.masked_array(_of_all_rows(table, labels), ~table.kept)
            _write_columns(target, {**columns, name: labels})
        else:
            _write_arrow(target, frame_with_labels(read_all_columns(table), labels, column=name, kept=table.kept))


def write_columns(path: str, columns: Mapping[str, AnyArray]) -> None:
    """Write named columns of equal length to a text or .parquet file."""
    with open_target(path) as target:
        _write_columns(target, columns)


def check_output(option: str, path: str, suffixes: Sequence[str]) -> None:
    """Raise ValueError now for what would fail after the work: a wrong suffix, folder or permission."""
    suffix = check_suffix(option, path, suffixes)
    if path == STREAM:
        return
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
        import_pyarrow()


@contextmanager
def open_target(path: str) -> Iterator[Target]:
    """Give a file to write, which then becomes `path`, or goes to the standard output if the path is STREAM."""
    if path != STREAM:
        with whole_file(path) as temporary:
            yield Target(temporary, suffix_of(path), packing_of(path))
        return
    with tempfile.TemporaryDirectory() as folder:
        temporary = os.path.join(folder, "table")
        yield Target(temporary, suffix_of(path), None)
        with open(temporary, "rb") as file:
            shutil.copyfileobj(file, sys.stdout.buffer)
        sys.stdout.buffer.flush()


def _of_all_rows(table: TableFile, labels: Labels) -> Labels:
    """Return one label for each row of the file, NO_LABEL for those that were left out."""
    if table.kept is None:
        return labels
    of_all = np.full(len(table.kept), NO_LABEL, dtype=labels.dtype)
    of_all[table.kept] = labels
    return of_all


def _texts(table: TableFile, labels: Labels, empty: str) -> list[str]:
    """Return the text of each label, `empty` where there is none."""
    texts = [*map(str, range(int(labels.max()) + 1)), empty]  # of which NO_LABEL takes the last
    return [texts[label] for label in _of_all_rows(table, labels).tolist()]


def _write_columns(target: Target, columns: Mapping[str, Any]) -> None:
    """Write columns, of which some may be masked arrays, with pyarrow if it is there."""
    if target.suffix == ".parquet":
        _write_arrow(target, _arrow_table(columns, slice(None)))
        return
    columns = {name: _plain_numbers(column) for name, column in columns.items()}
    n_rows = len(next(iter(columns.values())))
    try:
        import_pyarrow()
    except ImportError:
        _write_text(target, columns, n_rows)
    else:
        _write_arrow_text(target, n_rows, lambda rows: _arrow_table(columns, rows))


def _plain_numbers(column: Any) -> Any:
    """Return a column in a type of which all writers make the same number: the machine's byte order, no bool, no float16."""
    if column.dtype == bool:
        return column.astype(np.uint8)
    if column.dtype.kind == "f" and column.dtype.itemsize not in (4, 8):
        return column.astype(np.float32 if column.dtype.itemsize == 2 else np.float64)
    return column


def _arrow_table(columns: Mapping[str, Any], rows: slice) -> Any:
    pyarrow = import_pyarrow()
    arrays = {}
    for name, column in columns.items():
        part = np.ma.getdata(column)[rows]
        mask = np.ma.getmaskarray(column)[rows] if np.ma.isMA(column) else None
        arrays[name] = pyarrow.array(part.astype(part.dtype.newbyteorder("="), copy=False), mask=mask)
    return pyarrow.table(arrays)


def _write_arrow(target: Target, table: Any) -> None:
    if target.suffix != ".parquet":
        _write_arrow_text(target, len(table), lambda rows: table.slice(rows.start, rows.stop - rows.start))
        return
    from pyarrow import types
    from pyarrow.parquet import write_table

    # Floats seldom repeat: looking for repeated ones takes half the time of writing 1M x 20, and saves nothing.
    repeating = [field.name for field in table.schema if not types.is_floating(field.type)]
    write_table(table, target.path, use_dictionary=repeating)


def _write_arrow_text(target: Target, n_rows: int, part: Callable[[slice], Any]) -> None:
    """Write a table as text, part by part, on all threads: to write numbers takes longer than to cluster them.

    part : returns some rows as a pyarrow table.
    """
    import pyarrow
    from pyarrow.csv import WriteOptions, write_csv

    def text(start: int) -> Any:
        options = WriteOptions(
            include_header=start == 0, delimiter=target.delimiter, quoting_style="needed", quoting_header="needed"
        )
        rows = part(slice(start, min(start + ROWS_AT_ONCE, n_rows)))
        out = pyarrow.BufferOutputStream()
        write_csv(rows, out, options)
        return out.getvalue()

    n_threads = effective_n_threads(None)
    starts = range(0, max(n_rows, 1), ROWS_AT_ONCE)
    with target.open() as file, ThreadPoolExecutor(n_threads) as pool:
        for first in range(0, len(starts), n_threads):  # so that few parts wait to be written
            for written in pool.map(text, starts[first : first + n_threads]):
                file.write(written)


def _write_text(target: Target, columns: Mapping[str, Any], n_rows: int) -> None:
    with target.open() as raw, io.TextIOWrapper(raw, encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n", delimiter=target.delimiter).writerow(columns)
        for start in range(0, n_rows, ROWS_AT_ONCE):
            texts = [_as_text(column[start : start + ROWS_AT_ONCE]) for column in columns.values()]
            # Numbers need no quotes, and so not the time of csv.
            file.writelines([target.delimiter.join(fields) + "\n" for fields in zip(*texts, strict=True)])


def _as_text(column: AnyArray) -> list[str]:
    """Return the shortest text of each number that reads back as the same; no text where a masked array is masked."""
    if column.dtype == np.float32:  # of which Python would write out the digits that float64 adds
        texts: list[str] = column.astype(str).tolist()
        return texts
    return ["" if number is None else repr(number) for number in column.tolist()]

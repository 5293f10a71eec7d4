"""The files that the command line writes, each whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..input.tables import frame_with_labels
from ..storage.npy import map_array
from ..storage.whole import temporary_name, whole_file
from ..types import AnyArray, Labels
from . import csv_files
from .reading import TableFile, check_suffix, import_pyarrow, read_all_columns

ROWS_AT_ONCE = 65_536
"""So many rows are turned into text at a time: their text takes many times the memory of the numbers."""


def write_labelled(path: str, table: TableFile, labels: Labels, name: str) -> None:
    """Write the table and its labels to a .csv or .parquet file, or the labels alone to a .npy file."""
    source, target = (os.path.splitext(each)[1].lower() for each in (table.path, path))
    with whole_file(path) as temporary:
        if target == ".npy":
            np.save(temporary, labels)
        elif source == ".npy":
            columns = dict(zip(table.all_names, map_array(table.path).T, strict=True))
            _write_columns(temporary, {**columns, name: labels})
        elif target == ".csv" and table.layout is not None:
            csv_files.append_labels(table.layout, temporary, labels, name)
        else:
            _write_arrow(temporary, frame_with_labels(read_all_columns(table), labels, column=name))


def write_columns(path: str, columns: Mapping[str, AnyArray]) -> None:
    """Write named columns of equal length to a .csv or .parquet file."""
    with whole_file(path) as temporary:
        _write_columns(temporary, columns)


def check_output(option: str, path: str, suffixes: Sequence[str]) -> None:
    """Raise ValueError now for what would fail after the work: a wrong suffix, folder or permission."""
    suffix = check_suffix(option, path, suffixes)
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


def _write_columns(path: str, columns: Mapping[str, AnyArray]) -> None:
    if path.lower().endswith(".parquet"):
        _write_arrow(path, import_pyarrow().table(dict(columns)))
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

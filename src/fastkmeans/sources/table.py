"""THE table of sources: what users pass -> who reads its rows."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..input.sources import is_lazy, is_path
from .contract import Source
from .joined import joined

OPENERS: dict[str, str] = {".npy": "npy", ".parquet": "parquet", ".csv": "csv", ".tsv": "csv"}
"""Suffix of a file -> the reader of such files."""

_GLOB = "*?["


def open_source(X: Any, columns: Sequence[Any] | None = None, name: str = "X") -> Source:
    """Return who reads the rows of X.

    columns : which columns of a table; None for all.   name : what errors call X if it has no name of its own.
    Raises TypeError for what is no source or can be read only once, ValueError for a file that cannot be read.
    """
    if is_path(X):
        return _open_files(files_of(os.fspath(X)), columns)
    if isinstance(X, (list, tuple)):
        if not X:
            raise ValueError(f"{name} must name at least one file, or hold at least one batch; got an empty list.")
        if all(map(is_path, X)):
            return _open_files([file for path in X for file in files_of(os.fspath(path))], columns)
    if isinstance(X, np.ndarray):
        from .arrays import ArrayRows, of_map

        _refuse_columns(columns, name)
        return of_map(X, X_name(X, name)) if isinstance(X, np.memmap) else ArrayRows(X, name)
    if hasattr(X, "__arrow_c_stream__") or is_lazy(X):
        from .arrow import open_stream

        opened = open_stream(X, name, columns)
        if opened is not None:
            return opened
    return _open_batches(X, columns, name)


def _open_batches(X: Any, columns: Sequence[Any] | None, name: str) -> Source:
    from .batches import Batches

    if hasattr(X, "__next__"):
        raise TypeError(
            f"{name} ({type(X).__name__}) can be iterated only once, and k-means reads its rows many times; pass a function that "
            "returns a new iterator each time, or a list of files."
        )
    begin: Callable[[], Any]
    if hasattr(X, "__iter__"):
        begin = X.__iter__
    elif callable(X):
        begin = X
    else:
        raise TypeError(
            f"{name} must be files, a map of a file, a table, or batches that can be iterated again; got {type(X).__name__}."
        )
    called = getattr(X, "__qualname__", type(X).__name__)
    return Batches(begin, f"{name} ({called})", None if columns is None else list(columns))


def X_name(array: np.memmap[Any, Any], name: str) -> str:
    """Return what errors call a map of a file: the file."""
    filename = getattr(array, "filename", None)
    return name if filename is None else os.fspath(filename)


def files_of(path: str) -> list[str]:
    """Return the files that a path names: itself, what its wildcards match, or the Parquet files of a folder; sorted."""
    import glob

    if os.path.isdir(path):
        found = sorted(glob.glob(os.path.join(glob.escape(path), "**", "*.parquet"), recursive=True))
        if not found:
            raise ValueError(
                f"the folder {path} holds no .parquet file; pass a list of its files, or a pattern such as '*.npy'."
            )
        return found
    if any(sign in path for sign in _GLOB) and not os.path.exists(path):
        found = sorted(glob.glob(path, recursive=True))
        if not found:
            raise ValueError(f"no file matches {path!r}.")
        return found
    return [path]


def _open_files(paths: list[str], columns: Sequence[Any] | None) -> Source:
    sources: list[Source] = []
    for path in paths:
        sources.append(_open_file(path, columns))
        if columns is None and sources[0].names is not None:
            columns = sources[0].names.tolist()  # in this order, whatever the order in other files
    return joined(sources)


def _open_file(path: str, columns: Sequence[Any] | None) -> Source:
    suffix = os.path.splitext(path)[1].lower()
    kind = OPENERS.get(suffix)
    if kind is None:
        raise ValueError(
            f"{path!r} must end in {', '.join(OPENERS)}; other files are read by a function that returns batches."
        )
    if not os.path.isfile(path):
        raise FileNotFoundError(f"there is no file {path}.")
    if kind == "npy":
        from .arrays import open_npy

        _refuse_columns(columns, path)
        return open_npy(path)
    from .arrow import open_csv, open_parquet

    return open_parquet(path, columns) if kind == "parquet" else open_csv(path, columns)


def _refuse_columns(columns: Sequence[Any] | None, name: str) -> None:
    if columns is not None:
        raise ValueError(
            f"columns must be None for {name}, which is an array without names; pass a slice of its columns."
        )

"""Rows in plain arrays: .npy files and maps of files, read by their places in the file, and arrays in memory."""

from __future__ import annotations

import os
from mmap import ALLOCATIONGRANULARITY
from typing import Any

import numpy as np

from .._core.files import read_cached, read_rows
from .._core.stored import KINDS, StoredRows
from ..input.arrays import check_shape, to_float
from ..types import AnyArray, Indices, Names, Values
from .contract import Extent, Pass, Source

CONVERTED_BYTES = 1 << 18
"""Values of another type are read in pieces that stay in a core's cache, and converted from there."""


def float_type(dtype: Any, name: str) -> np.dtype[Any]:
    """Return the type of rows that are read from values of a type; raise ValueError if they are no numbers."""
    dtype = np.dtype(dtype)
    return to_float(np.zeros((1, 1), dtype=dtype), name, None).dtype


def open_npy(path: str) -> Source:
    """Return the rows of a .npy file; raise ValueError, naming the file, if it holds no table of numbers."""
    try:
        mapped = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ValueError(f"{path} is no .npy file that can be read: {error}") from error
    if not isinstance(mapped, np.memmap):
        raise ValueError(f"{path} is no .npy file: {type(mapped).__name__}. Pass single arrays, each in a file.")
    return of_map(mapped, path)


def of_map(array: np.memmap[Any, Any], name: str) -> Source:
    """Return the rows of a map of a file: by their places in the file if they lie there one after the other."""
    check_shape(array, name)
    mapped, filename = getattr(array, "_mmap", None), getattr(array, "filename", None)
    row_bytes = array.shape[1] * array.dtype.itemsize
    is_plain = array.flags.c_contiguous and array.mode != "c"  # what was written into a private map is not in the file
    if mapped is None or filename is None or not is_plain or not hasattr(os, "preadv"):
        return ArrayRows(array, name)
    # The offset of a slice is that of the whole map, so the place is had from addresses.
    begin = array.offset - array.offset % ALLOCATIONGRANULARITY
    inside = array.__array_interface__["data"][0] - np.frombuffer(mapped, np.uint8).__array_interface__["data"][0]
    return FileRows(os.fspath(filename), begin + inside, array.dtype, len(array), array.shape[1], row_bytes, name)


class FileRows:
    """Rows of equal length that lie in a file one after the other."""

    names: Names | None = None
    has_rows = True

    def __init__(
        self, path: str, offset: int, raw: np.dtype[Any], n_rows: int, n_columns: int, row_bytes: int, name: str
    ) -> None:
        self.name, self.n_rows, self.n_columns = name, n_rows, n_columns
        self.dtype = float_type(raw, name)
        self.path, self.offset, self.raw, self.row_bytes = path, offset, raw, row_bytes

    def start(self) -> Pass:
        return _FilePass(self)

    def state(self) -> Any:
        found = os.stat(self.path)
        return found.st_ino, found.st_size, found.st_mtime_ns

    def extents(self) -> list[Extent] | None:
        return [Extent(self.path, self.offset, self.n_rows, self.raw)]

    def place(self, row: int) -> str:
        return f"row {row} of {self.name}"

    def take(self, rows: Indices, out: Values, n_threads: int, waits: bool = True) -> bool:
        plain = self.raw == out.dtype
        raw: AnyArray = out if plain else np.empty(out.shape, dtype=self.raw)
        with open(self.path, "rb", buffering=0) as file:
            failed = read_rows(
                file.fileno(),
                self.offset,
                rows,
                raw.view(np.uint8).reshape(len(rows), self.row_bytes),
                n_threads,
                waits,
            )
        if failed >= 0 and not waits:
            return False
        if failed >= 0:
            raise self.too_short(int(rows[failed]))
        if not plain:
            convert(raw, out)
        return True

    def too_short(self, row: int) -> ValueError:
        return ValueError(
            f"{self.name} ends before row {row}, although it had {self.n_rows} rows when it was opened: it was changed while "
            "it was read. Read it when nobody writes into it."
        )


class _FilePass:
    def __init__(self, rows: FileRows) -> None:
        self._rows, self._next = rows, 0
        self._file = open(rows.path, "rb", buffering=0)
        self._piece: AnyArray | None = None
        self._raw: AnyArray | None = None

    def read(self, out: Values) -> int:
        rows = self._rows
        n_rows = min(len(out), rows.n_rows - self._next)
        if n_rows == 0:
            return 0
        if rows.raw == out.dtype:
            self._fill(out[:n_rows])
        else:
            if self._piece is None:
                n_together = max(1, CONVERTED_BYTES // rows.row_bytes)
                self._piece = np.empty((n_together, rows.n_columns), dtype=rows.raw)
            for start in range(0, n_rows, len(self._piece)):
                piece = self._piece[: n_rows - start]
                self._fill(piece)
                convert(piece, out[start : start + len(piece)])
        return n_rows

    def read_cached(self, out: Values, n_threads: int) -> int:
        rows = self._rows
        plain = rows.raw == out.dtype
        n_rows = min(len(out), rows.n_rows - self._next)
        if not (plain or rows.raw.isnative and rows.raw.name in KINDS):
            return -1
        if n_rows == 0:
            return 0
        if self._raw is None or len(self._raw) < n_rows:
            self._raw = np.empty((n_rows, rows.n_columns), dtype=rows.raw)
        raw = out[:n_rows] if plain else self._raw[:n_rows]
        at = rows.offset + self._next * rows.row_bytes
        if not read_cached(self._file.fileno(), at, raw.reshape(-1).view(np.uint8), n_threads):
            return -1
        if not plain:
            StoredRows(raw, out.dtype).write(0, out[:n_rows], n_threads)
        self._next += n_rows
        return n_rows

    def _fill(self, raw: AnyArray) -> None:
        """Read the next rows as they lie in the file."""
        rows, view = self._rows, raw.reshape(-1).view(np.uint8).data
        done, offset = 0, rows.offset + self._next * rows.row_bytes
        while done < len(view):
            got = os.preadv(self._file.fileno(), [view[done:]], offset + done)
            if got == 0:
                raise rows.too_short(self._next + done // rows.row_bytes)
            done += got
        self._next += len(raw)

    def close(self) -> None:
        self._file.close()


class ArrayRows:
    """Rows of an array in memory, or of a map of a file whose rows do not lie one after the other."""

    names: Names | None = None
    has_rows = True

    def __init__(self, array: AnyArray, name: str) -> None:
        check_shape(array, name)
        self.name, self.n_rows, self.n_columns = name, len(array), array.shape[1]
        self.dtype = float_type(array.dtype, name)
        self.array = array

    def start(self) -> Pass:
        return _ArrayPass(self.array)

    def state(self) -> Any:
        return 0

    def extents(self) -> list[Extent] | None:
        return None

    def place(self, row: int) -> str:
        return f"row {row} of {self.name}"

    def take(self, rows: Indices, out: Values, n_threads: int, waits: bool = True) -> bool:
        if waits:
            convert(self.array[rows], out)
        return waits


class _ArrayPass:
    def __init__(self, array: AnyArray) -> None:
        self._array, self._next = array, 0

    def read(self, out: Values) -> int:
        part = self._array[self._next : self._next + len(out)]
        convert(part, out[: len(part)])
        self._next += len(part)
        return len(part)

    def read_cached(self, out: Values, n_threads: int) -> int:
        return -1

    def close(self) -> None:
        pass


def convert(values: AnyArray, out: Values) -> None:
    """Write numbers of any type as floats. A value that overflows becomes infinite, which is reported as such."""
    with np.errstate(over="ignore"):
        out[...] = values

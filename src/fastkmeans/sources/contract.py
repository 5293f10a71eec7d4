"""THE contract of sources: what is asked of whatever holds rows outside memory."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np

from ..types import Indices, Names, Values


class Extent(NamedTuple):
    """Rows that lie in a file one after the other.

    offset : where the first one begins, in bytes.   raw : type of the values in the file.
    """

    path: str
    offset: int
    n_rows: int
    raw: np.dtype[Any]


class Pass(Protocol):
    """One reading of all rows, from the first to the last."""

    def read(self, out: Values) -> int:
        """Write the next rows into `out`, (n, n_columns), and return how many; fewer than n only at the end.

        Raises ValueError, naming the place, for rows that cannot be read.
        """

    def read_cached(self, out: Values, n_threads: int) -> int:
        """Do as `read` if no device is waited for, with all threads; else return -1, and the next read gives the same rows."""

    def close(self) -> None:
        """Let go of files. Called once, also after an error."""


class Source(Protocol):
    """Rows of numbers, all of one type, in an order that every pass repeats.

    name : what errors call it.   n_rows : None if only a pass tells.
    dtype : float32 or float64, of the rows as they are read.   names : (n_columns,) names of the columns, None without names.
    has_rows : whether `take` reads single rows without a pass.
    """

    @property
    def name(self) -> str: ...
    @property
    def n_rows(self) -> int | None: ...
    @property
    def n_columns(self) -> int: ...
    @property
    def dtype(self) -> np.dtype[Any]: ...
    @property
    def names(self) -> Names | None: ...
    @property
    def has_rows(self) -> bool: ...

    def start(self) -> Pass:
        """Begin a new pass at the first row."""

    def take(self, rows: Indices, out: Values, n_threads: int, waits: bool = True) -> bool:
        """Write single rows into `out`, (len(rows), n_columns).

        rows : int64, ascending.   waits : whether a device may be waited for.
        Returns True; False where it would have to be waited for, and then `out` may hold some of the rows.
        """

    def extents(self) -> list[Extent] | None:
        """Return where all rows lie in files, in order; None if they do not lie there as plain numbers."""

    def place(self, row: int) -> str:
        """Say where a row is that a pass has read, for messages: "row 7 of part.npy"."""

    def state(self) -> Any:
        """Return something that differs once the rows have changed, such as sizes and times of files; None if nothing tells."""

"""Several sources, one after the other."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from itertools import accumulate
from typing import Any

import numpy as np

from ..input.columns import list_names
from ..types import Indices, Values
from .contract import Extent, Pass, Source


def joined(sources: list[Source]) -> Source:
    """Return the rows of all sources in order; raise ValueError, naming the first that differs, if they do not fit together."""
    first = sources[0]
    for other in sources[1:]:
        if other.n_columns != first.n_columns:
            raise ValueError(
                f"{other.name} has {other.n_columns} columns, and {first.name} has {first.n_columns}; all must have as many."
            )
        if other.dtype != first.dtype:
            raise ValueError(
                f"{other.name} is read as {other.dtype}, and {first.name} as {first.dtype}; give all files one type."
            )
        if (other.names is None) != (first.names is None) or (
            other.names is not None and first.names is not None and list(other.names) != list(first.names)
        ):
            has, wanted = (list_names(list(side.names if side.names is not None else [])) for side in (other, first))
            raise ValueError(
                f"{other.name} has columns {has or 'without names'}, and {first.name} has {wanted or 'columns without names'}; "
                "all must have the same."
            )
    return first if len(sources) == 1 else Joined(sources)


class Joined:
    """The rows of several sources, in order."""

    def __init__(self, sources: list[Source]) -> None:
        self.sources = sources
        counts = [source.n_rows for source in sources]
        self._found: list[int | None] = list(counts)  # rows of each, known before or by a pass
        self.n_rows = None if None in counts else sum(count for count in counts if count is not None)
        self.n_columns, self.dtype, self.names = sources[0].n_columns, sources[0].dtype, sources[0].names
        self.has_rows = self.n_rows is not None and all(source.has_rows for source in sources)
        self.name = f"{sources[0].name} and {len(sources) - 1} more"

    def start(self) -> Pass:
        return _JoinedPass(self.sources, self._found)

    def state(self) -> Any:
        states = [source.state() for source in self.sources]
        return None if None in states else states

    def extents(self) -> list[Extent] | None:
        each = [source.extents() for source in self.sources]
        return None if None in each else [extent for extents in each for extent in extents or []]

    def _ends(self) -> list[int]:
        return list(accumulate(count or 0 for count in self._found))

    def place(self, row: int) -> str:
        ends = self._ends()
        i = min(bisect_right(ends, row), len(ends) - 1)
        return self.sources[i].place(row - (ends[i - 1] if i else 0))

    def take(self, rows: Indices, out: Values, n_threads: int, waits: bool = True) -> bool:
        begin = 0
        for source, end in zip(self.sources, self._ends()):
            here = slice(*np.searchsorted(rows, [begin, end]).tolist())
            if here.stop > here.start and not source.take(rows[here] - begin, out[here], n_threads, waits):
                return False
            begin = end
        return True


class _JoinedPass:
    def __init__(self, sources: list[Source], found: list[int | None]) -> None:
        self._sources, self._found, self._i, self._read = sources, found, 0, 0
        self._running: Pass | None = None

    def read(self, out: Values) -> int:
        return self._read_by(lambda running, rest: running.read(rest), out)

    def read_cached(self, out: Values, n_threads: int) -> int:
        return self._read_by(lambda running, rest: running.read_cached(rest, n_threads), out)

    def _read_by(self, reading: Callable[[Pass, Values], int], out: Values) -> int:
        done = 0
        while done < len(out) and self._i < len(self._sources):
            if self._running is None:
                self._running, self._read = self._sources[self._i].start(), 0
            got = reading(self._running, out[done:])
            if got < 0:
                if done == 0:
                    return got
                got = self._running.read(out[done:])  # rows before it have been read, and cannot be given back
            self._read += got
            done += got
            if done < len(out):  # this source has ended
                self.close()
                self._found[self._i] = self._read
                self._i += 1
        return done

    def close(self) -> None:
        if self._running is not None:
            self._running.close()
            self._running = None

"""Rows that steps by codes have read and keep in memory: codes leave mostly the same rows undecided from step to step."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from .._core.screened import find_places
from ..types import Indices, Values

SPARE_SHARE = 1 / 8
"""So much more room than rows need is taken when they are moved, if it is there, so that few new rows of a later step move none."""

BYTES_PER_PLACE = 16
"""Of a row that is kept, beside its values."""


class FoundRows(NamedTuple):
    """Rows, which are not to be changed.   values : array that holds them.   at : (n,), their numbers in it."""

    values: Values
    at: Indices

    def of(self, which: Indices) -> Values:
        """Return some of the rows, copied."""
        found: Values = self.values[self.at[which]]
        return found


class _Run(NamedTuple):
    """The rows of a run.   places : ascending.   at : of each of these, its row in `values`, which may have room for more."""

    places: Indices
    at: Indices
    values: Values


class KeptRows:
    """Rows of runs of blocks, by their places in the run.

    n_rows : number of all rows.   most_bytes : that kept rows may take. Each run has its share.
    """

    def __init__(self, n_rows: int, most_bytes: int) -> None:
        self._bytes_per_row = max(most_bytes, 0) / n_rows
        self._runs: dict[int, _Run] = {}

    def take(self, run: slice, places: Indices, read: Callable[[slice, Indices], Values | None]) -> FoundRows | None:
        """Return rows.

        run : numbers of rows.   places : within the run, ascending.
        read : (run, places) -> the rows with these places, or None, which `take` then returns. It is asked for rows that are not kept.
        """
        kept = self._runs.get(run.start)
        if kept is None:
            values = read(run, places)
            return None if values is None else self._begin(run, places, values)
        found, n_missing = _found(kept, places)
        if n_missing == 0:
            return found
        is_missing = found.at < 0
        missing = places[is_missing]
        values = read(run, missing)
        if values is None:
            return None
        most_rows = self._most_rows(run, values)
        if len(kept.places) + n_missing <= most_rows:
            self._runs[run.start] = grown = _grown(kept, missing, values, most_rows)
            return _found(grown, places)[0]
        both = np.empty((len(places), values.shape[1]), dtype=values.dtype)
        both[is_missing], both[~is_missing] = values, found.of(np.flatnonzero(~is_missing))
        return self._begin(run, places, both)

    def count_missing(self, run: slice, places: Indices) -> int:
        """Return how many of these rows are not kept."""
        kept = self._runs.get(run.start)
        return len(places) if kept is None else _found(kept, places)[1]

    def _begin(self, run: slice, places: Indices, values: Values) -> FoundRows:
        """Keep these rows in place of those that are kept, or as many of the first of them as may be kept."""
        self._runs.pop(run.start, None)
        found = FoundRows(values, np.arange(len(places)))
        n_rows = min(len(places), self._most_rows(run, values))
        if n_rows:
            few = values if n_rows == len(places) else values[:n_rows].copy()
            self._runs[run.start] = _Run(places[:n_rows], found.at[:n_rows], few)
        return found

    def _most_rows(self, run: slice, values: Values) -> int:
        """Return how many rows of a run may be kept.   values : rows as wide."""
        return int((run.stop - run.start) * self._bytes_per_row / (values.shape[1] * values.itemsize + BYTES_PER_PLACE))


def _found(kept: _Run, places: Indices) -> tuple[FoundRows, int]:
    """Return where rows are kept, -1 where they are not, and how many are not."""
    at = np.empty(len(places), dtype=np.intp)
    n_missing = find_places(kept.places, places, at)
    return FoundRows(kept.values, np.where(at < 0, -1, kept.at[at]) if n_missing else kept.at[at]), n_missing


def _grown(kept: _Run, places: Indices, values: Values, most_rows: int) -> _Run:
    """Return a run with more rows, written to the room behind those that are kept, or to a larger array."""
    n_kept, n_rows, room = len(kept.places), len(kept.places) + len(places), kept.values
    if n_rows > len(room):
        room = np.empty((min(int(n_rows * (1 + SPARE_SHARE)), most_rows), values.shape[1]), dtype=values.dtype)
        room[:n_kept] = kept.values[:n_kept]
    room[n_kept:n_rows] = values
    both = np.concatenate([kept.places, places])
    order = np.argsort(both, kind="stable")
    return _Run(both[order], np.concatenate([kept.at, np.arange(n_kept, n_rows)])[order], room)

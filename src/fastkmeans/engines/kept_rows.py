"""Rows that steps by codes have read and keep in memory: codes leave mostly the same rows undecided from step to step."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..types import Indices, Values

NEW_SHARE = 1 / 32
"""Rows that were missing are kept, too, if they are more than this share of those that are kept. Fewer are read again in each step:
keeping them would copy all the others."""


class KeptRows:
    """Rows of runs of blocks, by their places in the run.

    n_rows : number of all rows.   most_bytes : that kept rows may take. Each run has its share.
    """

    def __init__(self, n_rows: int, most_bytes: int) -> None:
        self._bytes_per_row = max(most_bytes, 0) / n_rows
        self._kept: dict[int, tuple[Indices, Values]] = {}

    def take(self, run: slice, places: Indices, read: Callable[[slice, Indices], Values | None]) -> Values | None:
        """Return rows, which the caller must not change.

        run : numbers of rows.   places : within the run, ascending.
        read : (run, places) -> the rows with these places, or None, which `take` then returns. It is asked for rows that are not kept.
        """
        if run.start not in self._kept:
            values = read(run, places)
            if values is not None:
                self._keep(run, places, values)
            return values
        kept, rows = self._kept[run.start]
        at = np.minimum(np.searchsorted(kept, places), len(kept) - 1)
        is_kept = kept[at] == places
        if is_kept.all():
            return rows if len(places) == len(kept) else rows[at]
        missing = places[~is_kept]
        found = read(run, missing)
        if found is None:
            return None
        values = np.empty((len(places), rows.shape[1]), dtype=rows.dtype)
        values[is_kept], values[~is_kept] = rows[at[is_kept]], found
        if len(missing) > NEW_SHARE * len(kept):
            both = np.concatenate([kept, missing])
            if self._fits(run, len(both), rows):
                order = np.argsort(both, kind="stable")
                self._kept[run.start] = both[order], np.concatenate([rows, found])[order]
            else:
                self._keep(run, places, values)
        return values

    def count_missing(self, run: slice, places: Indices) -> int:
        """Return how many of these rows are not kept."""
        kept = self._kept.get(run.start)
        return len(places) if kept is None else len(places) - int(np.isin(places, kept[0], assume_unique=True).sum())

    def _keep(self, run: slice, places: Indices, values: Values) -> None:
        """Keep these rows in place of those that are kept, or none if they are too many."""
        self._kept.pop(run.start, None)
        if self._fits(run, len(places), values):
            self._kept[run.start] = places, values

    def _fits(self, run: slice, n_rows: int, values: Values) -> bool:
        row_bytes = values.shape[1] * values.itemsize
        fits: bool = 0 < n_rows * (row_bytes + 8) <= (run.stop - run.start) * self._bytes_per_row
        return fits

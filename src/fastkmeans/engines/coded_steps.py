"""Steps over rows outside memory by help of codes in memory: few rows are read.

Runs of some blocks are screened, one after the other. Rows are read where codes prove no label, and where the label has changed,
because the sums are sums of rows. Where these are many, Lloyd's step reads the whole run.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator
from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .._core.files import CachedRows
from .._core.gaps import GapFinder
from .._core.lloyd import LloydState
from .._core.screened import ScreenedRows
from .._core.sums import ClusterSums
from ..sources.rows import StreamedRows
from ..streamed import BESIDE_BYTES, LEAST_RUNS, code_bytes
from ..types import Floats, Indices, Labels, Values
from .gaps import Gaps
from .kept_rows import FoundRows, KeptRows

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

READERS = 4
"""Threads that read single rows, so that a disk has several requests at a time."""

SEQUENTIAL_SHARE = 0.1
"""If more of a run's rows must be read, the run is read as a whole: a row on its own costs a call of the system."""

MOST_BLOCKS, RUN_SHARE = 32, 64
"""A run has so many blocks, if their rows take at most a 64th of the memory limit. With 8 blocks an iteration over 20M x 100 took 0.24 s,
with 32 it took 0.22 (two cores of a Zen 4)."""

MOST_MISSED = 8
"""After so many readings that would have waited for a device, a step reads rows by threads that wait. A file of which the system has
dropped a few pages is read as one that lies in memory."""

KEPT_ROWS_SHARE = 0.7
"""Rows that were read stay in memory if they take at most so much of what is left of the memory limit."""


class CodedSteps:
    """Steps by codes, for as long as each follows the one before.

    sums, lloyd : those of all steps, which are turned to the rows at hand.   labels : (n_samples,), overwritten by steps.
    centers : those of the step before the first one.
    """

    def __init__(
        self, rows: StreamedRows, sample_weight: Floats | None, labels: Labels, sums: ClusterSums, lloyd: LloydState,
        codes: ScreenedRows, centers: Floats, n_threads: int,
    ) -> None:  # fmt: skip
        self._rows, self._weights, self._labels, self._sums, self._lloyd = rows, sample_weight, labels, sums, lloyd
        self._codes, self._n_threads = codes, n_threads
        self._gaps = Gaps(rows.empty((len(labels),), np.float32), centers)
        room, run_bytes = self._room(), self._run_rows() * rows.row_bytes
        self._most_waiting = min(READERS, max(room // run_bytes - LEAST_RUNS, 0))  # runs that wait for their rows
        left = room - (LEAST_RUNS + self._most_waiting) * run_bytes
        self._kept = KeptRows(len(labels), int(KEPT_ROWS_SHARE * left))
        self._most_rows = min(rows.block_rows, len(labels))
        self._n_missed = 0  # readings of a step that would have waited for a device
        self.read_share = 0.0

    def step(self, centers: Floats) -> int:
        """Label every sample with its nearest center; return the number of labels that changed.

        Codes have begun a step with these centers. Afterwards read_share says how much of the rows lay in runs that were read whole.
        """
        n_changed = n_whole = self._n_missed = 0
        self._gaps.follow(centers)
        finder = GapFinder(centers, self._rows.dtype.itemsize == 4, self._n_threads)
        with self._rows.cached(self._n_threads) as cached, closing(self._needed(cached)) as coming:
            for needed in coming:
                if needed.places is None:
                    n_changed += self._step_over(needed, centers, cached)
                    n_whole += needed.run.stop - needed.run.start
                else:
                    n_changed += self._follow(needed, needed.places, finder)
        self.read_share = n_whole / len(self._labels)
        return n_changed

    def _room(self) -> int:
        """Return the bytes that codes, buffers and arrays with a number per row leave of the memory limit."""
        n_samples, n_features = self._rows.shape
        per_row = code_bytes(n_features, self._codes.bits) + (0 if self._weights is None else 8)
        if not isinstance(self._labels, np.memmap):
            per_row += BESIDE_BYTES
        return self._rows.memory_limit - self._rows.buffer_bytes - n_samples * per_row

    # ---------------------------------------------------------------- runs

    def _run_rows(self) -> int:
        """Return how many rows a run has, the last one aside."""
        n_blocks = min(max(self._rows.memory_limit // (RUN_SHARE * self._rows.block_bytes), 1), MOST_BLOCKS)
        return self._rows.block_rows * n_blocks

    def _runs(self) -> Iterator[slice]:
        """Yield the numbers of the rows of each run."""
        n_rows = self._run_rows()
        for first in range(0, len(self._labels), n_rows):
            yield slice(first, min(first + n_rows, len(self._labels)))

    def _needed(self, cached: CachedRows | None) -> Generator[_Needed, None, None]:
        """Yield what codes and gaps leave to do, run by run. While rows are waited for, the next runs are screened."""
        from concurrent.futures import ThreadPoolExecutor

        waiting: deque[_Needed] = deque()
        with ThreadPoolExecutor(READERS, thread_name_prefix="fastkmeans-reader") as pool:
            try:
                for run in self._runs():
                    needed = self._needed_of(run, pool, cached is not None)
                    if needed is not None:
                        waiting.append(needed)
                    while len(waiting) > self._most_waiting or waiting and waiting[0].reading is None:
                        yield waiting.popleft()
                while waiting:
                    yield waiting.popleft()
            finally:
                for left in waiting:
                    if left.reading is not None:
                        left.reading.cancel()

    def _needed_of(self, run: slice, pool: ThreadPoolExecutor, may_be_cached: bool) -> _Needed | None:
        """Screen a run, and read or begin to read what it needs; None if all labels are proven and none has changed."""
        n_rows, before = run.stop - run.start, self._labels[run]
        places, labels = np.empty(n_rows, dtype=np.intp), np.empty(n_rows, dtype=np.int32)
        n_needed = self._codes.screen(run.start, before, self._gaps.until[run], self._gaps.ways, places, labels)
        if n_needed == 0:
            return None
        places, labels = places[:n_needed].copy(), labels[:n_needed].copy()
        if n_needed > SEQUENTIAL_SHARE * n_rows and self._kept.count_missing(run, places) > SEQUENTIAL_SHARE * n_rows:
            self._gaps.forget(run)
            waits = not may_be_cached or self._n_missed >= MOST_MISSED
            return _Needed(run, None, labels, None, pool.submit(self._read_run, run) if waits else None)
        found = self._kept.take(run, places, self._read_cached)
        reading = None if found is not None else pool.submit(self._kept.take, run, places, self._read)
        return _Needed(run, places, labels, found, reading)

    # ---------------------------------------------------------------- what a run needs

    def _follow(self, needed: _Needed, places: Indices, finder: GapFinder) -> int:
        """Decide what codes left open, and let the sums follow; return the number of labels that changed."""
        rows, labels, found = needed.run.start + places, needed.labels, needed.found_rows()
        undecided = np.flatnonzero(labels < 0)
        if len(undecided):
            decided, gaps = np.empty(len(undecided), dtype=np.int32), np.empty(len(undecided))
            finder.label(found.values, found.at[undecided], decided, gaps)
            self._gaps.put(rows[undecided], decided, gaps)
            labels[undecided] = decided
        changed = np.flatnonzero(labels != self._labels[rows])
        for start in range(0, len(changed), self._most_rows):
            part = changed[start : start + self._most_rows]
            weights = None if self._weights is None else self._weights[rows[part]]
            self._sums.turn_to(found.of(part), self._labels[rows[part]], weights)
            self._sums.follow(labels[part])
        self._labels[rows[changed]] = labels[changed]
        return len(changed)

    def _step_over(self, needed: _Needed, centers: Floats, cached: CachedRows | None) -> int:
        """Take Lloyd's step over a whole run; return the number of labels that changed."""
        run, n_changed = needed.run, 0
        if needed.reading is None and cached is not None:
            cached.turn_to(run.start, run.stop - run.start)
            n_changed += self._step_with(cached, run, centers)
            if not cached.is_missing:
                return n_changed
            self._n_missed += 1  # rows that were read have their new labels already
        values = self._read_run(run) if needed.reading is None else needed.whole_run()
        for start in range(0, len(values), self._most_rows):
            part = values[start : start + self._most_rows]
            first = run.start + start
            n_changed += self._step_with(part, slice(first, first + len(part)), centers)
        return n_changed

    def _step_with(self, values: Values | CachedRows, rows: slice, centers: Floats) -> int:
        self._sums.turn_to(values, self._labels[rows], None if self._weights is None else self._weights[rows])
        return self._lloyd.step(centers)

    # ---------------------------------------------------------------- reading

    def _read(self, run: slice, places: Indices) -> Values:
        """Return some rows of a run.   places : ascending."""
        return self._rows.take_single(run.start + places)

    def _read_run(self, run: slice) -> Values:
        return self._rows.take_single(np.arange(run.start, run.stop))

    def _read_cached(self, run: slice, places: Indices) -> Values | None:
        """As _read, with all threads, if no device is waited for; else None."""
        if self._n_missed >= MOST_MISSED:
            return None
        values = self._rows.take_cached(run.start + places, self._n_threads)
        self._n_missed += values is None
        return values


class _Needed(NamedTuple):
    """What a step needs of a run.

    places : of the rows that are read, within the run; None for all rows, which Lloyd's step labels.   labels : of these rows by
    codes, below 0 where codes prove none.
    found : these rows, if they are at hand.   reading : gives them, or all rows of the run, if they are waited for.
    """

    run: slice
    places: Indices | None
    labels: Labels
    found: FoundRows | None
    reading: Future[Values] | Future[FoundRows | None] | None

    def whole_run(self) -> Values:
        """Return all rows of the run, which are waited for."""
        assert self.reading is not None
        values = self.reading.result()
        assert isinstance(values, np.ndarray)
        return values

    def found_rows(self) -> FoundRows:
        """Return the rows of `places`."""
        found = self.found if self.reading is None else self.reading.result()
        assert isinstance(found, FoundRows)
        return found

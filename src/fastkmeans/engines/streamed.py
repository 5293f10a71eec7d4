"""The engine for samples that do not lie in memory: a step is a pass over blocks of rows, or reads few rows by help of codes.

Lloyd's step reads every row. Each block takes the place of the one before it in the sums, which hold what all blocks added.

With codes in memory, one or two bytes per value, most labels are proven without the rows (kernels/quantized.h). Rows are read
where codes prove no label, and where the label has changed, because the sums are sums of rows. Labels, sums and inertia have the
bits of samples in one array either way.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import closing
from threading import local
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .._core import distances
from .._core.lloyd import LloydState
from .._core.screened import ScreenedRows, decide
from .._core.sums import ClusterSums
from ..algorithms.quantizing import LEAST_SIZE, SIZE_ROWS, SIZE_VALUES, Trial, quantum
from ..algorithms.table import ALGORITHMS, Algorithm
from ..samples import Samples
from ..streamed import StreamedSamples
from ..types import Floats, Indices, Labels, Mask, Singles, Values
from .local import LocalEngine
from .spherical import SphericalEngine

if TYPE_CHECKING:
    from concurrent.futures import Future

READERS = 4
"""Threads that read single rows, so that a disk has several requests at a time."""

SEQUENTIAL_SHARE = 0.1
"""If more of a block's rows are needed, the block is read as a whole: a row on its own costs a call of the system."""

MOST_UNDECIDED = 0.1
"""If 8 bits leave more of a few rows undecided, codes have 16 bits, if these fit."""

MOST_BLOCKS, RUN_SHARE = 8, 64
"""So many blocks are screened at a time, if their rows take at most a 64th of the memory limit: up to six such runs may wait."""

STEADY_SHARE, GAP_CLUSTERS = 0.05, 128
"""If codes change fewer labels of a block, and clusters are no more, rows that are read get a gap: how far centers may move until
the label can change. It costs distances to all centers in float64, one by one."""

KEPT_SHARE = 0.5
"""Gaps are not worth their cost if fewer of those that are stored spare a reading. A gap took as long as reading a row and
finding its label three times (100 features, 100 clusters, two cores of a Granite Rapids Xeon). Where centers share a group of samples they
move farther than gaps are wide, and few gaps are kept."""

WASTED_SHARE = 0.5
"""If two steps in a row read more of the rows than this, the next ones are passes."""


class _Sums:
    """Sums over all blocks, and the labels of all samples, with the attributes of ClusterSums that engines read."""

    def __init__(self, clusters: ClusterSums, labels: Labels) -> None:
        self._clusters, self.labels = clusters, labels
        self.grid = clusters.grid

    @property
    def sums(self) -> Floats:
        return self._clusters.sums

    def move(
        self, centers: Floats, origin: Floats, moved: Floats, terms: Floats, digits: float = 0.0
    ) -> tuple[float, float, int, int]:
        return self._clusters.move(centers, origin, moved, terms, digits)


class Coded:
    """The codes of all rows, which several runs share.   is_full : whether a pass has put all rows in."""

    def __init__(self, codes: ScreenedRows) -> None:
        self.codes, self.is_full = codes, False


class StreamedState:
    """Lloyd's algorithm over blocks, with codes if the algorithm is "quantized"."""

    def __init__(
        self, samples: StreamedSamples, sample_weight: Floats | None, max_weight: float, n_clusters: int, n_threads: int,
        with_codes: bool,
    ) -> None:  # fmt: skip
        self._samples, self._rows, self._weights = samples, samples.rows, sample_weight
        self._n_threads = n_threads
        n_samples, n_features = samples.values.shape
        self._labels: Labels = self._rows.empty((n_samples,), np.int32)
        self._labels.fill(-1)
        n_rows = self._most_rows = min(self._rows.block_rows, n_samples)
        nothing = np.empty((n_rows, n_features), dtype=samples.values.dtype)  # shape and type of a block
        self._sums = ClusterSums(
            nothing, None if sample_weight is None else sample_weight[:n_rows], samples.description.max_abs, max_weight,
            n_clusters, n_threads, n_grid_samples=n_samples,
        )  # fmt: skip
        self._lloyd = LloydState(clusters=self._sums)
        self.clusters = _Sums(self._sums, self._labels)
        self.stepped_by = ""
        self._with_codes = with_codes
        self._n_wasted = 0
        self._gaps: _Gaps | None = None
        self._memory = local()  # of each thread that reads whole blocks: new memory would cost as much as the reading

    def step(self, centers: Floats) -> int:
        """Label every sample with its nearest center; return the number of labels that changed."""
        coded = self._coded_for(centers) if self._with_codes else None
        if coded is not None and coded.is_full and self._labels[0] >= 0 and coded.codes.begin(centers):
            self.stepped_by = "quantized"
            if self._gaps is None:
                self._gaps = _Gaps(self._rows.empty((len(self._labels),), np.float32), centers)
            self._gaps.follow(centers)
            return self._step_by_codes(coded.codes, centers, self._gaps)
        self.stepped_by = "lloyd"
        self._gaps = None
        n_changed = 0
        with closing(self._rows.blocks()) as blocks:
            for rows, values in blocks:
                self._sums.turn_to(values, self._labels[rows], self._weights_of(rows))
                n_changed += self._lloyd.step(centers)
                if coded is not None and not coded.is_full:
                    coded.codes.put(values, rows.start)
        if coded is not None:
            coded.is_full = True
        return n_changed

    def _weights_of(self, rows: slice | Indices) -> Floats | None:
        return None if self._weights is None else self._weights[rows]

    def _coded_for(self, centers: Floats) -> Coded | None:
        """Return the codes, which the next pass fills if they are new; None if they do not pay."""
        if self._samples.coded is None:
            codes = self._new_codes(centers)
            if codes is None:
                self._with_codes = False
                return None
            self._samples.coded = Coded(codes)
        found: Coded = self._samples.coded
        return found

    def _new_codes(self, centers: Floats) -> ScreenedRows | None:
        n_samples, n_features = self._samples.values.shape
        n_rows = min(SIZE_ROWS, max(64, SIZE_VALUES // n_features))
        few = self._samples.take(np.arange(0, n_samples, -(-n_samples // n_rows))).astype(np.float64)
        offset: Floats = few.mean(axis=0)
        is_float32 = self._samples.values.dtype == np.float32
        if is_float32:
            offset = offset.astype(np.float32).astype(np.float64)
        if np.abs(few - offset).max() < LEAST_SIZE:
            return None
        widths = self._samples.code_bits()
        with np.errstate(all="ignore"):
            if len(widths) == 2:
                limit = min(127.0, float(np.floor(np.sqrt(2.0**29 / n_features))))
                open_rows, _ = Trial(few, centers, offset).shares(limit, quantum(few, offset, 8, limit)[0])
                widths = widths[1:] if open_rows > MOST_UNDECIDED else widths
            largest = quantum(few, offset, widths[0], 1.0)[1]
        return ScreenedRows(n_samples, n_features, is_float32, offset, largest, widths[0], self._n_threads)

    # ---------------------------------------------------------------- steps by codes

    def _step_by_codes(self, codes: ScreenedRows, centers: Floats, gaps: _Gaps) -> int:
        n_changed = n_read = 0
        self._rows.check_state()
        for needed in self._needed(codes, gaps):
            rows, found, values = needed.rows, needed.labels, needed.reading.result()
            undecided = np.flatnonzero(found < 0)
            if len(undecided):
                found[undecided] = self._decided(rows[undecided], values[undecided], centers, gaps, needed.is_steady)
            for start in range(0, len(rows), self._most_rows):
                part = slice(start, start + self._most_rows)
                self._sums.turn_to(values[part], self._labels[rows[part]], self._weights_of(rows[part]))
                n_changed += self._sums.follow(found[part])
            self._labels[rows] = found
            n_read += len(rows)
        self._rows.check_state()
        self._n_wasted = self._n_wasted + 1 if n_read > WASTED_SHARE * len(self._labels) else 0
        if self._n_wasted == 2:
            self._with_codes = False
        return n_changed

    def _decided(self, rows: Indices, values: Values, centers: Floats, gaps: _Gaps, is_steady: bool) -> Labels:
        """Return the labels of rows that codes leave undecided.   rows : their numbers."""
        labels = np.empty(len(rows), dtype=np.int32)
        if is_steady and gaps.pay and len(centers) <= GAP_CLUSTERS:
            found = np.empty(len(rows))
            decide(values, centers, labels, found, self._n_threads)
            gaps.put(rows, labels, found)
        else:
            distances.nearest(values, centers, labels, self._n_threads)
        return labels

    def _needed(self, codes: ScreenedRows, gaps: _Gaps) -> Iterator[_Needed]:
        """Yield what codes and gaps leave to do, block by block.

        Rows of some blocks are read while the next blocks are screened.
        """
        from concurrent.futures import ThreadPoolExecutor

        coming: deque[_Needed] = deque()
        with ThreadPoolExecutor(READERS, thread_name_prefix="fastkmeans-reader") as pool:
            try:
                for block in self._screened_together():
                    labels, before = np.empty(block.stop - block.start, dtype=np.int32), self._labels[block]
                    codes.screen(block.start, labels)
                    undecided = np.flatnonzero(labels < 0)
                    kept = undecided[gaps.keep(block.start + undecided, before[undecided])]
                    labels[kept] = before[kept]
                    needed = np.flatnonzero(labels != before)
                    if len(needed):
                        is_steady = len(needed) - (len(undecided) - len(kept)) <= STEADY_SHARE * len(labels)
                        reading = pool.submit(self._read, block, needed)
                        coming.append(_Needed(block.start + needed, labels[needed], is_steady, reading))
                        gaps.forget(block.start + needed)
                    if len(coming) > READERS:
                        yield coming.popleft()
                while coming:
                    yield coming.popleft()
            finally:
                for waiting in coming:
                    waiting.reading.cancel()

    def _screened_together(self) -> Iterator[slice]:
        """Yield the numbers of rows that are screened at a time: some blocks, if the rows of a few such runs fit the memory limit."""
        n_samples, block_rows = len(self._labels), self._rows.block_rows
        block_bytes = block_rows * self._rows.source.n_columns * self._rows.source.dtype.itemsize
        n_rows = block_rows * min(max(self._rows.memory_limit // (RUN_SHARE * block_bytes), 1), MOST_BLOCKS)
        for first in range(0, n_samples, n_rows):
            yield slice(first, min(first + n_rows, n_samples))

    def _read(self, block: slice, needed: Indices) -> Values:
        """Return some rows of a block.   needed : their places in the block, ascending."""
        n_rows = block.stop - block.start
        if len(needed) <= SEQUENTIAL_SHARE * n_rows:
            return self._rows.take_single(block.start + needed)
        memory = getattr(self._memory, "block", None)
        if memory is None or len(memory) < n_rows:
            shape = (n_rows, self._rows.source.n_columns)
            memory = self._memory.block = np.empty(shape, dtype=self._rows.source.dtype)
        return self._rows.take_single(np.arange(block.start, block.stop), memory=memory)[needed]


class _Needed(NamedTuple):
    """Rows of a block that a step reads.

    rows : their numbers.   labels : by codes, below 0 where codes prove none.   is_steady : whether codes change few labels of the
    block.   reading : gives the rows.
    """

    rows: Indices
    labels: Labels
    is_steady: bool
    reading: Future[Values]


class _Gaps:
    """How far centers may move until labels of rows that were read may change: bounds after G. Hamerly, "Making k-means even faster",
    SDM 2010, of some rows.

    stored : (n_samples,) float32, of which no value matters yet.   centers : those of the step before.
    """

    def __init__(self, stored: Singles, centers: Floats) -> None:
        self._stored, self._before = stored, centers.copy()
        self._stored.fill(-np.inf)
        self._ways = np.zeros(len(centers))
        self._n_stored = self._n_put = self._n_kept = 0  # before this step, in this step, and how many spared a reading
        self._n_resting, self._next_rest = 0, 1

    def follow(self, centers: Floats) -> None:
        """Take note of moved centers: add to the way of each what it and the farthest of the others have moved."""
        moved = np.sqrt(((centers - self._before) ** 2).sum(axis=1)) + LEAST_WAY
        own = int(moved.argmax())
        others = np.full(len(moved), moved[own])
        others[own] = np.delete(moved, own).max()
        self._ways = (self._ways + (moved + others)) * WIDER
        self._before = centers.copy()
        self._n_resting = max(self._n_resting - 1, 0)
        if self._n_stored:
            if self._n_kept < KEPT_SHARE * self._n_stored:
                self._n_resting, self._next_rest = self._next_rest, 2 * self._next_rest
            else:
                self._next_rest = 1
        self._n_stored, self._n_put, self._n_kept = self._n_kept + self._n_put, 0, 0

    @property
    def pay(self) -> bool:
        """Whether gaps are worth their cost. Those of the step before did, or are tried anew after a rest that doubles."""
        return self._n_resting == 0

    def put(self, rows: Indices, labels: Labels, gaps: Floats) -> None:
        """Store the gaps of rows with these labels, as of now. They are stored with the way so far, and rounded down."""
        until = np.minimum((self._ways[labels] + gaps * NARROWER) * NARROWER, MOST_STORED)
        self._stored[rows] = np.where(gaps > 0.0, until, -np.inf)
        self._n_put += len(rows)

    def forget(self, rows: Indices) -> None:
        self._stored[rows] = -np.inf

    def keep(self, rows: Indices, labels: Labels) -> Mask:
        """Say which rows surely keep their labels.   labels : so far."""
        kept: Mask = self._stored[rows] > self._ways[labels]
        self._n_kept += int(np.count_nonzero(kept))
        return kept


WIDER, NARROWER = 1.0 + 2.0**-18, 1.0 - 2.0**-20
"""Ways are rounded up by more, and gaps down by more, than all operations on them can round, float32 included, and than 2^-20 of the
way, which the decision counts on (kmeans_core/screened.pyx)."""

MOST_STORED = float(np.finfo(np.float32).max)
"""What is larger would be stored as infinite, and exceed every way."""

LEAST_WAY = 2.0**-500
"""Added to each way, because squares of ways so short have few digits."""


class StreamedEngine(LocalEngine):
    """Samples that do not lie in memory, and the state of one run over them."""

    def _make_state(self, samples: Samples, algorithm: Algorithm, max_weight: float, n_clusters: int) -> StreamedState:
        assert isinstance(samples, StreamedSamples)
        self._uses_blas = False
        with_codes = algorithm is not ALGORITHMS["lloyd"] and bool(samples.code_bits())
        return StreamedState(samples, self.sample_weight, max_weight, n_clusters, self.n_threads, with_codes)


class StreamedSphericalEngine(StreamedEngine, SphericalEngine):
    """The same over rows of length 1, whose centers have length 1 too."""


ENGINES = {"euclidean": StreamedEngine, "cosine": StreamedSphericalEngine}
"""The row of StreamedSamples in table.py."""

"""The engine for samples that do not lie in memory: a step is a pass over blocks of rows, or reads few rows by help of codes.

Lloyd's step reads every row. Each block takes the place of the one before it in the sums, which hold what all blocks added.

With codes in memory, one or two bytes per value, most labels are proven without the rows (kernels/quantized.h). Rows are read
where codes prove no label, and where the label has changed, because the sums are sums of rows. Labels, sums and inertia have the
bits of samples in one array either way.
"""

from __future__ import annotations

from contextlib import closing

import numpy as np

from .._core.files import CachedRows
from .._core.lloyd import LloydState
from .._core.screened import ScreenedRows
from .._core.sums import ClusterSums
from ..algorithms.quantizing import LEAST_SIZE, SIZE_ROWS, SIZE_VALUES, Trial, quantum
from ..algorithms.table import ALGORITHMS, Algorithm
from ..samples import Samples
from ..streamed import StreamedSamples
from ..types import Floats, Labels, Values
from .coded_steps import CodedSteps
from .local import LocalEngine
from .spherical import SphericalEngine

MOST_UNDECIDED = 0.1
"""If 8 bits leave more of a few rows undecided, codes have 16 bits, if these fit."""

WASTED_SHARE = 0.5
"""If a step by codes reads more of the rows in runs as a whole, the next step is a pass, then the next 2, 4 and so on."""

BLOCKS_TOGETHER = 64
"""So many blocks are stepped over between two reports of progress, if the system has the files in memory."""


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
        self._coded_steps: CodedSteps | None = None
        self._n_resting, self._next_rest = 0, 1  # steps without codes

    def step(self, centers: Floats) -> int:
        """Label every sample with its nearest center; return the number of labels that changed."""
        coded = self._coded_for(centers) if self._with_codes else None
        if coded is not None and coded.is_full and self._labels[0] >= 0 and self._n_resting == 0:
            if coded.codes.begin(centers):
                return self._step_by_codes(coded.codes, centers)
        self.stepped_by = "lloyd"
        self._coded_steps = None
        self._n_resting = max(self._n_resting - 1, 0)
        is_filling = coded is not None and not coded.is_full
        n_changed, is_complete = (0, False) if is_filling else self._step_in_cache(centers)
        if is_complete:
            return n_changed
        with closing(self._rows.blocks(self._n_threads)) as blocks:
            for rows, values in blocks:
                self._turn_to(values, rows)
                n_changed += self._lloyd.step(centers)
                if coded is not None and not coded.is_full:
                    coded.codes.put(values, rows.start)
        if coded is not None:
            coded.is_full = True
        return n_changed

    def _step_by_codes(self, codes: ScreenedRows, centers: Floats) -> int:
        self.stepped_by = "quantized"
        if self._coded_steps is None:
            self._coded_steps = CodedSteps(
                self._rows, self._weights, self._labels, self._sums, self._lloyd, codes, centers, self._n_threads
            )
        n_changed = self._coded_steps.step(centers)
        if self._coded_steps.read_share > WASTED_SHARE:
            self._n_resting, self._next_rest = self._next_rest, 2 * self._next_rest
        else:
            self._next_rest = 1
        return n_changed

    def _step_in_cache(self, centers: Floats) -> tuple[int, bool]:
        """Step over the files as far as the system has them in memory, without a thread that reads ahead.

        Returns the number of labels that changed, and whether all rows were read. If not, the step goes on with a pass, which may
        come upon rows that have their new labels already.
        """
        n_changed, n_samples = 0, len(self._labels)
        with self._rows.cached(self._n_threads) as cached:
            if cached is None:
                return 0, False
            for first in range(0, n_samples, self._most_rows * BLOCKS_TOGETHER):
                rows = slice(first, min(first + self._most_rows * BLOCKS_TOGETHER, n_samples))
                cached.turn_to(first, rows.stop - first)
                self._turn_to(cached, rows)
                n_changed += self._lloyd.step(centers)
                if cached.is_missing:
                    return n_changed, False
                if self._rows.watch is not None:
                    self._rows.watch(rows.stop - first, rows.stop)
        return n_changed, True

    def _turn_to(self, values: Values | CachedRows, rows: slice) -> None:
        self._sums.turn_to(values, self._labels[rows], None if self._weights is None else self._weights[rows])

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

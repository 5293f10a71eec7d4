"""Samples in rows that are read in blocks (sources/rows.py), and what is done with such rows outside the iterations."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ._core import distances
from ._core import samples as compiled
from ._core.runtime import has_dot8
from .algorithms.table import SKLEARN_NAMES
from .runtime.threads import effective_n_threads
from .samples import Samples, Shape, describe_pieces, leaf_inertias, total_of_leaves
from .sources.rows import StreamedRows
from .types import Floats, Indices, Labels, Values

CODED_SHARE = 0.75
"""Codes may take so much of the memory limit."""

LEAST_RUNS, BESIDE_BYTES = 2, 8
"""Beside codes there is room for the buffers of a pass, two runs of a block, and the label and the gap of each row."""


def code_bytes(n_features: int, bits: int) -> int:
    """Return how many bytes the codes of a row take."""
    return 8 + n_features * bits // 8


class StreamedSamples(Samples):
    """Samples in rows that are read in blocks; as Samples, but `values` is a Shape.

    Blocks begin with leaves, so they are arrays and pieces alike. A block is overwritten by the next one.
    """

    __slots__ = ("rows", "coded", "_n_threads", "_whole")

    about = "samples that do not lie in memory"

    def __init__(self, rows: StreamedRows, sample_weight: Floats | None, n_threads: int) -> None:
        description = describe_pieces((values for _, values in rows.blocks(n_threads)), n_threads)
        super().__init__(Shape(rows.shape, rows.dtype), sample_weight, description)  # type: ignore[arg-type]  # no values
        self.rows, self._n_threads = rows, n_threads
        self.coded: Any = None  # what engines keep of the rows, for the next engine over them
        self._whole: Samples | None = None

    def arrays(self) -> Iterator[tuple[slice, Values]]:
        """Yield the blocks: the slice of the numbers of their samples, and their values, until the next one."""
        return self.rows.blocks(self._n_threads)

    def slices(self) -> list[slice]:
        """Return the slices of the arrays, without a pass."""
        n_samples, n_rows = len(self.values), self.rows.block_rows
        return [slice(first, min(first + n_rows, n_samples)) for first in range(0, n_samples, n_rows)]

    def choose_algorithm(self, name: str, n_clusters: int, max_iter: int, n_runs: int) -> str:
        """Return "quantized" if codes of the rows may be kept in memory, so that few rows are read again, else "lloyd"."""
        asked_for_passes = SKLEARN_NAMES.get(name, name) == "lloyd"
        return "lloyd" if asked_for_passes or n_clusters == 1 or not self.code_bits() else "quantized"

    def code_bits(self) -> list[int]:
        """Return the widths of codes for which there is room, fewest bits first; none where rows are read in passes only."""
        if not self.rows.source.has_rows:
            return []
        n_samples, n_features = self.values.shape
        beside = self.rows.buffer_bytes + LEAST_RUNS * self.rows.block_bytes + n_samples * BESIDE_BYTES
        most = min(CODED_SHARE * self.rows.memory_limit, self.rows.memory_limit - beside)
        widths = [8, 16] if has_dot8() else [16]
        return [bits for bits in widths if n_samples * code_bytes(n_features, bits) <= most]

    def take(
        self,
        rows: Indices,
        origin: Floats | None = None,
        n_threads: int | None = None,
    ) -> Values:
        """Return the samples with these numbers, (len(rows), n_features), as Samples.take does."""
        values = self.rows.take(rows, n_threads)
        if origin is None:
            return values
        taken: Values = np.empty(values.shape, dtype=np.float32)
        n_threads = effective_n_threads(n_threads, float(taken.size))
        compiled.take(values, np.arange(len(values)), origin, taken, n_threads)
        return taken

    def nearest(self, centers: Floats, n_threads: int) -> Labels:
        """Return the label of the nearest center of each sample, (n_samples,)."""
        return nearest(self.rows, centers, n_threads)

    def own_sq_distances(
        self, centers: Floats, labels: Labels, n_threads: int, kind: int = distances.EUCLIDEAN
    ) -> Floats:
        """Return the squared distance of each sample to the center of its label, (n_samples,); another distance by `kind`."""
        own = self.rows.empty((len(labels),), np.float64)
        for rows, values in self.arrays():
            distances.own_sq_distances(values, centers, labels[rows], own[rows], n_threads, kind)
        return own

    def whole(self) -> Samples:
        """Return the samples in one array, if the memory limit allows."""
        if self._whole is None:
            self.rows.check_gathered(len(self.values), "all rows in one array, which this init or fit reads")
            self._whole = Samples(self.rows.loaded(), self.sample_weight, self.description)
        return self._whole


def nearest(rows: StreamedRows, centers: Floats, n_threads: int, kind: int = distances.EUCLIDEAN) -> Labels:
    """Return the label of each row: its nearest center."""
    labels = rows.empty((len(rows),), np.int32)
    for numbers, values in rows.blocks(n_threads):
        distances.nearest(values, centers, labels[numbers], n_threads, kind)
    return labels


def inertia_of(
    rows: StreamedRows, centers: Floats, labels: Labels, sample_weight: Floats | None, n_threads: int, kind: int
) -> float:
    """As samples.inertia_of, for rows that are read in blocks."""
    return total_of_leaves([
        leaf_inertias(
            values, centers, labels[numbers], None if sample_weight is None else sample_weight[numbers], n_threads, kind
        )
        for numbers, values in rows.blocks(n_threads)
    ])  # fmt: skip


def pairwise(rows: StreamedRows, centers: Floats, result: Values, n_threads: int, kind: int) -> int:
    """As distances.pairwise, for rows that are read in blocks."""
    return sum(
        distances.pairwise(values, centers, result[numbers], n_threads, kind)
        for numbers, values in rows.blocks(n_threads)
    )


def prepared(
    rows: StreamedRows, prepare_rows: Callable[..., Values], dtype: Any, n_threads: int | None
) -> StreamedRows:
    """Return the rows as a metric measures them.   prepare_rows : that of the Metric."""

    def prepare(values: Values, first: int) -> Values:
        zero = np.flatnonzero(~values.any(axis=1))
        if len(zero):
            place = rows.source.place(first + int(zero[0]))
            raise ValueError(
                "X must have no row of zeros, which has no direction for metric='cosine' to compare; "
                f"{place} is all zeros. Drop such rows, or use metric='euclidean'."
            )
        return prepare_rows(values, dtype, "X", n_threads)

    return rows.prepared(prepare, dtype)


def standardized(rows: StreamedRows, standardize: Callable[..., Values], dtype: Any) -> StreamedRows:
    """Return standardised rows.   standardize : Scaling.standardized."""
    return rows.prepared(lambda values, first: standardize(values, dtype, "X", rows.feature_names), dtype)

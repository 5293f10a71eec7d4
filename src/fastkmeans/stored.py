"""Samples read in place: of 8 or 16 bits a value, or with other strides than C order. They are laid out some at a time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ._core.stored import StoredRows
from .algorithms.budget import SMALL_COPY, spare_bytes
from .algorithms.copies import Copies, copies_of
from .algorithms.table import choose_in_place
from .runtime.threads import effective_n_threads
from .samples import LEAF, Description, Samples, describe_pieces, leaf_inertias, total_of_leaves
from .types import Floats, Indices, Labels, Values

VALUES_AT_ONCE = 1 << 18
"""Values that are laid out at a time outside the steps of a fit: 1 MiB of float32, which a second-level cache holds until it is read. With
4 MiB a fit of one step of 200 000 x 16 float16 rows took 12.6 ms in place of 9.1 (Granite Rapids, one core)."""


FLOAT32_BYTES = 4
DENSE_SHARE = 0.5
"""Drawn samples are laid out as float32 once if that takes at most SMALL_COPY bytes, or this share of the memory that a fit may take.
The rest is left for the copies that algorithms make of them."""


class StoredSamples(Samples):
    """Samples that are read in place; as Samples, but `values` are StoredRows."""

    __slots__ = ("rows", "_n_threads")

    about = "samples read in place"

    def __init__(
        self, rows: StoredRows, sample_weight: Floats | None, description: Description, n_threads: int | None = None
    ) -> None:
        super().__init__(rows, sample_weight, description)  # type: ignore[arg-type]  # see above
        self.rows = rows
        self._n_threads = n_threads

    def arrays(self) -> Iterator[tuple[slice, Values]]:
        """Yield some samples at a time: numbers and values. The next ones overwrite the values."""
        return blocks_of(self.rows, self._n_threads)

    def take(
        self,
        rows: Indices,
        origin: Floats | None = None,
        n_threads: int | None = None,
    ) -> Values:
        """Return the samples with these numbers, (len(rows), n_features), as Samples.take does."""
        some = self.rows.some(rows, origin)
        return some.dense(effective_n_threads(n_threads, float(some.size)))

    def subset(
        self,
        rows: Indices,
        sample_weight: Floats | None,
        origin: Floats | None = None,
        n_threads: int | None = None,
    ) -> Samples:
        """Return the samples with these numbers: in one array if that is small beside all samples, else read in place, too."""
        if FLOAT32_BYTES * len(rows) * self.rows.shape[1] <= max(SMALL_COPY, DENSE_SHARE * spare_bytes(self.rows)):
            return super().subset(rows, sample_weight, origin, n_threads)
        return stored_samples(self.rows.some(rows, origin), sample_weight, n_threads)

    def choose_algorithm(self, name: str, n_clusters: int, max_iter: int, n_runs: int) -> str:
        """Return the algorithm of a run; see algorithms/table.py."""
        return choose_in_place(name, self.rows, n_clusters, max_iter, n_runs)

    def copies(self, n_threads: int | None) -> Copies:
        """Return what algorithms keep of the rows, for at least so many threads: steps over quantized rows need scratch of each."""
        n_threads = effective_n_threads(n_threads) if n_threads is None else n_threads
        if self._copies is None or self._copies.quantized.n_threads < n_threads:
            self._copies = copies_of(self.values, self.description.max_abs, n_threads)
        return self._copies

    def whole(self) -> Samples:
        """Return the samples in one array, each time a new one."""
        n_threads = effective_n_threads(self._n_threads, float(self.rows.size))
        return Samples(self.rows.dense(n_threads), self.sample_weight, self.description)


def stored_samples(rows: StoredRows, sample_weight: Floats | None, n_threads: int | None) -> StoredSamples:
    """Describe stored rows, and return them as samples."""
    pieces = (values for _, values in blocks_of(rows, n_threads))
    description = describe_pieces(pieces, effective_n_threads(n_threads, float(rows.size)))
    return StoredSamples(rows, sample_weight, description, n_threads)


def blocks_of(rows: StoredRows, n_threads: int | None = None) -> Iterator[tuple[slice, Values]]:
    """Yield rows as kernels read them, some leaves at a time: numbers and values. The next ones overwrite the values."""
    n_samples, n_features = rows.shape
    n_threads = effective_n_threads(n_threads, float(min(rows.size, VALUES_AT_ONCE)))
    count = min(max(1, VALUES_AT_ONCE // n_features // LEAF) * LEAF, n_samples)
    block: Values = np.empty((count, n_features), dtype=rows.read_as)
    for first in range(0, n_samples, count):
        values = block[: n_samples - first]
        rows.write(first, values, n_threads)
        yield slice(first, first + len(values)), values


def inertia_of(
    rows: StoredRows, centers: Floats, labels: Labels, sample_weight: Floats | None, n_threads: int, kind: int
) -> float:
    """Return the sum of weight * distance to the center of the label, as samples.inertia_of does."""
    leaves = [
        leaf_inertias(
            values, centers, labels[at], None if sample_weight is None else sample_weight[at], n_threads, kind
        )
        for at, values in blocks_of(rows, n_threads)
    ]
    return total_of_leaves(leaves)

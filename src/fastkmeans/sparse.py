"""Sparse samples: rows of stored values, which are made dense only a few at a time, if the grids of sums may lose digits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ._core import csr, distances, sparse, totals
from ._core import samples as described_samples
from ._core.csr import CsrRows
from .runtime.threads import effective_n_threads
from .samples import LEAF, Description, Samples, Smallest
from .types import Flags, Floats, Indices, Labels, Values

DENSE_VALUES = 1 << 20
"""Values of a block of rows that is made dense."""


class SparseSamples(Samples):
    """Samples in sparse rows of this process; as Samples, but `values` are CsrRows.

    shown : what a callable init gets as X, or None.
    """

    __slots__ = ("rows", "shown")

    about = "sparse samples"
    has_filters = False

    def __init__(
        self, rows: CsrRows, sample_weight: Floats | None, description: Description, shown: Any = None
    ) -> None:
        super().__init__(rows, sample_weight, description)  # type: ignore[arg-type]  # see above
        self.rows = rows
        self.shown = shown

    def arrays(self) -> Iterator[tuple[slice, Values]]:
        """The samples made dense, some at a time: numbers and values."""
        n_samples, n_features = self.rows.shape
        count = max(1, DENSE_VALUES // n_features)
        for first in range(0, n_samples, count):
            end = min(first + count, n_samples)
            yield slice(first, end), self.rows.dense(first, end)

    def pieces(self) -> Iterator[tuple[slice, Values]]:
        """The samples made dense, leaf by leaf."""
        for first in range(0, len(self.rows), LEAF):
            end = min(first + LEAF, len(self.rows))
            yield slice(first, end), self.rows.dense(first, end)

    def take(self, rows: Indices, origin: Floats | None = None, n_threads: int | None = None) -> Values:
        """(len(rows), n_features): some samples, by number, made dense."""
        assert origin is None  # float32 about an origin is for dense samples
        return self.rows.take(np.ascontiguousarray(rows)).dense(0, len(rows))

    def subset(
        self, rows: Indices, sample_weight: Floats | None, origin: Floats | None = None, n_threads: int | None = None
    ) -> Samples:
        """Some samples, by number, with weights of their own."""
        assert origin is None
        return sparse_samples(self.rows.take(np.ascontiguousarray(rows)), sample_weight, n_threads)

    def nearest(self, centers: Floats, n_threads: int) -> Labels:
        """(n_samples,): the label of each sample's nearest center."""
        labels = np.empty(len(self.rows), dtype=np.int32)
        nearest(self.rows, centers, labels, n_threads)
        return labels

    def own_sq_distances(
        self, centers: Floats, labels: Labels, n_threads: int, kind: int = distances.EUCLIDEAN
    ) -> Floats:
        """(n_samples,): squared distance of each sample to the center of its label; half of it, by kind."""
        return own_sq_distances(self.rows, centers, labels, n_threads, kind)

    def sums_anew(
        self, labels: Labels, sample_weight: Floats | None, wanted: Flags, n_threads: int
    ) -> tuple[Floats, Floats]:
        """Return sums of some clusters, stored value by stored value in float64, and the unit of their weights, which is 1."""
        n_clusters, n_features = len(wanted), self.rows.shape[1]
        kept = np.flatnonzero(np.append(wanted, np.uint8(0))[labels])
        rows = self.rows.take(kept)
        weights = np.ones(len(kept)) if sample_weight is None else sample_weight[kept]
        n_stored = np.diff(rows.starts)
        places = np.repeat(labels[kept].astype(np.int64) * n_features, n_stored) + rows.features
        terms = rows.values * np.repeat(weights, n_stored)
        sums = np.zeros((n_clusters, 2, n_features + 1))
        sums[:, 0, :-1] = np.bincount(places, terms, n_clusters * n_features).reshape(n_clusters, n_features)
        sums[:, 0, -1] = np.bincount(labels[kept], weights, n_clusters)
        return sums, np.ones(n_clusters)

    def inertia(
        self,
        centers: Floats,
        labels: Labels,
        sample_weight: Floats | None,
        n_threads: int,
        kind: int = distances.EUCLIDEAN,
    ) -> float:
        """Sum of weight * distance to the own center, squared if Euclidean; the same bits for any n_threads."""
        return inertia_of(self.rows, centers, labels, sample_weight, n_threads, kind)


def sparse_samples(
    rows: CsrRows, sample_weight: Floats | None, n_threads: int | None = None, shown: Any = None
) -> SparseSamples:
    """Describe sparse rows, measure them, and return them as samples."""
    described, smallest = np.empty((3, rows.shape[1])), np.empty(rows.shape[1])
    csr.describe(rows, described, smallest)
    max_abs, mean, variance = described
    sizes = described_samples.sum_up(described, len(rows))
    rows.measure(sizes[0], effective_n_threads(n_threads, float(rows.size)))
    return SparseSamples(rows, sample_weight, Description(max_abs, mean, variance, *sizes, Smallest(smallest)), shown)


def nearest(rows: CsrRows, centers: Floats, labels: Labels, n_threads: int) -> None:
    """Write the label of each row: its nearest center."""
    rows.measure(float(np.abs(rows.values).max(initial=0.0)), n_threads)
    sparse.nearest(rows, centers, labels, n_threads)


def own_sq_distances(rows: CsrRows, centers: Floats, labels: Labels, n_threads: int, kind: int) -> Floats:
    """(n_samples,): squared distance of each row to the center of its label; half of it for cosine distances."""
    own = np.empty(len(labels))
    sparse.own_sq_distances(rows, centers, labels, own, n_threads)
    return 0.5 * own if kind == distances.COSINE else own


def inertia_of(
    rows: CsrRows, centers: Floats, labels: Labels, sample_weight: Floats | None, n_threads: int, kind: int
) -> float:
    """Return the sum of weight * distance to the own center, squared if Euclidean; the same bits for any n_threads."""
    own = own_sq_distances(rows, centers, labels, n_threads, kind)
    if sample_weight is not None:
        own *= sample_weight
    return totals.total_of(np.add.reduceat(own, np.arange(0, len(own), LEAF)))


def pairwise(rows: CsrRows, centers: Floats, result: Values, n_threads: int, kind: int) -> int:
    """As distances.pairwise, for sparse rows that are measured."""
    labels = np.empty(len(rows), dtype=np.int32)
    nearest(rows, centers, labels, n_threads)
    eight, norms = np.empty((len(rows), 8)), np.zeros(8)
    own_norms = np.empty((len(rows), 8))
    sparse.eight_sq_distances(rows, np.zeros((rows.shape[1], 8)), norms, own_norms, n_threads)
    for first in range(0, len(centers), 8):
        some = centers[first : first + 8]
        columns, norms = np.zeros((rows.shape[1], 8)), np.zeros(8)
        columns[:, : len(some)], norms[: len(some)] = some.T, sparse.sq_norms(some)
        sparse.eight_sq_distances(rows, columns, norms, eight, n_threads)
        cancels = eight[:, : len(some)] < CANCELS * (own_norms[:, : len(some)] + norms[: len(some)])
        for j in np.flatnonzero(cancels.any(axis=0)):
            close = np.flatnonzero(cancels[:, j])
            own = np.empty(len(close))
            sparse.own_sq_distances(rows.take(close), some, np.full(len(close), j, dtype=np.int32), own, n_threads)
            eight[close, j] = own
        block = eight[:, : len(some)]
        result[:, first : first + len(some)] = 0.5 * block if kind == distances.COSINE else np.sqrt(block)
    return _put_nearest_first(result, labels)


CANCELS = 2.0**-10
"""A squared distance below this share of |x|^2 + |c|^2 is taken over all features, as in kernels/sparse.h."""


def _put_nearest_first(result: Values, labels: Labels) -> int:
    """Let the nearest center have the first smallest distance of its row; return the number of rows that overflow."""
    own = result[np.arange(len(result)), labels][:, None]
    first = np.arange(result.shape[1]) < labels[:, None]
    wrong = (result < own) | (first & (result == own))
    if wrong.any():
        result[wrong] = np.broadcast_to(np.nextafter(own, np.inf), result.shape)[wrong]
        result[np.arange(len(result)), labels] = own[:, 0]
    return int(np.count_nonzero(np.isinf(result).any(axis=1)))

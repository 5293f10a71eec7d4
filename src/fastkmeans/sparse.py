"""Sparse samples: rows of stored values, which are never made dense, and distances to them."""

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


class SparseSamples(Samples):
    """Samples in sparse rows of this process; as Samples, but `values` are CsrRows.

    n_threads : int or None, for measuring the rows.   shown : what a callable init gets as X, or None.
    """

    __slots__ = ("rows", "shown", "_described", "_n_threads")
    _described: Description | None

    about = "sparse samples"
    has_filters = False
    has_search = False
    """16 000 rows store few values of each feature, and the centers of a search are fitted to these few. Of six sets with 66 000 to
    200 000 rows and k=50 (two seeds or one), a search ended 0.04 to 0.1 % above k-means++ on three, as low on two, and 0.4 %
    lower on one. It took 0.6 to 1.4 times the time of k-means++, and at least half as much memory as the rows."""

    def __init__(
        self, rows: CsrRows, sample_weight: Floats | None, n_threads: int | None = None, shown: Any = None
    ) -> None:
        super().__init__(rows, sample_weight, None)  # type: ignore[arg-type]  # see above and below
        self.rows = rows
        self.shown = shown
        self._n_threads = n_threads

    @property
    def description(self) -> Description:
        """Of the values. The first request reads them twice, and measures the rows; seeding alone does without."""
        if self._described is None:
            self._described = _describe(self.rows, self._n_threads)
        return self._described

    @description.setter
    def description(self, described: Description | None) -> None:
        self._described = described

    def take(
        self,
        rows: Indices,
        origin: Floats | None = None,
        n_threads: int | None = None,
    ) -> Values:
        """(len(rows), n_features): some samples, by number, made dense."""
        assert origin is None  # float32 about an origin is for dense samples
        return self.rows.take(np.ascontiguousarray(rows)).dense(0, len(rows))

    def subset(
        self,
        rows: Indices,
        sample_weight: Floats | None,
        origin: Floats | None = None,
        n_threads: int | None = None,
    ) -> Samples:
        """Some samples, by number, with weights of their own. They stay sparse."""
        assert origin is None
        return SparseSamples(self.rows.take(np.ascontiguousarray(rows)), sample_weight, n_threads)

    def nearest(self, centers: Floats, n_threads: int) -> Labels:
        """(n_samples,): the label of each sample's nearest center."""
        labels = np.empty(len(self.rows), dtype=np.int32)
        nearest(self.rows, centers, labels, n_threads)
        return labels

    def own_sq_distances(
        self, centers: Floats, labels: Labels, n_threads: int, kind: int = distances.EUCLIDEAN
    ) -> Floats:
        """(n_samples,): squared distance of each sample to the center of its label; half of it, by kind.

        With the bits of dense samples, since samples are chosen by it, and ties are common.
        """
        own = np.empty(len(labels))
        sparse.own_sq_distances(self.rows, centers, labels, own, n_threads, True)
        return 0.5 * own if kind == distances.COSINE else own

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


def _describe(rows: CsrRows, n_threads: int | None) -> Description:
    """Describe sparse rows, and measure them."""
    described, smallest = np.empty((3, rows.shape[1])), np.empty(rows.shape[1])
    csr.describe(rows, described, smallest)
    max_abs, mean, variance = described
    sizes = described_samples.sum_up(described, len(rows))
    rows.measure(sizes[0], effective_n_threads(n_threads, float(rows.size)))
    return Description(max_abs, mean, variance, *sizes, Smallest(smallest))


def nearest(rows: CsrRows, centers: Floats, labels: Labels, n_threads: int) -> None:
    """Write the label of each row: its nearest center."""
    largest = max(rows.values.max(initial=0.0), -rows.values.min(initial=0.0))  # a copy of all |x| would be large
    rows.measure(float(largest), n_threads)
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
    for columns, block in sq_distances_by_eights(rows, centers, n_threads):
        result[:, columns] = 0.5 * block if kind == distances.COSINE else np.sqrt(block)
    return _put_nearest_first(result, labels)


def sq_distances_by_eights(rows: CsrRows, centers: Floats, n_threads: int) -> Iterator[tuple[slice, Floats]]:
    """Yield the squared distances of all rows to at most eight centers at a time, and which centers these are."""
    norms = norms_by_eights(rows, n_threads)
    for first in range(0, len(centers), 8):
        columns = slice(first, min(first + 8, len(centers)))
        yield columns, sq_distances_to_eight(rows, centers[columns], norms, n_threads)


def norms_by_eights(rows: CsrRows, n_threads: int) -> Floats:
    """Return |x|^2 of each row, (n_samples, 1), as sq_distances_to_eight adds it up."""
    eight = np.empty((len(rows), 8))
    sparse.eight_sq_distances(rows, np.zeros((rows.shape[1], 8)), np.zeros(8), eight, n_threads)
    return eight[:, :1].copy()


def sq_distances_to_eight(rows: CsrRows, centers: Floats, own_norms: Floats, n_threads: int) -> Floats:
    """Return the squared distances of all rows to at most eight centers, over all features where digits cancel.

    own_norms : of norms_by_eights.
    """
    columns, norms = np.zeros((rows.shape[1], 8)), np.zeros(8)
    columns[:, : len(centers)], norms[: len(centers)] = centers.T, sparse.sq_norms(centers)
    eight = np.empty((len(rows), 8))
    sparse.eight_sq_distances(rows, columns, norms, eight, n_threads)
    found = eight[:, : len(centers)]
    cancels = ~(found > CANCELS * (own_norms + norms[: len(centers)]))
    for j in np.flatnonzero(cancels.any(axis=0)):
        close = np.flatnonzero(cancels[:, j])
        own = np.empty(len(close))
        labels = np.full(len(close), j, dtype=np.int32)
        sparse.own_sq_distances(rows.take(close), centers, labels, own, n_threads)
        found[close, j] = own
    return found


CANCELS = sparse.CANCELS
"""A squared distance of at most this share of |x|^2 + |c|^2 is taken over all features."""


def _put_nearest_first(result: Values, labels: Labels) -> int:
    """Let the nearest center have the first smallest distance of its row; return the number of rows that overflow."""
    own = result[np.arange(len(result)), labels][:, None]
    first = np.arange(result.shape[1]) < labels[:, None]
    wrong = (result < own) | (first & (result == own))
    if wrong.any():
        result[wrong] = np.broadcast_to(np.nextafter(own, np.inf), result.shape)[wrong]
        result[np.arange(len(result)), labels] = own[:, 0]
    return int(np.count_nonzero(np.isinf(result).any(axis=1)))

"""The distances that scores read, over sparse rows: to centers, and to all other rows. Eight rows at a time are made dense."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .. import sparse
from .._core.csr import CsrRows
from ..runtime.threads import effective_n_threads
from ..types import Floats, Indices, Labels, Mask
from .cluster_means import sq_distances_to, sums_of_clusters
from .mean_distances import without_rounding

DISTANCES_AT_ONCE = 1 << 18
"""Distances that are held at a time: 2 MB."""


def unit_rows(rows: CsrRows) -> tuple[CsrRows, Mask]:
    """Return the rows in float64 with length 1, and which of them are rows of zeros, which stay so."""
    row_of = np.repeat(np.arange(len(rows)), np.diff(rows.starts))
    largest = np.zeros(len(rows))
    np.maximum.at(largest, row_of, np.abs(rows.values))
    # Scaled by a power of two, no row underflows or overflows when squared, and none is rounded.
    values = np.ldexp(rows.values, -np.frexp(largest)[1][row_of], dtype=np.float64)
    lengths = np.sqrt(np.bincount(row_of, values * values, len(rows)))
    values /= np.where(lengths > 0, lengths, 1.0)[row_of]
    return CsrRows(values, rows.features, rows.starts, rows.shape[1]), largest == 0.0


def sq_distances_in_parts(rows: CsrRows, centers: Floats, n_threads: int | None) -> Iterator[tuple[slice, Floats]]:
    """Yield the squared distances of some rows at a time to all centers, (some, n_centers), and which rows these are."""
    count = max(1, DISTANCES_AT_ONCE // max(len(centers), 8))
    n_threads = effective_n_threads(n_threads, float(rows.size) * len(centers))
    for first in range(0, len(rows), count):
        part = slice(first, min(first + count, len(rows)))
        some = rows.take(np.arange(part.start, part.stop))
        sq_distances = np.empty((len(some), len(centers)))
        for columns, eight in sparse.sq_distances_by_eights(some, centers, n_threads):
            sq_distances[:, columns] = eight
        yield part, sq_distances


def mean_distances_to_rows(
    rows: CsrRows, chosen: Indices, codes: Labels, n_threads: int | None
) -> tuple[Floats, Floats]:
    """Return mean Euclidean distances of chosen rows to their own cluster and to the nearest other one: (n_chosen,) each.

    codes : (n_samples,), in which every number from 0 to the largest occurs, two at least.
    """
    sizes = np.bincount(codes)
    starts = np.cumsum(sizes) - sizes
    by_cluster = rows.take(np.argsort(codes, kind="stable"))
    n_threads = effective_n_threads(n_threads, float(rows.size) * len(chosen))
    own, nearest = np.empty(len(chosen)), np.empty(len(chosen))
    norms = sparse.norms_by_eights(by_cluster, n_threads)
    for first in range(0, len(chosen), 8):
        part = chosen[first : first + 8]
        targets = rows.take(np.ascontiguousarray(part)).dense(0, len(part)).astype(np.float64)
        distances = np.sqrt(sparse.sq_distances_to_eight(by_cluster, targets, norms, n_threads))
        means = np.add.reduceat(distances, starts, axis=0) / sizes[:, None]
        each, labels = np.arange(len(part)), codes[part]
        own[first : first + 8] = means[labels, each]
        means[labels, each] = np.inf
        nearest[first : first + 8] = means.min(axis=0)
    return own, nearest


def cosine_means(rows: CsrRows, chosen: Indices, codes: Labels, n_threads: int | None) -> tuple[Floats, Floats]:
    """Return the same for cosine distances, from one mean per cluster as silhouettes.py does for dense rows."""
    units, is_zero = unit_rows(rows)
    sizes = np.bincount(codes)
    n_zero = np.bincount(codes[is_zero], minlength=len(sizes))
    n_nonzero = sizes - n_zero
    means = sums_of_clusters(units, codes, len(sizes), n_threads) / np.maximum(n_nonzero, 1)[:, None]
    about = sq_distances_to(means, units, codes, n_threads)
    about[is_zero] = 0.0
    offset = (0.5 * np.bincount(codes, weights=about) + n_zero) / sizes
    units = units.take(np.ascontiguousarray(chosen, dtype=np.int64))
    own, nearest = cosine_distances(units, codes[chosen], means, n_nonzero / sizes, offset, n_threads)
    # A row of zeros has distance 1 from every other row, so its silhouette is 0.
    own[is_zero[chosen]] = nearest[is_zero[chosen]] = 0.0
    return own, nearest


def cosine_distances(
    units: CsrRows, labels: Labels | Indices, centers: Floats, share: Floats, offset: Floats, n_threads: int | None
) -> tuple[Floats, Floats]:
    """Return share * |x - c|^2 / 2 + offset of each row to the center of its label, and the least to another center."""
    own, nearest = np.empty(len(units)), np.empty(len(units))
    for part, sq_distances in sq_distances_in_parts(units, centers, n_threads):
        own[part], nearest[part] = own_and_nearest(0.5 * sq_distances * share + offset, labels[part])
    n_features = units.shape[1]
    return without_rounding(own, n_features), without_rounding(nearest, n_features)


def own_and_nearest(distances: Floats, labels: Labels | Indices) -> tuple[Floats, Floats]:
    """Return the distance of each row to the center of its label, and the least to another.   distances : changed."""
    each = np.arange(len(labels))
    own = distances[each, labels]
    distances[each, labels] = np.inf
    return own, distances.min(axis=1)


def distances_to_centers(
    rows: CsrRows, labels: Labels | Indices, centers: Floats, n_threads: int | None
) -> tuple[Floats, Floats]:
    """Return the Euclidean distance of each row to the center of its label, and the least to another center."""
    own, nearest = np.empty(len(rows)), np.empty(len(rows))
    for part, sq_distances in sq_distances_in_parts(rows, centers, n_threads):
        own[part], nearest[part] = own_and_nearest(np.sqrt(sq_distances), labels[part])
    return own, nearest

"""Mean distances of samples to clusters, and the silhouettes that follow from them."""

from __future__ import annotations

import numpy as np

from .._core import silhouette
from ..runtime.threads import effective_n_threads
from ..types import Floats, Indices, Labels, Values

# Pairs times features of a call of about 0.3 s: Ctrl-C is heard between calls. A square root costs as much as 9 features.
_WORK_OF_A_CALL = 1 << 33
_ROOT_WORK = 9
_MIN_ROWS_OF_A_CALL = 1024


def mean_distances(
    values: Values,
    rows: Indices,
    labels: Labels | Indices,
    others: Values,
    order: Indices,
    runs: Labels | Indices,
    per_sum: Floats,
    offset: Floats,
    metric: str,
    n_threads: int | None,
) -> tuple[Floats, Floats]:
    """Return mean distances of the rows to their own cluster and to the nearest other one: (n_rows,) each.

    runs : (n_others,), the clusters of order, ascending; the rest as in silhouette.pyx.
    """
    padded = -(-len(rows) // 8) * 8
    own, nearest, own_labels = np.zeros(padded), np.full(padded, np.inf), np.zeros(padded, dtype=np.int64)
    own_labels[: len(rows)] = labels
    rows = np.ascontiguousarray(rows, dtype=np.int64)
    order = np.ascontiguousarray(order, dtype=np.int64)
    runs = np.append(runs, -1).astype(np.int32)
    step, n_threads = rows_of_a_call(len(rows), len(order), values.shape[1], n_threads)
    for first in range(0, len(rows), step):
        part = slice(first, min(first + step, padded))
        silhouette.mean_distances(
            values, rows[part], own_labels[part], others, order, runs, per_sum, offset, metric, own[part],
            nearest[part], n_threads,
        )  # fmt: skip
    return own[: len(rows)], nearest[: len(rows)]


def rows_of_a_call(n_rows: int, n_others: int, n_features: int, n_threads: int | None) -> tuple[int, int]:
    """Return how many rows a call compares with all others, a multiple of 8, and the number of threads."""
    work_of_a_row = float(n_others) * (n_features + _ROOT_WORK)
    step = max(_MIN_ROWS_OF_A_CALL, int(_WORK_OF_A_CALL / work_of_a_row)) // 8 * 8
    return step, effective_n_threads(n_threads, work_of_a_row * n_rows)


def unit_rows(values: Values) -> Floats:
    """Return a float64 copy with rows of length 1; rows of zeros stay zero."""
    # Scaled by a power of two, no row underflows or overflows when squared, and none is rounded.
    largest = np.maximum(values.max(axis=1), -values.min(axis=1)).astype(np.float64)
    units: Floats = np.ldexp(values, -np.frexp(largest)[1][:, None], dtype=np.float64)
    lengths = np.sqrt(np.einsum("if,if->i", units, units))
    units /= np.where(lengths > 0, lengths, 1.0)[:, None]
    return units


def without_rounding(cosine_distances: Floats, n_features: int) -> Floats:
    """Return the cosine distances, with 0 for those that rounding of unit rows cannot tell from 0."""
    return np.where(cosine_distances < n_features * 2.0**-102, 0.0, cosine_distances)


def silhouettes_from(own: Floats, nearest: Floats) -> Floats:
    """Return (nearest - own) / max(own, nearest), and 0 if both are 0."""
    larger = np.maximum(own, nearest)
    return np.divide(nearest - own, larger, out=np.zeros(len(own)), where=larger > 0)


def silhouettes_in_clusters(own_sizes: Indices, own: Floats, nearest: Floats) -> Floats:
    """Return the silhouettes of samples in clusters of size own_sizes.

    own : mean distance to all samples of the own cluster, the sample itself included.   nearest : to the nearest other cluster.
    """
    silhouettes = silhouettes_from(own * (own_sizes / np.maximum(own_sizes - 1, 1)), nearest)
    silhouettes[own_sizes == 1] = 0.0
    return silhouettes

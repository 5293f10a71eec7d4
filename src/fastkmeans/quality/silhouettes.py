"""Silhouettes from the distances between all samples, computed in float64."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._core import silhouette
from .._core.csr import CsrRows
from ..input.parameters import check_integer, drawing_from
from ..rows import some_rows
from ..runtime.threads import effective_n_threads
from ..types import Floats, Indices, Labels, Mask, Values
from .cluster_means import sq_distances_to, sums_of_clusters
from .labels import check_n_labels, checked_clustering, encode_labels
from .mean_distances import mean_distances, rows_of_a_call, silhouettes_in_clusters, unit_rows, without_rounding
from .sparse_distances import cosine_means as sparse_cosine_means
from .sparse_distances import mean_distances_to_rows

# Each pair of samples is measured once instead of twice if that pays, and if a float64 copy of X and the sums of each
# sample over each cluster take at most this many bytes: 20 000 x 16 took 0.10 s instead of 0.18.
_PAIRS_BYTES = 128e6
_PAIRS_SAMPLES_OF_A_CLUSTER = 500  # in smaller clusters too many groups of eight rows belong to two clusters

# Several labelings share their distances if the float64 copy of the rows takes at most 32 MB. They share them in groups
# with at most this many clusters, of which the sums of 1000 rows take 16 MB. A labeling alone in its group keeps no sums.
_COPIED_VALUES = 1 << 22
_CLUSTERS_OF_A_CALL = 2048


def silhouette_samples(X: Any, labels: Any, *, metric: str = "euclidean", n_threads: int | None = None) -> Floats:
    """Silhouette of each sample, from -1 to 1: how much nearer the sample is to its own cluster than to the next one.

    The silhouette is (b - a) / max(a, b). a is the mean distance to the other samples of its cluster. b is the mean distance
    to the samples of another cluster, the one for which it is least. A sample alone in its cluster gets 0.

    Parameters
    ----------
    X : array-like, DataFrame or sparse matrix of shape (n_samples, n_features)
        The samples.
    labels : array-like of shape (n_samples,)
        The cluster of each sample: whole numbers, text, or anything else that sorts.
    metric : {"euclidean", "manhattan", "cosine"}, default="euclidean"
        The distance. "cosine" is 1 - cos(x, y); a row of zeros has distance 1 from every other row.
    n_threads : int or None, default=None
        As in :class:`KMeans`; the result has the same bits for any number.

    Returns
    -------
    silhouettes : ndarray of shape (n_samples,), float64
        The silhouette of each sample.

    Raises
    ------
    ValueError, TypeError
        If a parameter is not valid, if there is only one cluster, or if there are as many clusters as samples.

    See Also
    --------
    simplified_silhouette_samples : from distances to the centers; milliseconds instead of minutes.

    Notes
    -----
    The silhouettes are exact. Every distance is computed from float64 differences, also for float32 samples, so samples far
    from the origin lose no digits. Time grows with n_samples squared. For "cosine" it grows with n_samples times the number
    of clusters, because the distances to a cluster follow from its mean. Memory in addition to X is about 50 bytes per
    sample, and at most 128 MB for a faster method with a float64 copy of X. "cosine" always makes such a copy.
    Of sparse samples eight at a time are made dense, and stored values are copied; "manhattan" is for dense samples.

    P. J. Rousseeuw, "Silhouettes: a graphical aid to the interpretation and validation of cluster analysis", Journal
    of Computational and Applied Mathematics 20, 1987.

    Examples
    --------
    >>> from fastkmeans import silhouette_samples
    >>> silhouette_samples([[0.0], [1.0], [9.0], [11.0]], [0, 0, 1, 1])
    array([0.9       , 0.88888889, 0.76470588, 0.80952381])
    """
    values, codes = checked_clustering(X, labels, metric, n_threads)
    return _silhouettes_of_all(values, codes, metric, n_threads)


def silhouette_score(
    X: Any,
    labels: Any,
    *,
    metric: str = "euclidean",
    sample_size: int | None = None,
    random_state: Any = None,
    n_threads: int | None = None,
) -> float:
    """Mean silhouette of all samples: near 1 if clusters are dense and far apart, near 0 if they touch.

    Parameters
    ----------
    X : array-like, DataFrame or sparse matrix of shape (n_samples, n_features)
        The samples.
    labels : array-like of shape (n_samples,)
        The cluster of each sample: whole numbers, text, or anything else that sorts.
    metric : {"euclidean", "manhattan", "cosine"}, default="euclidean"
        The distance, as in :func:`silhouette_samples`.
    sample_size : int or None, default=None
        Number of samples to draw. The other samples are ignored, as in scikit-learn. None takes all samples.
    random_state : int, RandomState, Generator or None, default=None
        Source of the draw. An int draws the same samples as scikit-learn.
    n_threads : int or None, default=None
        As in :class:`KMeans`; the result has the same bits for any number.

    Returns
    -------
    score : float
        The mean of :func:`silhouette_samples`.

    Raises
    ------
    ValueError, TypeError
        If a parameter is not valid, or if the samples drawn have only one cluster or as many clusters as samples.

    Examples
    --------
    >>> from fastkmeans import silhouette_score
    >>> round(silhouette_score([[0.0], [1.0], [9.0], [11.0]], ["a", "a", "b", "b"]), 4)
    0.8408
    """
    if sample_size is not None:
        check_integer("sample_size", sample_size, 1, "None or ")
    with drawing_from(random_state) as source:
        values, codes = checked_clustering(X, labels, metric, n_threads, at_least=1 if sample_size else 2)
        if sample_size is not None:
            drawn = source.permutation(len(values))[:sample_size]
            values = some_rows(values, drawn)
            codes = encode_labels(codes[drawn])
            check_n_labels(codes, 2)
    return float(_silhouettes_of_all(values, codes, metric, n_threads).mean())


def silhouettes_of_rows(values: Values, codes: Labels, rows: Indices, metric: str, n_threads: int | None) -> Floats:
    """Return the silhouettes of the chosen rows, each against all rows.

    values : (n_samples, n_features), C order, finite.   codes : (n_samples,) int32 >= 0, two different ones at least.
    rows : (n_rows,) int64, which rows.   Time grows with n_rows times n_samples, for "cosine" with n_samples.
    """
    sizes = np.bincount(codes)
    if isinstance(values, CsrRows):
        of_rows = sparse_cosine_means if metric == "cosine" else mean_distances_to_rows
        own, nearest = of_rows(values, rows, codes, n_threads)
    elif metric == "cosine":
        own, nearest = _cosine_means(values, codes, sizes, rows, n_threads)
    else:
        order = _by_cluster(codes, len(sizes))
        per_sum = 1.0 / np.maximum(sizes, 1)
        offset = np.zeros(len(sizes))
        own, nearest = mean_distances(
            values, rows, codes[rows], values, order, codes[order], per_sum, offset, metric, n_threads
        )
    return silhouettes_in_clusters(sizes[codes[rows]], own, nearest)


def silhouettes_of_labelings(
    values: Values, labelings: list[Labels], rows: Indices, metric: str, n_threads: int | None
) -> list[Floats]:
    """Return what silhouettes_of_rows would return for each of several labelings, up to rounding.

    labelings : each (n_samples,) int32, in which every number from 0 to the largest occurs. The other parameters are those of
    silhouettes_of_rows. Labelings that have at most _CLUSTERS_OF_A_CALL clusters together share the distances of the rows.
    """
    if metric == "cosine" or isinstance(values, CsrRows) or values.size > _COPIED_VALUES:
        return [silhouettes_of_rows(values, codes, rows, metric, n_threads) for codes in labelings]
    rows, others = np.ascontiguousarray(rows, dtype=np.int64), np.arange(len(values))
    step, n_threads = rows_of_a_call(len(rows), len(values), values.shape[1], n_threads)
    ends = np.cumsum([int(codes.max()) + 1 for codes in labelings])
    found, first = [], 0
    while first < len(labelings):
        start = ends[first - 1] if first else 0
        last = max(first + 1, int(np.searchsorted(ends, start + _CLUSTERS_OF_A_CALL, side="right")))
        these, starts = labelings[first:last], np.array([start, *ends[first:last]]) - start
        first = last
        if len(these) == 1:
            found.append(silhouettes_of_rows(values, these[0], rows, metric, n_threads))
            continue
        places = np.array([codes + place for codes, place in zip(these, starts[:-1], strict=True)], dtype=np.int32)
        sums = np.empty((-(-len(rows) // 8), starts[-1], 8))
        for row in range(0, len(rows), step):
            part_sums = sums[row // 8 : (row + step) // 8]
            silhouette.labelled_sums(values, rows[row : row + step], others, places, metric, part_sums, n_threads)
        for codes, start_of, end_of in zip(these, starts[:-1], starts[1:], strict=True):
            of_rows = sums[:, start_of:end_of].transpose(0, 2, 1).reshape(-1, end_of - start_of)[: len(rows)]
            found.append(_silhouettes_of_sums(of_rows, codes, rows))
    return found


def _silhouettes_of_sums(sums: Floats, codes: Labels, rows: Indices) -> Floats:
    """Return the silhouettes of rows.   sums : (n_rows, n_clusters), of the distances of each row to each cluster."""
    sizes, labels, each = np.bincount(codes), codes[rows], np.arange(len(rows))
    means = sums / sizes
    own = means[each, labels]
    means[each, labels] = np.inf
    return silhouettes_in_clusters(sizes[labels], own, means.min(axis=1))


def _silhouettes_of_all(values: Values, codes: Labels, metric: str, n_threads: int | None) -> Floats:
    """Return the silhouettes of all rows. Measures each pair of rows once if that pays."""
    sizes = np.bincount(codes)
    n_samples, n_features = values.shape
    is_light = 8.0 * n_samples * (n_features + len(sizes)) <= _PAIRS_BYTES
    if (
        metric == "cosine"
        or isinstance(values, CsrRows)
        or not is_light
        or n_samples < _PAIRS_SAMPLES_OF_A_CLUSTER * len(sizes)
    ):
        return silhouettes_of_rows(values, codes, np.arange(n_samples), metric, n_threads)
    order = _by_cluster(codes, len(sizes))
    runs = np.full(-(-n_samples // 8) * 8, -1, dtype=np.int32)
    runs[:n_samples] = codes[order]
    own, nearest = np.empty(n_samples), np.empty(n_samples)
    n_threads = effective_n_threads(n_threads, float(n_samples) * n_samples * n_features)
    silhouette.pair_mean_distances(values, order, runs, 1.0 / sizes, metric, own, nearest, n_threads)
    silhouettes = np.empty(n_samples)
    silhouettes[order] = silhouettes_in_clusters(sizes[codes[order]], own, nearest)
    return silhouettes


def _cosine_means(
    values: Values, codes: Labels, sizes: Indices, rows: Indices, n_threads: int | None
) -> tuple[Floats, Floats]:
    """Return what mean_distances would return for cosine distances, from one mean per cluster.

    For rows of length 1, the distance 1 - x.y is |x - y|^2 / 2. Let m be the mean of the n rows y of a cluster. The sum of
    |x - y|^2 over these rows is n |x - m|^2 + the sum of |y - m|^2. No term is negative, so no digits cancel.
    """
    units = unit_rows(values)
    is_zero: Mask = np.logical_not(units.any(axis=1))
    n_zero = np.bincount(codes[is_zero], minlength=len(sizes))
    n_nonzero = sizes - n_zero
    means = sums_of_clusters(units, codes, len(sizes), n_threads) / np.maximum(n_nonzero, 1)[:, None]
    about = sq_distances_to(means, units, codes, n_threads)
    about[is_zero] = 0.0
    offset = (0.5 * np.bincount(codes, weights=about) + n_zero) / np.maximum(sizes, 1)
    per_sum = n_nonzero / np.maximum(sizes, 1)
    used = np.flatnonzero(sizes)
    own, nearest = mean_distances(units, rows, codes[rows], means, used, used, per_sum, offset, "cosine", n_threads)
    own, nearest = (without_rounding(found, values.shape[1]) for found in (own, nearest))
    # A row of zeros has distance 1 from every other row, so its silhouette is 0.
    own[is_zero[rows]] = nearest[is_zero[rows]] = 0.0
    return own, nearest


def _by_cluster(codes: Labels, n_clusters: int) -> Indices:
    """Return the rows in the order of their clusters."""
    # NumPy sorts small integers in linear time.
    return np.argsort(codes.astype(np.min_scalar_type(n_clusters)), kind="stable")

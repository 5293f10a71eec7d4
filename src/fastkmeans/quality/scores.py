"""How good is a clustering? Silhouettes, their cheap relatives, and sums of squares, all from float64 differences."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._core import distances, silhouette
from .._core.doubtful import sum_anew
from .._core.sums import ClusterSums
from ..engines.local import describe
from ..engines.rounding import losses_of
from ..input.arrays import as_matrix, check_finite
from ..input.parameters import check_integer, check_n_threads, check_name, drawing_from
from ..runtime.threads import effective_n_threads

METRICS = ("euclidean", "manhattan", "cosine")

# Each pair of samples is measured once instead of twice where it pays and a float64 copy of X, with the sums of each
# sample over each cluster, stays within these bytes: 20 000 x 16 took 0.10 s instead of 0.18.
_PAIRS_BYTES = 128e6
_PAIRS_SAMPLES_OF_A_CLUSTER = 500  # in smaller ones too many eights of rows belong to two clusters

# Ctrl-C is heard between calls of about 0.3 s: pairs times features (a root costs as much as 9 of them).
_WORK_OF_A_CALL = 1 << 33
_ROOT_WORK = 9
_MIN_ROWS_OF_A_CALL = 1024

# Several labelings share their distances where the float64 copy of the rows has 32 MB at most; those of more clusters are
# taken in turn, for the sums of 1000 rows are then 16 MB. A labeling that has a turn for itself keeps no sums.
_COPIED_VALUES = 1 << 22
_CLUSTERS_OF_A_CALL = 2048


def silhouette_samples(
    X: Any, labels: Any, *, metric: str = "euclidean", n_threads: int | None = None
) -> np.ndarray:
    """Silhouette of each sample: how much nearer its own cluster is than the next one, from -1 to 1.

    With a the mean distance to the other samples of its cluster, and b the least mean distance to the samples of
    another cluster, it is (b - a) / max(a, b). A sample alone in its cluster gets 0.

    Parameters
    ----------
    X : array-like or DataFrame of shape (n_samples, n_features)
        The samples.
    labels : array-like of shape (n_samples,)
        The cluster of each sample: whole numbers, text, or anything else that sorts.
    metric : {"euclidean", "manhattan", "cosine"}, default="euclidean"
        The distance. "cosine" is 1 - cos(x, y); a row of zeros is at 1 from every other one.
    n_threads : int or None, default=None
        As in :class:`KMeans`; the result has the same bits for any number.

    Returns
    -------
    silhouettes : ndarray of shape (n_samples,), float64
        The silhouette of each sample.

    Raises
    ------
    ValueError, TypeError
        If X, labels or metric is not valid, or if there is one cluster, or as many as samples.

    See Also
    --------
    simplified_silhouette_samples : from distances to the centers; takes milliseconds where this takes minutes.

    Notes
    -----
    Exact: every distance is taken, by float64 differences, also for float32 samples, so data far from the origin lose
    nothing. Time grows with n_samples squared (for "cosine" with n_samples times clusters: the distances to a cluster
    are added up through its mean). Beside X it takes about 50 bytes a sample, and 128 MB at most for a faster way with
    a float64 copy of X; "cosine" takes such a copy of any size.

    P. J. Rousseeuw, "Silhouettes: a graphical aid to the interpretation and validation of cluster analysis", Journal
    of Computational and Applied Mathematics 20, 1987.

    Examples
    --------
    >>> from fastkmeans import silhouette_samples
    >>> silhouette_samples([[0.0], [1.0], [9.0], [11.0]], [0, 0, 1, 1])
    array([0.9       , 0.88888889, 0.76470588, 0.80952381])
    """
    values, codes = _checked(X, labels, metric, n_threads)
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
    """Mean silhouette of all samples: near 1 for clusters that are dense and far apart, near 0 where they touch.

    Parameters
    ----------
    X : array-like or DataFrame of shape (n_samples, n_features)
        The samples.
    labels : array-like of shape (n_samples,)
        The cluster of each sample: whole numbers, text, or anything else that sorts.
    metric : {"euclidean", "manhattan", "cosine"}, default="euclidean"
        The distance, as in :func:`silhouette_samples`.
    sample_size : int or None, default=None
        Draw so many samples and forget the others, as scikit-learn does; None takes all.
    random_state : int, RandomState, Generator or None, default=None
        Where to draw them from; a number draws the samples that scikit-learn would.
    n_threads : int or None, default=None
        As in :class:`KMeans`; the result has the same bits for any number.

    Returns
    -------
    score : float
        The mean of :func:`silhouette_samples`.

    Raises
    ------
    ValueError, TypeError
        If a parameter is not valid, or if there is one cluster, or as many as samples, among those drawn.

    Examples
    --------
    >>> from fastkmeans import silhouette_score
    >>> round(silhouette_score([[0.0], [1.0], [9.0], [11.0]], ["a", "a", "b", "b"]), 4)
    0.8408
    """
    if sample_size is not None:
        check_integer("sample_size", sample_size, 1, "None or ")
    with drawing_from(random_state) as source:
        values, codes = _checked(X, labels, metric, n_threads, at_least=1 if sample_size else 2)
        if sample_size is not None:
            drawn = source.permutation(len(values))[:sample_size]
            values = values[drawn]
            codes = _encode(codes[drawn])
            _check_n_labels(codes, 2)
    return float(_silhouettes_of_all(values, codes, metric, n_threads).mean())


def silhouettes_of_rows(
    values: np.ndarray, codes: np.ndarray, rows: np.ndarray, metric: str, n_threads: int | None
) -> np.ndarray:
    """Return the silhouettes of the chosen rows, each against all rows.

    values : (n_samples, n_features), C order, finite.   codes : (n_samples,) int32 >= 0, two different ones at least.
    rows : (n_rows,) int64, which rows.   Time grows with n_rows times n_samples, for "cosine" with n_samples.
    """
    sizes = np.bincount(codes)
    if metric == "cosine":
        own, nearest = _cosine_means(values, codes, sizes, rows, n_threads)
    else:
        order = _by_cluster(codes, len(sizes))
        per_sum = 1.0 / np.maximum(sizes, 1)
        offset = np.zeros(len(sizes))
        own, nearest = _means(
            values, rows, codes[rows], values, order, codes[order], per_sum, offset, metric, n_threads
        )
    return _silhouettes_in(sizes[codes[rows]], own, nearest)


def silhouettes_of_labelings(
    values: np.ndarray, labelings: list[np.ndarray], rows: np.ndarray, metric: str, n_threads: int | None
) -> list[np.ndarray]:
    """Return what silhouettes_of_rows would for each of several labelings, up to rounding.

    labelings : of (n_samples,) int32, in which every number from 0 to the largest occurs; the rest as there. The distances
    of the rows to all are computed once for as many labelings as have _CLUSTERS_OF_A_CALL clusters together.
    """
    if metric == "cosine" or values.size > _COPIED_VALUES:
        return [silhouettes_of_rows(values, codes, rows, metric, n_threads) for codes in labelings]
    rows, others = np.ascontiguousarray(rows, dtype=np.int64), np.arange(len(values))
    step, n_threads = _rows_of_a_call(len(rows), len(values), values.shape[1], n_threads)
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


def _silhouettes_of_sums(sums: np.ndarray, codes: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Silhouettes of rows from the sums of their distances to each cluster, (n_rows, n_clusters)."""
    sizes, labels, each = np.bincount(codes), codes[rows], np.arange(len(rows))
    means = sums / sizes
    own = means[each, labels]
    means[each, labels] = np.inf
    return _silhouettes_in(sizes[labels], own, means.min(axis=1))


def _silhouettes_of_all(
    values: np.ndarray, codes: np.ndarray, metric: str, n_threads: int | None
) -> np.ndarray:
    """Return what silhouettes_of_rows would for all rows, up to rounding, from each pair once where that pays."""
    sizes = np.bincount(codes)
    n_samples, n_features = values.shape
    is_light = 8.0 * n_samples * (n_features + len(sizes)) <= _PAIRS_BYTES
    if metric == "cosine" or not is_light or n_samples < _PAIRS_SAMPLES_OF_A_CLUSTER * len(sizes):
        return silhouettes_of_rows(values, codes, np.arange(n_samples), metric, n_threads)
    order = _by_cluster(codes, len(sizes))
    runs = np.full(-(-n_samples // 8) * 8, -1, dtype=np.int32)
    runs[:n_samples] = codes[order]
    own, nearest = np.empty(n_samples), np.empty(n_samples)
    n_threads = effective_n_threads(n_threads, float(n_samples) * n_samples * n_features)
    silhouette.pair_mean_distances(values, order, runs, 1.0 / sizes, metric, own, nearest, n_threads)
    silhouettes = np.empty(n_samples)
    silhouettes[order] = _silhouettes_in(sizes[codes[order]], own, nearest)
    return silhouettes


def simplified_silhouette_samples(
    X: Any, labels: Any, centers: Any, *, metric: str = "euclidean", n_threads: int | None = None
) -> np.ndarray:
    """Silhouette of each sample from distances to centers instead of all samples.

    With a the distance to the center of its cluster, and b the least distance to another center, it is
    (b - a) / max(a, b).

    Parameters
    ----------
    X : array-like or DataFrame of shape (n_samples, n_features)
        The samples.
    labels : array-like of int of shape (n_samples,)
        Which row of `centers` is the sample's own; ``KMeans.labels_``.
    centers : array-like or DataFrame of shape (n_clusters, n_features)
        Two centers or more; ``KMeans.cluster_centers_``.
    metric : {"euclidean", "manhattan", "cosine"}, default="euclidean"
        The distance, as in :func:`silhouette_samples`.
    n_threads : int or None, default=None
        As in :class:`KMeans`; the result has the same bits for any number.

    Returns
    -------
    silhouettes : ndarray of shape (n_samples,), float64
        The simplified silhouette of each sample; never negative where labels name the nearest center.

    Raises
    ------
    ValueError, TypeError
        If a parameter is not valid, or if there are fewer than two centers.

    Notes
    -----
    Time grows with n_samples times n_clusters.

    L. Vendramin, R. Campello and E. Hruschka, "Relative clustering validity criteria: a comparative overview",
    Statistical Analysis and Data Mining 3(4), 2010, section 2.2.

    Examples
    --------
    >>> from fastkmeans import simplified_silhouette_samples
    >>> simplified_silhouette_samples([[0.0], [1.0], [9.0]], [0, 0, 1], [[0.5], [9.0]])
    array([0.94444444, 0.9375    , 1.        ])
    """
    check_name("metric", metric, METRICS)
    check_n_threads("n_threads", n_threads)
    matrix, given = as_matrix(X), as_matrix(centers, name="centers")
    check_finite(matrix.values, "X", matrix.feature_names)
    check_finite(given.values, "centers", given.feature_names)
    values, centers = matrix.values, given.values.astype(np.float64)
    if centers.shape[1] != values.shape[1]:
        raise ValueError(
            f"centers must have as many features as X; got {centers.shape[1]} and {values.shape[1]}. "
            "Pass the cluster_centers_ of a model fitted on this X."
        )
    if len(centers) < 2:
        raise ValueError("centers must hold two centers or more, or there is no other cluster; got 1.")
    own_centers = _indices(labels, len(values), len(centers))
    per_sum, offset = np.ones(len(centers)), np.zeros(len(centers))
    if metric == "cosine":
        values, centers = unit_rows(values), unit_rows(centers)
        is_zero = ~centers.any(axis=1)
        per_sum[is_zero], offset[is_zero] = 0.0, 1.0
    each = np.arange(len(centers))
    rows = np.arange(len(values))
    own, nearest = _means(
        values, rows, own_centers, centers, each, each, per_sum, offset, metric, n_threads
    )
    if metric == "cosine":
        own, nearest = (_without_rounding(found, values.shape[1]) for found in (own, nearest))
    silhouettes = _silhouettes(own, nearest)
    if metric == "cosine":
        silhouettes[~values.any(axis=1)] = 0.0
    return silhouettes


def simplified_silhouette_score(
    X: Any, labels: Any, centers: Any, *, metric: str = "euclidean", n_threads: int | None = None
) -> float:
    """Mean simplified silhouette of all samples.

    Parameters
    ----------
    X : array-like or DataFrame of shape (n_samples, n_features)
        The samples.
    labels : array-like of int of shape (n_samples,)
        Which row of `centers` is the sample's own; ``KMeans.labels_``.
    centers : array-like or DataFrame of shape (n_clusters, n_features)
        Two centers or more; ``KMeans.cluster_centers_``.
    metric : {"euclidean", "manhattan", "cosine"}, default="euclidean"
        The distance, as in :func:`silhouette_samples`.
    n_threads : int or None, default=None
        As in :class:`KMeans`; the result has the same bits for any number.

    Returns
    -------
    score : float
        The mean of :func:`simplified_silhouette_samples`.

    Raises
    ------
    ValueError, TypeError
        If a parameter is not valid, or if there are fewer than two centers.

    Examples
    --------
    >>> from fastkmeans import KMeans, simplified_silhouette_score
    >>> X = [[0.0], [1.0], [9.0], [11.0]]
    >>> model = KMeans(2, random_state=3).fit(X)
    >>> round(simplified_silhouette_score(X, model.labels_, model.cluster_centers_), 4)
    0.9204
    """
    return float(simplified_silhouette_samples(X, labels, centers, metric=metric, n_threads=n_threads).mean())


def calinski_harabasz_score(X: Any, labels: Any, *, n_threads: int | None = None) -> float:
    """Spread between the clusters over spread within them, each per degree of freedom; higher is better.

    Parameters
    ----------
    X : array-like or DataFrame of shape (n_samples, n_features)
        The samples.
    labels : array-like of shape (n_samples,)
        The cluster of each sample.
    n_threads : int or None, default=None
        As in :class:`KMeans`; the result has the same bits for any number.

    Returns
    -------
    score : float
        (B / (k - 1)) / (W / (n_samples - k)) with B the sum of squares of the cluster means about the mean, weighted by
        size, W the sum of squares of the samples about their cluster's mean, and k clusters; 1 if W is 0.

    Raises
    ------
    ValueError, TypeError
        If a parameter is not valid, or if there is one cluster, or as many as samples.

    Notes
    -----
    T. Calinski and J. Harabasz, "A dendrite method for cluster analysis", Communications in Statistics 3(1), 1974.

    Examples
    --------
    >>> from fastkmeans import calinski_harabasz_score
    >>> calinski_harabasz_score([[0.0], [2.0], [8.0], [10.0]], [0, 0, 1, 1])
    32.0
    """
    values, codes = _checked(X, labels, "euclidean", n_threads)
    sizes, means, sq_distances = _about_means(values, codes, n_threads)
    within = float(sq_distances.sum())
    if within == 0.0:
        return 1.0
    mean = (sizes[:, None] * means).sum(axis=0) / len(values)
    between = float((sizes * ((means - mean) ** 2).sum(axis=1)).sum())
    return between * (len(values) - len(sizes)) / (within * (len(sizes) - 1))


def davies_bouldin_score(X: Any, labels: Any, *, n_threads: int | None = None) -> float:
    """Mean over the clusters of how much each overlaps the cluster it overlaps most; 0 is best.

    Parameters
    ----------
    X : array-like or DataFrame of shape (n_samples, n_features)
        The samples.
    labels : array-like of shape (n_samples,)
        The cluster of each sample.
    n_threads : int or None, default=None
        As in :class:`KMeans`; the result has the same bits for any number.

    Returns
    -------
    score : float
        The mean over i of max over j of (s_i + s_j) / d_ij, with s the mean distance of a cluster's samples to their
        mean, and d_ij the distance of two means; 0 if all s or all d_ij are nearly 0, as in scikit-learn.

    Raises
    ------
    ValueError, TypeError
        If a parameter is not valid, or if there is one cluster, or as many as samples.

    Notes
    -----
    D. Davies and D. Bouldin, "A cluster separation measure", IEEE Transactions on Pattern Analysis and Machine
    Intelligence 1(2), 1979.

    Examples
    --------
    >>> from fastkmeans import davies_bouldin_score
    >>> davies_bouldin_score([[0.0], [2.0], [8.0], [10.0]], [0, 0, 1, 1])
    0.25
    """
    values, codes = _checked(X, labels, "euclidean", n_threads)
    sizes, means, sq_distances = _about_means(values, codes, n_threads)
    return davies_bouldin_of(np.bincount(codes, weights=np.sqrt(sq_distances)) / sizes, means)


def davies_bouldin_of(scatter: np.ndarray, means: np.ndarray) -> float:
    """Davies-Bouldin index from the mean distance of each cluster's samples to its mean, and the means."""
    worst = np.empty(len(means))
    far = 0.0
    for j, mean in enumerate(means):  # a row at a time: as many clusters as samples may come
        apart = np.sqrt(((means - mean) ** 2).sum(axis=1))
        far = max(far, float(apart.max()))
        apart[apart == 0] = np.inf
        worst[j] = ((scatter + scatter[j]) / apart).max()
    return 0.0 if far <= 1e-8 or np.allclose(scatter, 0.0) else float(worst.mean())


def within_cluster_variation(
    X: Any, labels: Any, *, form: str = "pairwise", n_threads: int | None = None
) -> np.ndarray:
    """Variation W(C) within each cluster, in either form that textbooks use; "pairwise" is twice "centers".

    Parameters
    ----------
    X : array-like or DataFrame of shape (n_samples, n_features)
        The samples.
    labels : array-like of shape (n_samples,)
        The cluster of each sample.
    form : {"pairwise", "centers"}, default="pairwise"
        "pairwise": the squared distances of all ordered pairs of samples in the cluster, added up, over its size.
        "centers": the squared distances of its samples to their mean, added up; over all clusters this is the inertia
        of a converged :class:`KMeans`.
    n_threads : int or None, default=None
        As in :class:`KMeans`; the result has the same bits for any number.

    Returns
    -------
    variation : ndarray of shape (n_clusters,), float64
        Of each cluster, in ascending order of the labels; in squared units of X.

    Raises
    ------
    ValueError, TypeError
        If a parameter is not valid.

    Notes
    -----
    G. James, D. Witten, T. Hastie and R. Tibshirani, "An Introduction to Statistical Learning", section 12.4.1,
    equations 12.17 (pairwise) and 12.18 (twice the sum of squares about the mean).

    Examples
    --------
    >>> from fastkmeans import within_cluster_variation
    >>> X = [[0.0], [2.0], [8.0], [12.0]]
    >>> within_cluster_variation(X, [0, 0, 1, 1])
    array([ 4., 16.])
    >>> within_cluster_variation(X, [0, 0, 1, 1], form="centers")
    array([2., 8.])
    """
    check_name("form", form, ("pairwise", "centers"))
    values, codes = _checked(X, labels, "euclidean", n_threads, at_least=1)
    _, _, sq_distances = _about_means(values, codes, n_threads)
    variation = np.bincount(codes, weights=sq_distances)
    return 2.0 * variation if form == "pairwise" else variation


def _checked(
    X: Any, labels: Any, metric: str, n_threads: int | None, *, at_least: int = 2
) -> tuple[np.ndarray, np.ndarray]:
    """Return X as a matrix, and the labels as int32 from 0 to n_clusters - 1, or raise.

    at_least : clusters that there must be; from 2 on, no more than n_samples - 1 either.
    """
    check_name("metric", metric, METRICS)
    check_n_threads("n_threads", n_threads)
    matrix = as_matrix(X)
    check_finite(matrix.values, "X", matrix.feature_names)
    codes = _encode(_label_array(labels, len(matrix.values)))
    _check_n_labels(codes, at_least)
    return matrix.values, codes


def _label_array(labels: Any, n_samples: int) -> np.ndarray:
    """Return labels as an array of shape (n_samples,)."""
    array = np.asarray(labels)
    if array.shape != (n_samples,):
        raise ValueError(
            f"labels must hold one label per sample, shape ({n_samples},); got shape {array.shape}. "
            "Pass the labels_ of a model fitted on this X, or model.predict(X)."
        )
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        i = int(np.flatnonzero(~np.isfinite(array))[0])
        raise ValueError(f"labels must not be missing or infinite; got {array[i]} for row {i}. Leave that row out.")
    return array


def _encode(labels: np.ndarray) -> np.ndarray:
    """Return the labels as int32 from 0 to n_clusters - 1, in their sorted order."""
    if labels.dtype.kind in "iu":
        least, largest = int(labels.min()), int(labels.max())
        if largest - least < 4 * len(labels) and -(1 << 62) < least and largest < 1 << 62:
            above = labels.astype(np.int64) - least
            return (np.cumsum(np.bincount(above) > 0) - 1)[above].astype(np.int32)
    try:
        return np.unique(labels, return_inverse=True)[1].astype(np.int32)
    except TypeError as error:
        raise TypeError(
            f"labels must be of one kind that sorts, none of them missing ({error}). Encode them as whole numbers."
        ) from error


def _check_n_labels(codes: np.ndarray, at_least: int) -> None:
    n_labels = int(codes.max()) + 1
    if at_least > 1 and not at_least <= n_labels < len(codes):
        raise ValueError(
            f"Number of labels is {n_labels}. Valid values are 2 to n_samples - 1 (inclusive), and n_samples is "
            f"{len(codes)}: with one cluster there is no other, and with one sample each there is no own."
        )


def _indices(labels: Any, n_samples: int, n_centers: int) -> np.ndarray:
    """Return labels as int64 rows of the centers."""
    array = _label_array(labels, n_samples)
    if array.dtype.kind not in "iu":
        raise ValueError(
            f"labels must be whole numbers, rows of centers; got dtype {array.dtype}. Pass a model's labels_."
        )
    for label in (array.min(), array.max()):
        if not 0 <= label < n_centers:
            raise ValueError(
                f"labels must be rows of centers, from 0 to {n_centers - 1}; got {label}. "
                "Pass labels_ and cluster_centers_ of one model."
            )
    return array.astype(np.int64)


def _silhouettes(own: np.ndarray, nearest: np.ndarray) -> np.ndarray:
    """(nearest - own) / the larger of the two, and 0 where both are 0."""
    larger = np.maximum(own, nearest)
    return np.divide(nearest - own, larger, out=np.zeros(len(own)), where=larger > 0)


def _silhouettes_in(own_sizes: np.ndarray, own: np.ndarray, nearest: np.ndarray) -> np.ndarray:
    """Silhouettes in clusters of these sizes, where own is a mean that counts the sample's distance to itself."""
    silhouettes = _silhouettes(own * (own_sizes / np.maximum(own_sizes - 1, 1)), nearest)
    silhouettes[own_sizes == 1] = 0.0
    return silhouettes


def _by_cluster(codes: np.ndarray, n_clusters: int) -> np.ndarray:
    """Return the rows in the order of their clusters."""
    # By small integers NumPy sorts in linear time.
    return np.argsort(codes.astype(np.min_scalar_type(n_clusters)), kind="stable")


def _means(values, rows, labels, others, order, runs, per_sum, offset, metric, n_threads):
    """Return mean distances of the rows to their own cluster and to the nearest other one: (n_rows,) each.

    runs : (n_others,), the clusters of order, ascending; the rest as in silhouette.pyx.
    """
    padded = -(-len(rows) // 8) * 8
    own, nearest, own_labels = np.zeros(padded), np.full(padded, np.inf), np.zeros(padded, dtype=np.int64)
    own_labels[: len(rows)] = labels
    rows = np.ascontiguousarray(rows, dtype=np.int64)
    order = np.ascontiguousarray(order, dtype=np.int64)
    runs = np.append(runs, -1).astype(np.int32)
    step, n_threads = _rows_of_a_call(len(rows), len(order), values.shape[1], n_threads)
    for first in range(0, len(rows), step):
        part = slice(first, min(first + step, padded))
        silhouette.mean_distances(
            values, rows[part], own_labels[part], others, order, runs, per_sum, offset, metric, own[part],
            nearest[part], n_threads,
        )  # fmt: skip
    return own[: len(rows)], nearest[: len(rows)]


def _rows_of_a_call(n_rows: int, n_others: int, n_features: int, n_threads: int | None) -> tuple[int, int]:
    """Return rows, in whole eights, that a call compares with all others, and the threads for all."""
    work_of_a_row = float(n_others) * (n_features + _ROOT_WORK)
    step = max(_MIN_ROWS_OF_A_CALL, int(_WORK_OF_A_CALL / work_of_a_row)) // 8 * 8
    return step, effective_n_threads(n_threads, work_of_a_row * n_rows)


def _cosine_means(values, codes, sizes, rows, n_threads):
    """Return what _means would of cosine distances, from one mean a cluster.

    With rows of length 1, the distance 1 - x.y is |x - y|^2 / 2, and the sum of |x - y|^2 over the n rows y of a
    cluster is n |x - m|^2 + the sum of |y - m|^2 with m their mean: terms that are never negative, so none cancels.
    """
    units = unit_rows(values)
    is_zero = ~units.any(axis=1)
    n_zero = np.bincount(codes[is_zero], minlength=len(sizes))
    n_nonzero = sizes - n_zero
    means = _sums(units, codes, len(sizes), n_threads) / np.maximum(n_nonzero, 1)[:, None]
    about = _sq_distances_to(means, units, codes, n_threads)
    about[is_zero] = 0.0
    offset = (0.5 * np.bincount(codes, weights=about) + n_zero) / np.maximum(sizes, 1)
    per_sum = n_nonzero / np.maximum(sizes, 1)
    used = np.flatnonzero(sizes)
    own, nearest = _means(units, rows, codes[rows], means, used, used, per_sum, offset, "cosine", n_threads)
    own, nearest = (_without_rounding(found, values.shape[1]) for found in (own, nearest))
    # A row of zeros is at 1 from every other row, in its own cluster as in all: its silhouette is 0.
    own[is_zero[rows]] = nearest[is_zero[rows]] = 0.0
    return own, nearest


def unit_rows(values: np.ndarray) -> np.ndarray:
    """Return a float64 copy with rows of length 1; rows of zeros stay."""
    # Scaled by a power of two, no row underflows or overflows when squared, and none is rounded.
    largest = np.maximum(values.max(axis=1), -values.min(axis=1)).astype(np.float64)
    units = np.ldexp(values, -np.frexp(largest)[1][:, None], dtype=np.float64)
    lengths = np.sqrt(np.einsum("if,if->i", units, units))
    units /= np.where(lengths > 0, lengths, 1.0)[:, None]
    return units


def _without_rounding(cosine_distances: np.ndarray, n_features: int) -> np.ndarray:
    """Return cosine distances with those that rows of length 1 cannot tell from 0 set to 0."""
    return np.where(cosine_distances < n_features * 2.0**-102, 0.0, cosine_distances)


def _about_means(values, codes, n_threads):
    """Return size and mean of each cluster, and the squared distance of each sample to its cluster's mean."""
    sizes = np.bincount(codes)
    means = _sums(values, codes, len(sizes), n_threads) / sizes[:, None]
    return sizes, means, _sq_distances_to(means, values, codes, n_threads)


def _sums(values, codes, n_clusters, n_threads):
    """Return the sum of the samples of each cluster, (n_clusters, n_features) float64, rounded once."""
    n_threads = effective_n_threads(n_threads, float(values.size))
    description = describe(values, n_threads)
    clusters = ClusterSums(values, None, description.max_abs, 1.0, n_clusters, n_threads)
    clusters.follow(codes)
    if losses_of(clusters.grid, None, description.smallest.of(values, n_threads), len(values)) is not None:
        sum_anew(values, None, codes, np.ones(n_clusters, dtype=np.uint8), clusters.sums, np.ones(n_clusters), n_threads)
    return (clusters.sums[:, 0] + clusters.sums[:, 1])[:, :-1]


def _sq_distances_to(means, values, codes, n_threads):
    """Return the squared distance of each sample to its cluster's mean."""
    sq_distances = np.empty(len(values))
    n_threads = effective_n_threads(n_threads, float(values.size))
    distances.own_sq_distances(values, means, codes, sq_distances, n_threads)
    return sq_distances

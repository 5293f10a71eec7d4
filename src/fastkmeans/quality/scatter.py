"""Scores from the distances of samples to the means of their clusters: Calinski-Harabasz, Davies-Bouldin, variation."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..input.parameters import check_name
from ..types import Floats
from .cluster_means import about_means
from .labels import checked_clustering


def calinski_harabasz_score(X: Any, labels: Any, *, n_threads: int | None = None) -> float:
    """Calinski-Harabasz score: variation between clusters divided by variation within clusters. Higher is better.

    Parameters
    ----------
    X : array-like, DataFrame or sparse matrix of shape (n_samples, n_features)
        The samples.
    labels : array-like of shape (n_samples,)
        The cluster of each sample.
    n_threads : int or None, default=None
        As in :class:`KMeans`; the result has the same bits for any number.

    Returns
    -------
    score : float
        (B / (k - 1)) / (W / (n_samples - k)) for k clusters. B is the sum over the clusters of size times squared distance of
        the cluster's mean from the mean of all samples. W is the sum of the squared distances of the samples from the mean of
        their cluster. The score is 1 if W is 0.

    Raises
    ------
    ValueError, TypeError
        If a parameter is not valid, if there is only one cluster, or if there are as many clusters as samples.

    Notes
    -----
    T. Calinski and J. Harabasz, "A dendrite method for cluster analysis", Communications in Statistics 3(1), 1974.

    Examples
    --------
    >>> from fastkmeans import calinski_harabasz_score
    >>> calinski_harabasz_score([[0.0], [2.0], [8.0], [10.0]], [0, 0, 1, 1])
    32.0
    """
    values, codes = checked_clustering(X, labels, "euclidean", n_threads)
    sizes, means, sq_distances = about_means(values, codes, n_threads)
    within = float(sq_distances.sum())
    if within == 0.0:
        return 1.0
    mean = (sizes[:, None] * means).sum(axis=0) / len(values)
    between = float((sizes * ((means - mean) ** 2).sum(axis=1)).sum())
    return between * (len(values) - len(sizes)) / (within * (len(sizes) - 1))


def davies_bouldin_score(X: Any, labels: Any, *, n_threads: int | None = None) -> float:
    """Davies-Bouldin score: mean overlap of each cluster with the cluster that it overlaps most. Lower is better, 0 is best.

    Parameters
    ----------
    X : array-like, DataFrame or sparse matrix of shape (n_samples, n_features)
        The samples.
    labels : array-like of shape (n_samples,)
        The cluster of each sample.
    n_threads : int or None, default=None
        As in :class:`KMeans`; the result has the same bits for any number.

    Returns
    -------
    score : float
        The mean over the clusters i of the largest (s_i + s_j) / d_ij over the other clusters j. s_i is the mean distance of the
        samples of cluster i to their mean, d_ij the distance between the means of i and j. The score is 0 if all s_i or all
        d_ij are nearly 0, as in scikit-learn.

    Raises
    ------
    ValueError, TypeError
        If a parameter is not valid, if there is only one cluster, or if there are as many clusters as samples.

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
    values, codes = checked_clustering(X, labels, "euclidean", n_threads)
    sizes, means, sq_distances = about_means(values, codes, n_threads)
    return davies_bouldin_of(np.bincount(codes, weights=np.sqrt(sq_distances)) / sizes, means)


def davies_bouldin_of(scatter: Floats, means: Floats) -> float:
    """Return the Davies-Bouldin score.   scatter : mean distance of the samples of each cluster to its mean."""
    worst = np.empty(len(means))
    far = 0.0
    for j, mean in enumerate(means):  # row by row, because there may be nearly as many clusters as samples
        apart = np.sqrt(((means - mean) ** 2).sum(axis=1))
        far = max(far, float(apart.max()))
        apart[apart == 0] = np.inf
        worst[j] = ((scatter + scatter[j]) / apart).max()
    return 0.0 if far <= 1e-8 or np.allclose(scatter, 0.0) else float(worst.mean())


def within_cluster_variation(X: Any, labels: Any, *, form: str = "pairwise", n_threads: int | None = None) -> Floats:
    """Variation within each cluster, W(C), in one of the two forms of textbooks: "pairwise" is twice "centers".

    Parameters
    ----------
    X : array-like, DataFrame or sparse matrix of shape (n_samples, n_features)
        The samples.
    labels : array-like of shape (n_samples,)
        The cluster of each sample.
    form : {"pairwise", "centers"}, default="pairwise"
        "pairwise": sum of the squared distances of all ordered pairs of samples in the cluster, divided by its size.
        "centers": sum of the squared distances of its samples to their mean. The sum over all clusters is the inertia
        of a converged :class:`KMeans`.
    n_threads : int or None, default=None
        As in :class:`KMeans`; the result has the same bits for any number.

    Returns
    -------
    variation : ndarray of shape (n_clusters,), float64
        Variation of each cluster, in ascending order of the labels, in squared units of X.

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
    values, codes = checked_clustering(X, labels, "euclidean", n_threads, at_least=1)
    _, _, sq_distances = about_means(values, codes, n_threads)
    variation = np.bincount(codes, weights=sq_distances).astype(np.float64, copy=False)
    return 2.0 * variation if form == "pairwise" else variation

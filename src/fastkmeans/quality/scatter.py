"""Scores of how clusters scatter about their means: Calinski-Harabasz, Davies-Bouldin, within-cluster variation."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..input.parameters import check_name
from ..types import Floats
from .cluster_means import about_means
from .labels import checked_clustering


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
    values, codes = checked_clustering(X, labels, "euclidean", n_threads)
    sizes, means, sq_distances = about_means(values, codes, n_threads)
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
    values, codes = checked_clustering(X, labels, "euclidean", n_threads)
    sizes, means, sq_distances = about_means(values, codes, n_threads)
    return davies_bouldin_of(np.bincount(codes, weights=np.sqrt(sq_distances)) / sizes, means)


def davies_bouldin_of(scatter: Floats, means: Floats) -> float:
    """Davies-Bouldin index from the mean distance of each cluster's samples to its mean, and the means."""
    worst = np.empty(len(means))
    far = 0.0
    for j, mean in enumerate(means):  # a row at a time: as many clusters as samples may come
        apart = np.sqrt(((means - mean) ** 2).sum(axis=1))
        far = max(far, float(apart.max()))
        apart[apart == 0] = np.inf
        worst[j] = ((scatter + scatter[j]) / apart).max()
    return 0.0 if far <= 1e-8 or np.allclose(scatter, 0.0) else float(worst.mean())


def within_cluster_variation(X: Any, labels: Any, *, form: str = "pairwise", n_threads: int | None = None) -> Floats:
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
    values, codes = checked_clustering(X, labels, "euclidean", n_threads, at_least=1)
    _, _, sq_distances = about_means(values, codes, n_threads)
    variation = np.bincount(codes, weights=sq_distances).astype(np.float64, copy=False)
    return 2.0 * variation if form == "pairwise" else variation

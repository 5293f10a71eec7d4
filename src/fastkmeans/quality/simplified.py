"""Simplified silhouettes, from the distances to centers instead of to all samples."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._core.csr import CsrRows
from ..input.finite import check_finite
from ..input.matrix import as_matrix
from ..input.parameters import check_n_threads, check_name
from ..metrics.table import METRICS
from ..types import Floats, Indices, Labels
from .labels import rows_of_centers, samples_of
from .mean_distances import mean_distances, silhouettes_from, unit_rows, without_rounding
from .sparse_distances import cosine_distances, distances_to_centers
from .sparse_distances import unit_rows as sparse_unit_rows


def simplified_silhouette_samples(
    X: Any, labels: Any, centers: Any, *, metric: str = "euclidean", n_threads: int | None = None
) -> Floats:
    """Silhouette of each sample, from its distances to the centers instead of to all samples.

    It is (b - a) / max(a, b). a is the distance to the center of the sample's cluster, b the least distance to another center.

    Parameters
    ----------
    X : array-like, DataFrame or sparse matrix of shape (n_samples, n_features)
        The samples.
    labels : array-like of int of shape (n_samples,)
        Which row of `centers` is the sample's own; ``KMeans.labels_``.
    centers : array-like or DataFrame of shape (n_clusters, n_features)
        At least two centers; ``KMeans.cluster_centers_``.
    metric : {"euclidean", "manhattan", "cosine"}, default="euclidean"
        The distance, as in :func:`silhouette_samples`.
    n_threads : int or None, default=None
        As in :class:`KMeans`; the result has the same bits for any number.

    Returns
    -------
    silhouettes : ndarray of shape (n_samples,), float64
        The simplified silhouette of each sample. It is not negative if the label names the nearest center.

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
    check_name("metric", metric, tuple(METRICS))
    check_n_threads("n_threads", n_threads)
    matrix, given = samples_of(X, metric), as_matrix(centers, name="centers")
    check_finite(given.values, "centers", given.feature_names)
    values, centers = matrix.values, given.values.astype(np.float64)
    if centers.shape[1] != values.shape[1]:
        raise ValueError(
            f"centers must have as many features as X; got {centers.shape[1]} and {values.shape[1]}. "
            "Pass the cluster_centers_ of a model fitted on this X."
        )
    if len(centers) < 2:
        raise ValueError("centers must hold at least two centers; got 1. Fit a model with n_clusters >= 2.")
    own_centers = rows_of_centers(labels, len(values), len(centers))
    per_sum, offset = np.ones(len(centers)), np.zeros(len(centers))
    if isinstance(values, CsrRows):
        return simplified_silhouettes_of_sparse(values, own_centers, centers, metric, n_threads)
    if metric == "cosine":
        values, centers = unit_rows(values), unit_rows(centers)
        is_zero = ~centers.any(axis=1)
        per_sum[is_zero], offset[is_zero] = 0.0, 1.0
    each = np.arange(len(centers))
    rows = np.arange(len(values))
    own, nearest = mean_distances(values, rows, own_centers, centers, each, each, per_sum, offset, metric, n_threads)
    if metric == "cosine":
        own, nearest = (without_rounding(found, values.shape[1]) for found in (own, nearest))
    silhouettes = silhouettes_from(own, nearest)
    if metric == "cosine":
        silhouettes[~values.any(axis=1)] = 0.0
    return silhouettes


def simplified_silhouettes_of_sparse(
    rows: CsrRows, labels: Labels | Indices, centers: Floats, metric: str, n_threads: int | None
) -> Floats:
    """Return the simplified silhouettes of sparse rows.   labels : (n_samples,), from 0 to n_clusters - 1."""
    if metric == "euclidean":
        return silhouettes_from(*distances_to_centers(rows, labels, centers, n_threads))
    (units, is_zero), centers = sparse_unit_rows(rows), unit_rows(centers)
    has_length: Floats = np.asarray(centers.any(axis=1), dtype=np.float64)
    silhouettes = silhouettes_from(*cosine_distances(units, labels, centers, has_length, 1.0 - has_length, n_threads))
    silhouettes[is_zero] = 0.0
    return silhouettes


def simplified_silhouette_score(
    X: Any, labels: Any, centers: Any, *, metric: str = "euclidean", n_threads: int | None = None
) -> float:
    """Mean simplified silhouette of all samples.

    Parameters
    ----------
    X : array-like, DataFrame or sparse matrix of shape (n_samples, n_features)
        The samples.
    labels : array-like of int of shape (n_samples,)
        Which row of `centers` is the sample's own; ``KMeans.labels_``.
    centers : array-like or DataFrame of shape (n_clusters, n_features)
        At least two centers; ``KMeans.cluster_centers_``.
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

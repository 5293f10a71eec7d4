"""The functions k_means, which fits without an estimator, and kmeans_plusplus, which only chooses initial centers."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..fitting.seeding import plusplus_rows
from ..input.matrix import as_matrix
from ..input.parameters import check_bool, check_integer, check_n_clusters, check_n_threads, drawing_from
from ..input.weights import as_weights
from ..metrics.table import check_metric
from ..rows import prepare, taken_rows
from ..types import Indices, Values
from .kmeans import KMeans


def kmeans_plusplus(
    X: Any,
    n_clusters: int,
    *,
    sample_weight: Any = None,
    x_squared_norms: Any = None,
    random_state: Any = None,
    n_local_trials: int | None = None,
    metric: str = "euclidean",
    n_threads: int | None = None,
) -> tuple[Values, Indices]:
    """Choose initial centers among the samples by greedy k-means++.

    Parameters
    ----------
    X : array-like, DataFrame or sparse matrix of shape (n_samples, n_features)
        The samples.
    n_clusters : int
        Number of centers to choose.
    sample_weight : array-like of shape (n_samples,), optional
        Weight of each sample. A sample of weight 0 is never chosen; if too few others are left, chosen ones are repeated.
    x_squared_norms : array-like of shape (n_samples,), optional
        Accepted for scikit-learn and not used, because distances are computed from differences.
    random_state : int, RandomState, Generator or None, default=None
        Source of the random numbers.
    n_local_trials : int or None, default=None
        Candidates per step; None for 2 + int(log(n_clusters)).
    metric : {"euclidean", "manhattan", "cosine"}, default="euclidean"
        Candidates are drawn in proportion to squared distances ("euclidean"), Manhattan distances, or 1 - cos: the terms
        of the inertia of :class:`KMeans` with that metric.
    n_threads : int or None, default=None
        As in :class:`KMeans`; the choice is the same for any number.

    Returns
    -------
    centers : ndarray of shape (n_clusters, n_features)
        The chosen rows of X, float32 if X is, else float64.
    indices : ndarray of shape (n_clusters,), int64
        Indices of the chosen rows.

    Raises
    ------
    ValueError, TypeError
        If a parameter, X or sample_weight is not valid.

    Notes
    -----
    D. Arthur and S. Vassilvitskii, "k-means++: the advantages of careful seeding", SODA 2007. Section 5 describes the
    greedy choice.

    Examples
    --------
    >>> from fastkmeans import kmeans_plusplus
    >>> centers, indices = kmeans_plusplus([[0.0], [0.0], [9.0]], 2, random_state=3)
    >>> sorted(centers.ravel().tolist())
    [0.0, 9.0]
    """
    check_n_threads("n_threads", n_threads)
    measured_by = check_metric(metric)
    matrix = as_matrix(X, sparse=True, in_place=measured_by.prepare_rows is None)
    samples = prepare(matrix, as_weights(sample_weight, len(matrix.values)), measured_by.prepare_rows, n_threads)
    values = samples.values
    check_integer("n_clusters", n_clusters, 1)
    check_n_clusters(n_clusters, len(values))
    if n_local_trials is not None:
        check_integer("n_local_trials", n_local_trials, 1, "None or ")
    if x_squared_norms is not None and np.shape(x_squared_norms) != (len(values),):
        raise ValueError(
            f"The length of x_squared_norms {np.shape(x_squared_norms)} should be equal to the length of n_samples "
            f"{len(values)}. Leave x_squared_norms out: it is not used."
        )
    with drawing_from(random_state) as source:
        rows = plusplus_rows(samples, n_clusters, source, n_threads, n_local_trials, measured_by.seeds_by_manhattan)
    return taken_rows(matrix.values, rows), rows


def k_means(
    X: Any,
    n_clusters: int,
    *,
    sample_weight: Any = None,
    init: Any = "auto",
    n_init: int | str = "auto",
    max_iter: int = 300,
    verbose: int = 0,
    tol: float = 1e-4,
    random_state: Any = None,
    copy_x: bool = True,
    algorithm: str = "auto",
    metric: str = "euclidean",
    standardize: bool | str = False,
    return_n_iter: bool = False,
    n_threads: int | None = None,
) -> tuple[Any, ...]:
    """Run k-means and return its results, without an estimator.

    Parameters
    ----------
    X : array-like, DataFrame or sparse matrix of shape (n_samples, n_features)
        The samples.
    n_clusters : int
        Number of clusters.
    sample_weight, init, n_init, max_iter, verbose, tol, random_state, copy_x, algorithm, metric, standardize, n_threads
        As in :class:`KMeans`.
    return_n_iter : bool, default=False
        Whether to return the number of iterations too.

    Returns
    -------
    centers : ndarray of shape (n_clusters, n_features)
        `cluster_centers_`.
    labels : ndarray of shape (n_samples,), int32
        `labels_`.
    inertia : float
        `inertia_`, in squared units of X if metric is "euclidean" and features are not standardised.
    n_iter : int
        `n_iter_`; only returned if return_n_iter is True.

    Raises
    ------
    ValueError, TypeError
        If a parameter, X or sample_weight is not valid.

    Examples
    --------
    >>> from fastkmeans import k_means
    >>> centers, labels, inertia = k_means([[1.0], [2.0], [9.0]], 2, init=[[0.0], [9.0]])
    >>> inertia
    0.5
    """
    check_bool("return_n_iter", return_n_iter)
    model = KMeans(
        n_clusters,
        init=init,
        n_init=n_init,
        max_iter=max_iter,
        tol=tol,
        verbose=verbose,
        random_state=random_state,
        copy_x=copy_x,
        algorithm=algorithm,
        metric=metric,
        standardize=standardize,
        n_threads=n_threads,
    ).fit(X, sample_weight=sample_weight)
    results = model.cluster_centers_, model.labels_, model.inertia_
    return (*results, model.n_iter_) if return_n_iter else results

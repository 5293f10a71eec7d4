"""The judge: nearest centers and inertia in float64, independent of every library under test."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

_SCORES_PER_CHUNK = 2**22  # 32 MiB of float64


class Nearest(NamedTuple):
    """Result of `nearest`: labels (n_samples,) and squared distances (n_samples,) float64."""

    labels: np.ndarray
    sq_dist: np.ndarray


class LabelCheck(NamedTuple):
    """Result of `check_labels`.

    n_different counts labels other than the nearest center's; n_rounding says how many of those lie within
    the rounding of a float64 sum of squares, where two correct programs may disagree.
    """

    n_different: int
    n_rounding: int


def nearest(X: np.ndarray, centers: np.ndarray) -> Nearest:
    """Find the nearest center of each row by float64 differences; a tie goes to the lowest index.

    A matrix product on centered rows proposes; every center that its rounding error cannot exclude is then
    decided by ``((x - c) ** 2).sum()``, so large offsets and near ties are safe.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        float32 or float64.
    centers : ndarray of shape (n_clusters, n_features)
        float32 or float64.

    Returns
    -------
    Nearest

    Examples
    --------
    >>> nearest(np.array([[0.0], [4.0]]), np.array([[1.0], [-1.0]])).labels
    array([0, 0])
    """
    n_samples, n_features = X.shape
    centers = centers.astype(np.float64)
    origin = centers.mean(axis=0)
    shifted = centers - origin
    half_sq_norm = 0.5 * np.einsum("jf,jf->j", shifted, shifted)
    longest = np.sqrt(2.0 * half_sq_norm.max())
    unit = 4 * (n_features + 4) * np.finfo(np.float64).eps

    labels = np.empty(n_samples, dtype=np.intp)
    sq_dist = np.empty(n_samples)
    n_rows = max(16, _SCORES_PER_CHUNK // len(centers))
    for start in range(0, n_samples, n_rows):
        rows = X[start : start + n_rows].astype(np.float64)
        moved = rows - origin
        scores = moved @ shifted.T
        np.subtract(half_sq_norm, scores, out=scores)
        chosen = scores.argmin(axis=1)

        slack = unit * (np.sqrt(np.einsum("if,if->i", moved, moved)) + longest) ** 2
        close = scores <= (scores[np.arange(len(rows)), chosen] + slack)[:, None]
        contested = np.flatnonzero(close.sum(axis=1) > 1)
        which, candidates = np.nonzero(close[contested])
        exact = ((rows[contested][which] - centers[candidates]) ** 2).sum(axis=1)
        by_row_then_distance = np.lexsort((candidates, exact, which))
        winners = by_row_then_distance[np.unique(which, return_index=True)[1]]
        chosen[contested] = candidates[winners]

        labels[start : start + n_rows] = chosen
        sq_dist[start : start + n_rows] = ((rows - centers[chosen]) ** 2).sum(axis=1)
    return Nearest(labels, sq_dist)


def inertia(X: np.ndarray, centers: np.ndarray) -> float:
    """Sum the squared distances of all rows to their nearest center, in float64.

    Examples
    --------
    >>> inertia(np.array([[0.0], [4.0]]), np.array([[1.0]]))
    10.0
    """
    return float(nearest(X, centers).sq_dist.sum())


def check_labels(X: np.ndarray, centers: np.ndarray, labels: np.ndarray) -> LabelCheck:
    """Compare labels with the float64 nearest centers.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
    centers : ndarray of shape (n_clusters, n_features)
        The final centers, in the dtype in which the library stores them.
    labels : ndarray of shape (n_samples,)

    Returns
    -------
    LabelCheck

    Examples
    --------
    >>> check_labels(np.array([[0.0], [4.0]]), np.array([[0.0], [4.0]]), np.array([0, 0]))
    LabelCheck(n_different=1, n_rounding=0)
    """
    truth = nearest(X, centers)
    wrong = np.flatnonzero(labels != truth.labels)
    differences = X[wrong].astype(np.float64) - centers.astype(np.float64)[labels[wrong]]
    own_sq_dist = (differences**2).sum(axis=1)
    rounding = 2 * (X.shape[1] + 1) * np.finfo(np.float64).eps * own_sq_dist
    return LabelCheck(len(wrong), int(np.count_nonzero(own_sq_dist - truth.sq_dist[wrong] <= rounding)))

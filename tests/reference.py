"""The slow twin: k-means in plain NumPy float64, written to be obviously right."""

from __future__ import annotations

import math

import numpy as np

CHUNK_TERMS = 1 << 18  # float64 terms held at once by sq_distances: 2 MiB


def sq_distances(X, C):
    """Squared distance of every row to every center, by direct differences; (n_samples, n_clusters)."""
    X, C = np.asarray(X, np.float64), np.asarray(C, np.float64)
    rows = max(1, CHUNK_TERMS // max(1, C.size))
    out = np.empty((len(X), len(C)))
    for start in range(0, len(X), rows):
        out[start:start + rows] = ((X[start:start + rows, None, :] - C) ** 2).sum(axis=-1)
    return out


def nearest(X, C):
    """Index of the nearest center of every row; a tie goes to the lowest index."""
    return sq_distances(X, C).argmin(axis=1).astype(np.int32)


def own_sq_distances(X, C, labels):
    """Squared distance of every row to the center of its own cluster."""
    return ((np.asarray(X, np.float64) - np.asarray(C, np.float64)[labels]) ** 2).sum(axis=-1)


def inertia(X, C, labels=None, sample_weight=None):
    """Weighted sum of the squared distances to the centers of ``labels`` (default: the nearest), by fsum."""
    terms = own_sq_distances(X, C, nearest(X, C) if labels is None else labels)
    return math.fsum(terms if sample_weight is None else terms * sample_weight)


def refill(X, centers, labels, weights):
    """Labels in which every empty cluster, lowest index first, got the farthest row that can be spared.

    Rows are taken farthest first (squared distance to the own center; the lowest index of equals). A row that
    weighs nothing, that sits on its center, or that is the last of its cluster is passed over. A cluster for
    which no row is left stays empty.
    """
    members = labels.copy()
    rows_left = np.bincount(labels[weights > 0], minlength=len(centers))
    empty = list(np.flatnonzero(rows_left == 0))
    sq_dist = own_sq_distances(X, centers, labels)
    for i in np.argsort(-sq_dist, kind="stable"):
        if empty and weights[i] > 0 and sq_dist[i] > 0 and rows_left[labels[i]] > 1:
            rows_left[labels[i]] -= 1
            members[i] = empty.pop(0)
    return members


def move(X, centers, members, weights):
    """The weighted mean of each cluster, in the dtype of ``centers``; without weight the center stays."""
    moved = centers.copy()
    for j in range(len(centers)):
        own = (members == j) & (weights > 0)
        if own.any():
            moved[j] = (X[own] * weights[own, None]).sum(axis=0) / weights[own].sum()
    return moved


def lloyd(X, centers, max_iter=300, sample_weight=None, dtype=None, tol=0.0):
    """Lloyd's algorithm; returns centers, labels, inertia and n_iter.

    The centers are rounded to ``dtype`` (default: that of X) in every iteration. It stops when no label
    changed and no cluster was refilled, or when the squared center shifts sum to at most ``tol`` (absolute).
    """
    centers = np.array(centers, dtype or X.dtype)
    X = np.asarray(X, np.float64)
    weights = np.ones(len(X)) if sample_weight is None else np.asarray(sample_weight, np.float64)
    labels = np.full(len(X), -1)
    for n_iter in range(1, max_iter + 1):
        previous, labels = labels, nearest(X, centers)
        members = refill(X, centers, labels, weights)
        before, centers = centers, move(X, centers, members, weights)
        unchanged = np.array_equal(labels, previous) and np.array_equal(members, labels)
        if unchanged or ((centers.astype(np.float64) - before) ** 2).sum() <= tol:
            break
    labels = nearest(X, centers)
    return centers, labels, inertia(X, centers, labels, weights), n_iter

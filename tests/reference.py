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
        out[start : start + rows] = ((X[start : start + rows, None, :] - C) ** 2).sum(axis=-1)
    return out


def manhattan_distances(X, C):
    """Sum of absolute differences of every row to every center; (n_samples, n_clusters)."""
    X, C = np.asarray(X, np.float64), np.asarray(C, np.float64)
    return np.stack([np.abs(X - c).sum(axis=-1) for c in C], axis=1)


def unit(X):
    """Rows divided by their lengths, in their dtype."""
    X = np.asarray(X)
    wide = X.astype(np.float64)
    return (wide / np.sqrt((wide**2).sum(axis=1, keepdims=True))).astype(X.dtype)


def weighted_median(values, weights):
    """The smallest value up to which at least half the weight lies."""
    order = np.argsort(values, kind="stable")
    running = np.cumsum(weights[order])
    return values[order][np.argmax(running >= running[-1] / 2)]


def mean(X, weights):
    return (X * weights[:, None]).sum(axis=0) / weights.sum()


def median(X, weights):
    return np.array([weighted_median(column, weights) for column in X.T])


def unit_mean(X, weights):
    return mean(X, weights) / np.sqrt((mean(X, weights) ** 2).sum())


# metric -> (terms of the inertia of every pair, the best center of rows, rows as they are measured)
METRICS = {
    "euclidean": (sq_distances, mean, np.asarray),
    "manhattan": (manhattan_distances, median, np.asarray),
    "cosine": (lambda X, C: sq_distances(X, C) / 2, unit_mean, unit),
}


def nearest(X, C, metric="euclidean"):
    """Index of the nearest center of every row; a tie goes to the lowest index."""
    return METRICS[metric][0](X, C).argmin(axis=1).astype(np.int32)


def own_terms(X, C, labels, metric="euclidean"):
    """What every row adds to the inertia: the squared distance to the center of its own cluster, if Euclidean."""
    return METRICS[metric][0](X, C)[np.arange(len(X)), labels]


def inertia(X, C, labels=None, sample_weight=None, metric="euclidean"):
    """Weighted sum of the terms of the centers of ``labels`` (default: the nearest), by fsum."""
    terms = own_terms(X, C, nearest(X, C, metric) if labels is None else labels, metric)
    return math.fsum(terms if sample_weight is None else terms * sample_weight)


def in_turn(terms):
    """The sum of terms, one after the other."""
    return np.cumsum(terms)[-1] if len(terms) else 0.0


def at_even_shares(terms, mass, count, n_bins=32):
    """The places in the middle of ``count`` even shares of the mass, by bins of terms; the lowest term of a bin."""
    own = np.flatnonzero(mass > 0)
    bins = np.minimum((terms[own] / terms[own].max() * n_bins).astype(int), n_bins - 1)
    passed = np.cumsum(np.bincount(bins, weights=mass[own], minlength=n_bins))
    places = []
    for n in range(count):
        beyond = [b for b in np.unique(bins) if passed[b] > (n + 0.5) / count * in_turn(mass)] or [bins.max()]
        members = own[bins == beyond[0]]
        places.append(members[terms[members].argmin()])
    return places


def split(X, weights, terms, metric):
    """Split some rows for one more center: the row it takes, which rows are near it, their terms then, and what is saved."""
    mass = weights * terms
    candidates = [*at_even_shares(terms, mass, 3), np.where(weights > 0, terms, 0.0).argmax()]
    drops = [in_turn(weights * np.maximum(terms - METRICS[metric][0](X, X[[at]])[:, 0], 0.0)) for at in candidates]
    taken = candidates[int(np.argmax(drops))]
    apart = METRICS[metric][0](X, X[[taken]])[:, 0]
    near = apart < terms
    after = np.minimum(terms, apart)
    if metric == "euclidean" and weights[near].any() and weights[~near].any():
        for half, base in [(~near, np.flatnonzero(~near & (weights > 0))[0]), (near, taken)]:
            shares = weights[half, None] * (X[half] - X[base])
            mean = X[base] + np.cumsum(shares, axis=0)[-1] / in_turn(weights[half])
            after[half] = METRICS[metric][0](X[half], mean[None])[:, 0]
        taken = np.where(near & (weights > 0), after, np.inf).argmin()
    return taken, near, after, in_turn(mass) - in_turn(weights * after)


def refill(X, centers, labels, weights, metric="euclidean"):
    """Labels in which every empty cluster, lowest index first, got a row.

    The cluster whose split saves most gives the row that its split takes; both parts of it may be split again (the lowest cluster
    of equals). A row that weighs nothing, or that is the last of its cluster, is passed over. A cluster for which no row is left
    stays empty.
    """
    members, weights = labels.copy(), weights.astype(np.float64)
    rows_left = np.bincount(labels[weights > 0], minlength=len(centers))
    empty = list(np.flatnonzero(rows_left == 0))
    terms = own_terms(X, move(X, centers, labels, weights, metric), labels, metric)
    terms[terms <= 1e-28 * (X**2).sum(axis=1)] = 0.0  # rounding of a mean of equal rows

    def untried(rows, cluster):
        return [in_turn(weights[rows] * terms[rows]), cluster, rows, None]

    parts = [untried(np.flatnonzero(labels == j), j) for j in range(len(centers))]
    while empty:
        left = [part for part in parts if part[0] > 0.0 and rows_left[part[1]] > 1]
        if not left:
            break
        best = min(left, key=lambda part: (-part[0], part[1]))
        _, cluster, rows, found = best
        if found is None:
            best[3] = split(X[rows], weights[rows], terms[rows], metric)
            best[0] = best[3][3]
            continue
        taken, near, terms[rows] = found[:3]
        members[rows[taken]] = empty.pop(0)
        rows_left[cluster] -= 1
        weights[rows[taken]] = 0.0
        best[:] = untried(rows[near], cluster)
        parts.append(untried(rows[~near], cluster))
    return members


def move(X, centers, members, weights, metric="euclidean"):
    """The best center of each cluster, in the dtype of ``centers``; without weight the center stays."""
    moved = centers.copy()
    for j in range(len(centers)):
        own = (members == j) & (weights > 0)
        if own.any():
            moved[j] = METRICS[metric][1](X[own], weights[own])
    return moved


def lloyd(X, centers, max_iter=300, sample_weight=None, dtype=None, tol=0.0, metric="euclidean"):
    """Lloyd's algorithm; returns centers, labels, inertia and n_iter.

    The centers are rounded to ``dtype`` (default: that of X) in every iteration. It stops when no label
    changed and no cluster was refilled, or when the squared center shifts sum to at most ``tol`` (absolute).
    """
    prepare = METRICS[metric][2]
    centers = np.array(prepare(np.asarray(centers, dtype or X.dtype)), dtype or X.dtype)
    X = np.asarray(prepare(X), np.float64)
    weights = np.ones(len(X)) if sample_weight is None else np.asarray(sample_weight, np.float64)
    labels = np.full(len(X), -1)
    for n_iter in range(1, max_iter + 1):
        previous, labels = labels, nearest(X, centers, metric)
        members = refill(X, centers, labels, weights, metric)
        before, centers = centers, move(X, centers, members, weights, metric)
        unchanged = np.array_equal(labels, previous) and np.array_equal(members, labels)
        if unchanged or ((centers.astype(np.float64) - before) ** 2).sum() <= tol:
            break
    labels = nearest(X, centers, metric)
    return centers, labels, inertia(X, centers, labels, weights, metric), n_iter


def mini_batch_step(X, centers, counts, sample_weight=None):
    """One step of Sculley's mini-batch k-means; returns centers, counts and the inertia before the step.

    One row after the other: the count of its cluster grows by its weight, and the center moves towards the row by the
    share that this weight has of the count.
    """
    labels = nearest(X, centers)
    weights = np.ones(len(X)) if sample_weight is None else np.asarray(sample_weight, np.float64)
    moved, grown = np.array(centers, np.float64), np.array(counts, np.float64)
    for row, label, weight in zip(np.asarray(X, np.float64), labels, weights):
        if weight > 0:
            grown[label] += weight
            moved[label] += (row - moved[label]) * (weight / grown[label])
    return moved, grown, inertia(X, centers, labels, weights)


def bisect(X, n_clusters, first_two, strategy="biggest_inertia", sample_weight=None, **params):
    """Bisecting k-means; returns centers and labels, from left to right in the tree.

    first_two : (rows) -> the two initial centers of a split.   params : of lloyd.
    """
    weights = np.ones(len(X)) if sample_weight is None else np.asarray(sample_weight, np.float64)
    leaves = [(None, np.arange(len(X)), 0.0)]
    while len(leaves) < n_clusters:
        place = max(range(len(leaves)), key=lambda i: leaves[i][2])
        _, rows, _ = leaves[place]
        own, weight = X[rows], weights[rows]
        centers, labels, _, _ = lloyd(own, first_two(own), sample_weight=weight, **params)
        terms = own_terms(own, centers, labels) if strategy == "biggest_inertia" else np.ones(len(own))
        leaves[place : place + 1] = [
            (centers[j], rows[labels == j], math.fsum((terms * weight)[labels == j])) for j in (0, 1)
        ]
    labels = np.empty(len(X), dtype=np.int32)
    for label, (_, rows, _) in enumerate(leaves):
        labels[rows] = label
    return np.array([center for center, _, _ in leaves]), labels


def distances(X, Y, metric):
    """Distance of every row of X to every row of Y, by direct differences; (len(X), len(Y)).

    A row of zeros has cosine distance 1 from every row; directions that differ by rounding are the same.
    """
    X, Y = np.asarray(X, np.float64), np.asarray(Y, np.float64)
    if metric == "euclidean":
        return np.sqrt(sq_distances(X, Y))
    if metric == "manhattan":
        return np.abs(X[:, None, :] - Y).sum(axis=-1)
    lengths = [np.sqrt((rows**2).sum(axis=1, keepdims=True)) for rows in (X, Y)]
    found = sq_distances(*(rows / np.where(length > 0, length, 1) for rows, length in zip((X, Y), lengths))) / 2
    found[found < X.shape[1] * 2.0**-102] = 0
    found[(lengths[0] == 0).ravel()] = 1
    found[:, (lengths[1] == 0).ravel()] = 1
    return found


def silhouette_samples(X, labels, metric):
    """Silhouette of every row, by its definition."""
    labels = np.asarray(labels)
    found = np.zeros(len(X))
    for i in range(len(X)):
        others = np.arange(len(X)) != i
        apart = distances(X[i : i + 1], X, metric)[0]
        own = (labels == labels[i]) & others
        if not own.any():
            continue
        a = math.fsum(apart[own]) / own.sum()
        b = min(math.fsum(apart[labels == k]) / (labels == k).sum() for k in set(labels) - {labels[i]})
        found[i] = (b - a) / max(a, b) if max(a, b) > 0 else 0
    return found


def simplified_silhouette_samples(X, labels, centers, metric):
    """Silhouette of every row from its distances to the centers."""
    apart = distances(X, centers, metric)
    own = apart[np.arange(len(X)), labels]
    apart[np.arange(len(X)), labels] = np.inf
    larger = np.maximum(own, apart.min(axis=1))
    return np.where(larger > 0, (apart.min(axis=1) - own) / np.where(larger > 0, larger, 1), 0)


def within_cluster_variation(X, labels, form):
    """W(C) of every cluster: pairs over the size, or the sum of squares about the mean."""
    found = []
    for k in np.unique(labels):
        own = np.asarray(X, np.float64)[np.asarray(labels) == k]
        if form == "pairwise":
            found.append(math.fsum(sq_distances(own, own).ravel()) / len(own))
        else:
            found.append(math.fsum(sq_distances(own, [own.mean(axis=0)]).ravel()))
    return np.array(found)


def scaling(X, sample_weight=None, how=True):
    """Offset and scale of every feature, by repeating rows where there are (whole) weights."""
    X = np.asarray(X, np.float64)
    if sample_weight is not None:
        X = np.repeat(X, np.asarray(sample_weight, np.int64), axis=0)
    mean = np.array([math.fsum(column) / len(X) for column in X.T])
    deviation = np.sqrt([math.fsum(column) / len(X) for column in ((X - mean) ** 2).T])
    offset, scale = mean, deviation
    if how == "robust":
        ordered = np.sort(X, axis=0)
        first, offset, third = (ordered[math.ceil(len(X) * q) - 1] for q in (0.25, 0.5, 0.75))
        scale = np.where(third > first, (third - first) / 1.349, deviation)
    alike = (X == X[0]).all(axis=0)
    return np.where(alike, X[0], offset), np.where(alike, 1.0, scale)

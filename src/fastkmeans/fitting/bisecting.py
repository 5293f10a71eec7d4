"""Bisecting k-means: a cluster is split in two until there are enough.

M. Steinbach, G. Karypis and V. Kumar, "A comparison of document clustering techniques", KDD workshop on text mining 2000.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from .._core import samples as compiled
from ..runtime.threads import effective_n_threads
from ..samples import Samples, described_samples
from ..settings import BisectingSettings
from ..types import Floats, Indices, Labels, Values
from .loop import Run, run
from .seeding import first_row
from .starts import algorithm_of, draw_centers, make_engine

BETTER = 1 - 1e-6
"""A start replaces the best one so far if its inertia is below this share of it, as in scikit-learn."""


TRIAL_SHARE, LEAST_TRIAL = 8, 1024
"""With init="auto" a split of at least TRIAL_SHARE * LEAST_TRIAL rows is tried on one row in so many, and finished on all.
200 000 x 32 float32 in 64 blobs, k=64: 289 iterations over all rows of a cluster, 643 without trials. Over four seeds the
inertia was 0.6 % higher on average, and 0.02 % in blobs that overlap, where seeds differ by 3 % and 0.1 %. A share of 16
from 8192 rows on took 349 iterations."""


@dataclass(eq=False)
class Cluster:
    """A cluster: a leaf of the tree of splits until it is split.

    center : (n_features,) in the dtype of the samples.   score : the cluster with the largest is split next.
    rows : numbers of its samples; None once it is split.   splits : False if no two of its rows with weight differ.
    children : the two clusters that it was split into.
    """

    center: Values
    score: float
    rows: Indices | None
    splits: bool = True
    children: tuple[Cluster, Cluster] | None = None

    def all_below(self) -> Iterator[Cluster]:
        """Yield this cluster and all below it: each before its children, the left child first."""
        waiting = [self]  # no recursion, because a tree may be as deep as it has clusters
        while waiting:
            cluster = waiting.pop()
            yield cluster
            waiting.extend(reversed(cluster.children or ()))

    def leaves(self) -> Iterator[Cluster]:
        """Yield the clusters that were not split, from left to right: in the order of their labels."""
        return (cluster for cluster in self.all_below() if cluster.children is None)


class Tree(NamedTuple):
    """The splits as arrays, for predict.

    centers : (2 * n_splits, n_features): rows 2 s and 2 s + 1 are the centers that split s chooses between.
    children : (n_splits, 2) int32: the split that decides next, or -1 - label. A split stands before those below it.
    """

    centers: Values
    children: Labels

    def descend(self, n_samples: int, choose: Callable[[Indices | None, Values], Labels]) -> Labels:
        """Return the label of each sample, (n_samples,) int32: at each split it goes to the nearer center.

        choose : (numbers of samples or None for all, two centers) -> 0 or 1 for each of these samples.
        """
        labels = np.zeros(n_samples, dtype=np.int32)
        waiting: dict[int, Indices | None] = {0: None}
        for split, children in enumerate(self.children.tolist()):
            rows = waiting.pop(split)
            if rows is not None and len(rows) == 0:
                right = np.zeros(0, dtype=bool)
            else:
                right = choose(rows, self.centers[2 * split : 2 * split + 2]) == 1
            for child, here in zip(children, (~right, right), strict=True):
                own = np.flatnonzero(here) if rows is None else rows[here]
                if child < 0:
                    labels[own] = -1 - child
                else:
                    waiting[child] = own
        return labels


class Bisected(NamedTuple):
    """How a fit ended.   n_iter : iterations of all splits.   n_distinct : clusters that have samples."""

    centers: Values
    labels: Labels
    tree: Tree
    n_iter: int
    n_distinct: int


def bisect(settings: BisectingSettings, samples: Samples, random_state: np.random.RandomState) -> Bisected:
    """Split the samples until there are n_clusters clusters."""
    n_wanted = settings.base.n_clusters
    no_center: Values = np.empty(0, dtype=samples.values.dtype)
    root = Cluster(no_center, 0.0, np.arange(len(samples.values)))
    leaves, n_iter, memory = [root], 0, Memory()
    while len(leaves) < n_wanted:
        place = max(range(len(leaves)), key=lambda i: (leaves[i].splits, leaves[i].score))  # the first one among equals
        if not leaves[place].splits:
            break
        n_iter += _split(leaves[place], settings, samples, random_state, memory)
        leaves[place : place + 1] = leaves[place].children or (leaves[place],)
    if root.children is None:
        root.center, n_iter = _mean(settings, samples), n_iter + 1
    n_distinct = len(leaves)
    for _ in range(n_wanted - n_distinct):  # too few different rows: the other clusters are empty, as in KMeans
        leaf = next(root.leaves())
        leaf.children = replace(leaf), replace(leaf, rows=np.empty(0, dtype=np.intp))
        leaf.rows = None
    return _collected(root, len(samples.values), n_iter, n_distinct)


class Memory:
    """Memory for the rows of a cluster of samples in one array, used again for each split.

    Pages that are new to the process cost as much as copying the rows: 200 000 x 32 float32, k=64, one core of a Zen 3.
    """

    def __init__(self) -> None:
        self._values: Values | None = None

    def take(self, samples: Samples, rows: Indices, n_threads: int | None) -> Values:
        """Return the samples with these numbers. What a call returned before must not be in use any more."""
        if self._values is None or len(self._values) < len(rows):
            self._values = None  # lest both be held
            self._values = np.empty((len(rows), samples.values.shape[1]), dtype=samples.values.dtype)
        taken = self._values[: len(rows)]
        compiled.take(samples.values, rows, None, taken, effective_n_threads(n_threads, float(taken.size)))
        return taken


def _split(
    cluster: Cluster,
    settings: BisectingSettings,
    samples: Samples,
    random_state: np.random.RandomState,
    memory: Memory,
) -> int:
    """Split a cluster in two by k-means on its rows, or find that all are alike. Return the number of iterations."""
    base, rows, weights = settings.base, cluster.rows, samples.sample_weight
    assert rows is not None  # it was not split before
    cluster.splits = (len(rows) if weights is None else int(np.count_nonzero(weights[rows]))) > 1
    if not cluster.splits:
        return 0
    own = samples
    if len(rows) < len(samples.values):
        own_weights = None if weights is None else weights[rows]
        if isinstance(samples.values, np.ndarray) and not callable(base.init):  # which may keep the rows that it gets
            own = described_samples(memory.take(samples, rows, base.n_threads), own_weights, base.n_threads)
        else:
            own = samples.subset(rows, own_weights, n_threads=base.n_threads)
    best, n_iter = _best_pair(settings, own, random_state)
    if base.verbose:
        print(f"New centroids from bisection: {best.centers}")
    cluster.splits = best.n_distinct > 1
    if cluster.splits:
        scores = _scores(settings, own, best)
        halves = (rows.take(np.flatnonzero(best.labels == j)) for j in (0, 1))
        left, right = (Cluster(*parts) for parts in zip(best.centers, scores.tolist(), halves, strict=True))
        cluster.children, cluster.rows = (left, right), None
    return n_iter


def _best_pair(settings: BisectingSettings, own: Samples, random_state: np.random.RandomState) -> tuple[Run, int]:
    """Run k-means with two clusters from n_init starts. Return the best run, and the iterations of all."""
    base = settings.base
    algorithm = algorithm_of(base, own, 2, base.max_iter)
    best: Run | None = None
    n_iter = 0
    for _ in range(base.n_init):
        centers = _first_pair(settings, own, random_state)
        engine = make_engine(base, own, 2, algorithm, base.n_threads)
        found = run(
            engine,
            centers,
            max_iter=base.max_iter,
            tol=base.tol,
            verbose=bool(base.verbose),
            wants_inertia=base.n_init > 1,
        )
        n_iter += found.n_iter
        if best is None or found.inertia < best.inertia * BETTER:
            best = found
    assert best is not None  # there is at least one start
    return best, n_iter


def _first_pair(settings: BisectingSettings, own: Samples, random_state: np.random.RandomState) -> Values:
    """Return the two centers that a start begins with. With init="auto" they come from a fit of few rows, if there are many."""
    base, n_samples, weights = settings.base, len(own.values), own.sample_weight
    if isinstance(base.init, str) and base.init == "random":
        return own.take(_two_rows(n_samples, weights, random_state))
    if not base.searches or n_samples < TRIAL_SHARE * LEAST_TRIAL:
        return draw_centers(base, own, 2, random_state, base.n_threads)
    rows = np.sort(random_state.randint(0, n_samples, n_samples // TRIAL_SHARE))
    if weights is not None and np.count_nonzero(weights[rows]) < 2:
        return draw_centers(base, own, 2, random_state, base.n_threads)
    few = own.subset(rows, None if weights is None else weights[rows], n_threads=base.n_threads)
    centers = draw_centers(base, few, 2, random_state, base.n_threads)
    engine = make_engine(base, few, 2, algorithm_of(base, few, 2, base.max_iter), base.n_threads)
    return run(engine, centers, max_iter=base.max_iter, tol=base.tol, wants_inertia=False).centers


def _two_rows(n_samples: int, sample_weight: Floats | None, random_state: np.random.RandomState) -> Indices:
    """Draw two different rows, one after the other, with probability proportional to weight.

    random_rows of seeding.py draws such rows, too, but with a random number for each row.
    """
    first = first_row(n_samples, sample_weight, random_state)
    if sample_weight is None:
        second = first_row(n_samples - 1, None, random_state)
        return np.array([first, second + (second >= first)], dtype=np.intp)
    others = sample_weight.copy()
    others[first] = 0.0
    return np.array([first, first_row(n_samples, others, random_state)], dtype=np.intp)


def _scores(settings: BisectingSettings, own: Samples, found: Run) -> Floats:
    """Return what decides which cluster is split next, of both: the inertia, or the weight of the rows."""
    terms = own.sample_weight
    if settings.bisecting_strategy == "biggest_inertia":
        n_threads = effective_n_threads(settings.base.n_threads, float(own.values.size))
        terms = own.own_sq_distances(found.centers.astype(np.float64), found.labels, n_threads)
        terms = terms if own.sample_weight is None else terms * own.sample_weight
    return np.bincount(found.labels, weights=terms, minlength=2).astype(np.float64)


def _mean(settings: BisectingSettings, samples: Samples) -> Values:
    """Return the weighted mean of the samples, (n_features,) in their dtype."""
    engine = make_engine(settings.base, samples, 1, "lloyd", settings.base.n_threads)
    first = samples.take(np.zeros(1, dtype=np.intp)).astype(np.float64)
    engine.step(first)
    mean: Values = engine.move(first)[0][0].astype(samples.values.dtype)
    return mean


def _collected(root: Cluster, n_samples: int, n_iter: int, n_distinct: int) -> Bisected:
    labels = np.empty(n_samples, dtype=np.int32)
    leaves, splits = list(root.leaves()), [cluster for cluster in root.all_below() if cluster.children is not None]
    codes = {id(split): s for s, split in enumerate(splits)}
    for label, leaf in enumerate(leaves):
        labels[leaf.rows] = label
        codes[id(leaf)] = -1 - label
    pairs = [split.children for split in splits if split.children is not None]
    children = np.array([[codes[id(child)] for child in pair] for pair in pairs], dtype=np.int32).reshape(-1, 2)
    centers = np.array([leaf.center for leaf in leaves])
    of_splits = np.array([child.center for pair in pairs for child in pair], dtype=centers.dtype)
    tree = Tree(of_splits.reshape(-1, centers.shape[1]), children)
    return Bisected(centers, labels, tree, n_iter, n_distinct)

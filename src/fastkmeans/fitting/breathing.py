"""Better initial centers: clusters are added and removed on trial, as long as that lowers the inertia.

Iterations move no center across the gap between two groups of samples. A start with two centers in one group, and one center for
two other groups, stays so. Breathing corrects it (kmeans_core/breathing.pyx). It needs its samples in one array: some of them,
if they are many.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf, isfinite
from typing import NamedTuple

import numpy as np

from .._core.breathing import Breathing
from ..algorithms.quantizing import LEAST_SIZE
from ..runtime.threads import effective_n_threads
from ..samples import Samples
from ..settings import Settings
from ..types import Values
from . import coreset

ADDED, ROOM = 5, 4
"""Clusters added at first, five as in Fritzke's program, and room for a quarter of the clusters if as many splits pay."""

ITERATIONS = 3
"""Iterations after clusters are added, and again after others are removed."""

LEAST_WORK, WORK_A_FEATURE, WORK_A_PAIR = 4e6, 4.0, 400.0
"""Most work of breathing, per sample and cluster: fits then took 0.05 to 1.1 times as long as one start of scikit-learn, on sets of
300 to 100 000 samples with 4 to 100 clusters. From 240 to 400 per pair, the worst of 20 fits of three mixtures of 8 to 20 clusters fell
from 0.3, 3.9 and 5.5 % above the best known to 0.03, 0.01 and 0.02 % (Zen 5). Up to 4 per feature the inertia fell, by 0.0 to 3 % on
seven sets of 18 to 1782 features; 9 found nothing more, and took 1.0 to 1.7 times as long."""

COMPARISONS_A_PAIR = 3.0
"""As much work as comparing all samples with all centers so many times per pair of clusters is enough. An attempt costs about one
comparison. On 300 samples and four clusters it takes a fifth of the time of scikit-learn's start, and 2e-4 is lost."""

MOST_WORK, MOST_WORK_OF_A_LEVEL, LEAST_COMPARISONS = 4e8, 1.2e8, 4.0
"""Most work of breathing, in features of compared pairs: some 60 ms, and 20 ms on the rows of a search. There is no breathing if
comparing all pairs so many times takes more."""

MOST_STARTS = 4
"""Breathing begins anew from other centers while there is work left, but only after attempts in vain: where clusters are apart,
there are none."""

MOST_ROWS, ROWS_A_CLUSTER, LEAST_ROWS_A_CLUSTER = 16_384, 640, 128
"""Rows that breathe, at most: so many, and more if there are fewer of them per cluster. More samples are represented by rows drawn
by weight. With 60 000 samples in two dimensions and 100 clusters, inertia was 0.3 % lower with all rows than with 16 384. It bounds
the memory, too: some 150 bytes and 8 bytes a feature for each row."""

WANTED_COMPARISONS = 10.0
"""There are so many rows per cluster as can be compared with all centers so many times within the work, but not fewer than
LEAST_ROWS_A_CLUSTER."""

SPARED_BITS = 16
STORED = 2.0 ** (SPARED_BITS - 52)
"""Centers are rounded by so many bits. A center within an ulp of its mean would stay there if samples have weights, and move if
they have none (kernels/move.h): then weights of 1 would change a bit."""

DISTANCE_IN_ROUNDINGS = 1000.0
"""Centers stay if the root mean square distance per feature is below so many roundings of the values: savings are noise."""

LOWER = 1.0 - 1e-6
"""A start replaces the best one if its inertia is below this share of it. Starts that find the same optimum differ in rounding, and in
the order of the clusters, which should not depend on whether X is float32 or float64."""


class Breath(NamedTuple):
    """What breathing found.   inertia : of the centers; infinite if unknown.   is_sure : whether no attempt was in vain, and
    there was work left."""

    centers: Values
    inertia: float
    work: float
    is_sure: bool


def breathes(settings: Settings, n_samples: int, n_features: int, n_clusters: int, of_level: bool = False) -> bool:
    """Does a fit of this size breathe before its iterations? Not if it may have fewer iterations than one breath.

    of_level : whether the samples are the rows of a search, see search.py.
    """
    if not settings.searches or settings.metric != "euclidean" or n_clusters < 2:
        return False
    if settings.max_iter < 2 * ITERATIONS:
        return False
    n_rows = min(n_samples, _most_rows(n_features, n_clusters))
    return LEAST_COMPARISONS * n_rows * n_clusters * (n_features + 6.0) <= _limit(of_level)


def breathing_centers(
    samples: Samples, draw: Callable[[], Values], random_state: np.random.RandomState, n_threads: int | None
) -> Values:
    """Return initial centers of low inertia.

    samples : dense.   draw : returns initial centers, others each time, in the dtype of the samples.
    """
    centers = draw()
    n_rows = _most_rows(*centers.T.shape)
    is_few = len(samples.values) <= n_rows
    rows = samples.whole() if is_few else _some_rows(samples, n_rows, random_state, n_threads)
    return breathe_again(rows, centers, draw, n_threads, _most_work(rows, len(centers)))


def breathe_again(
    rows: Samples,
    centers: Values,
    draw: Callable[[], Values],
    n_threads: int | None,
    most_work: float,
    of_level: bool = False,
) -> Values:
    """Return the centers of the best of several breaths. There is another one after an attempt in vain, if there is work left.

    centers, draw : those of the first breath, and what returns those of the others.   of_level : see breathes.
    """
    best = breathe(rows, centers, n_threads, of_level)
    work, latest = best.work, best
    for _ in range(1, MOST_STARTS):
        if latest.is_sure or work + latest.work > most_work:
            break
        latest = breathe(rows, draw(), n_threads, of_level)
        work += latest.work
        best = latest if latest.inertia < best.inertia * LOWER else best
    return best.centers


def breathe(samples: Samples, centers: Values, n_threads: int | None, of_level: bool = False) -> Breath:
    """Return centers of lower inertia than the given ones can reach by iterations, or the given ones.

    samples : dense.   centers : (n_clusters, n_features) in the dtype of the samples.   of_level : see breathes.
    """
    if samples.description.largest < LEAST_SIZE:
        return Breath(centers, inf, 0.0, True)  # squares of values so small have few digits
    values, sample_weight = samples.whole().values, samples.sample_weight
    (n_samples, n_features), n_clusters = values.shape, len(centers)
    total_weight = float(n_samples)
    if sample_weight is not None:
        sample_weight = np.asarray(sample_weight) / sample_weight.max()  # products of the smallest weights underflow
        total_weight = float(sample_weight.sum())
    added = min(ADDED, n_clusters // 2)
    n_threads = effective_n_threads(n_threads, float(n_samples) * n_clusters * n_features)
    found = centers.astype(np.float64)
    search = Breathing(values, sample_weight, found, max(added, n_clusters // ROOM), n_threads)
    most_work = _most_work(samples, n_clusters, of_level)
    inertia = search.search(found, added, ITERATIONS, most_work)
    is_sure = search.n_failures == 0 and search.spent < most_work
    rounding = DISTANCE_IN_ROUNDINGS * max(float(np.finfo(values.dtype).eps), STORED) * samples.description.largest
    if not isfinite(inertia) or inertia < rounding**2 * total_weight * n_features:
        return Breath(centers, inf, search.spent, True)
    found.view(np.int64)[...] &= -(1 << SPARED_BITS)
    rounded: Values = found.astype(values.dtype)  # type: ignore[assignment]  # float32 or float64
    return Breath(rounded, inertia, search.spent, is_sure)


def _most_rows(n_features: int, n_clusters: int) -> int:
    within_work = int(MOST_WORK / (WANTED_COMPARISONS * n_clusters * (n_features + 6.0)))
    few, many = (max(MOST_ROWS, a_cluster * n_clusters) for a_cluster in (LEAST_ROWS_A_CLUSTER, ROWS_A_CLUSTER))
    return max(few, min(many, within_work))


def _limit(of_level: bool) -> float:
    return min(MOST_WORK, MOST_WORK_OF_A_LEVEL) if of_level else MOST_WORK


def _most_work(rows: Samples, n_clusters: int, of_level: bool = False) -> float:
    n_samples, n_features = rows.values.shape
    n_pairs = float(n_samples) * n_clusters
    most: float = LEAST_WORK + n_pairs * (WORK_A_FEATURE * n_features + WORK_A_PAIR)
    enough: float = n_pairs * (n_features + 6.0) * COMPARISONS_A_PAIR * n_clusters**2
    return min(_limit(of_level), most, enough)


def _some_rows(samples: Samples, count: int, random_state: np.random.RandomState, n_threads: int | None) -> Samples:
    """Draw rows by weight; they have none."""
    (n_samples, n_features), weights = samples.values.shape, samples.sample_weight
    by_weight = None if weights is None else coreset.masses_of(weights / weights.max())
    n_draw_threads = effective_n_threads(n_threads, float(n_samples) * n_features)
    rows = coreset.draw(n_samples, by_weight, count, random_state, n_draw_threads)
    return samples.subset(rows, None, None, n_threads)

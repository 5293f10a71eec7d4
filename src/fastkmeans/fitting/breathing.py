"""Better initial centers: clusters are added and removed on trial, as long as that lowers the inertia.

Iterations move no center across the gap between two groups of samples. A start with two centers in one group, and one center for
two other groups, stays so. Breathing corrects it (kmeans_core/breathing.pyx). It needs all samples in one array.
"""

from __future__ import annotations

from math import isfinite

import numpy as np

from .._core.breathing import Breathing
from ..algorithms.quantizing import LEAST_SIZE
from ..runtime.threads import effective_n_threads
from ..samples import Samples
from ..settings import Settings
from ..types import Values

ADDED, ROOM = 5, 4
"""Clusters added at first, five as in Fritzke's program, and room for a quarter of the clusters if as many splits pay."""

ITERATIONS = 3
"""Iterations after clusters are added, and again after others are removed."""

LEAST_WORK, WORK_A_FEATURE, WORK_A_PAIR = 3e6, 6.0, 200.0
"""Most work of breathing, per sample and cluster."""

MOST_WORK, LEAST_COMPARISONS = 1.2e8, 4.0
"""Most work of breathing, in features of compared pairs: some 20 ms. There is no breathing if comparing all pairs so many times
takes more."""

SPARED_BITS = 16
STORED = 2.0 ** (SPARED_BITS - 52)
"""Centers are rounded by so many bits. A center within an ulp of its mean would stay there if samples have weights, and move if
they have none (kernels/move.h): then weights of 1 would change a bit."""

DISTANCE_IN_ROUNDINGS = 1000.0
"""Centers stay if the root mean square distance per feature is below so many roundings of the values: savings are noise."""


def breathes(settings: Settings, n_samples: int, n_features: int, n_clusters: int) -> bool:
    """Does a fit of this size breathe before its iterations? Not if it may have fewer iterations than one breath."""
    if not settings.searches or settings.metric != "euclidean" or n_clusters < 2:
        return False
    if settings.max_iter < 2 * ITERATIONS:
        return False
    return LEAST_COMPARISONS * n_samples * n_clusters * (n_features + 6.0) <= MOST_WORK


def breathe(samples: Samples, centers: Values, n_threads: int | None) -> Values:
    """Return centers of lower inertia than the given ones can reach by iterations, or the given ones.

    samples : dense.   centers : (n_clusters, n_features) in the dtype of the samples.
    """
    if samples.description.largest < LEAST_SIZE:
        return centers  # squares of values so small have few digits
    values, sample_weight = samples.whole().values, samples.sample_weight
    (n_samples, n_features), n_clusters = values.shape, len(centers)
    total_weight = float(n_samples)
    if sample_weight is not None:
        sample_weight = np.asarray(sample_weight) / sample_weight.max()  # products of the smallest weights underflow
        total_weight = float(sample_weight.sum())
    added = min(ADDED, n_clusters // 2)
    most_work = min(MOST_WORK, LEAST_WORK + n_samples * n_clusters * (WORK_A_FEATURE * n_features + WORK_A_PAIR))
    n_threads = effective_n_threads(n_threads, float(n_samples) * n_clusters * n_features)
    found = centers.astype(np.float64)
    search = Breathing(values, sample_weight, found, max(added, n_clusters // ROOM), n_threads)
    inertia = search.search(found, added, ITERATIONS, most_work)
    rounding = DISTANCE_IN_ROUNDINGS * max(float(np.finfo(values.dtype).eps), STORED) * samples.description.largest
    if not isfinite(inertia) or inertia < rounding**2 * total_weight * n_features:
        return centers
    found.view(np.int64)[...] &= -(1 << SPARED_BITS)
    rounded: Values = found.astype(values.dtype)  # type: ignore[assignment]  # float32 or float64
    return rounded

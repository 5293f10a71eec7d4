"""A single fit from coarse to fine: searched on few samples, finished on all.

Several starts of k-means++ are tried on about 16 000 weighted rows (search.py, coreset.py). The best goes on over larger
sets, and few iterations are left for all samples. The best of several starts gains more than trying them costs.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf

import numpy as np

from ..samples import Samples
from ..settings import Settings
from ..types import Floats
from .going import Going
from .search import Chain, Fit, count_rows

ROWS_A_CLUSTER = 128
"""The fewest rows per cluster to search on. With 64 and one start the inertia of the mid workload (200k x 64, k=256) was 0.6 % higher."""

LEAST_SHARE = 4
"""With fewer samples than this many times the rows of a search, it saves nothing: k-means++ on all samples costs as much."""

LEAST_WORK = 2e7
"""If samples times features times clusters are fewer, the search costs more than it saves."""

MOST_STARTS, ROWS_A_START = 5, 3
"""Number of starts: the samples divided by three times the rows of the search, but at least two and at most five."""

LEAST_WEIGHT = 1e-9
"""Relative to the largest weight. A search does not see lighter samples, so there is none if most samples are lighter."""


def is_large(n_samples: int, n_features: int, n_clusters: int, sample_weight: Floats | None = None) -> bool:
    """Should a fit of this size be searched on few samples first?"""
    is_many = n_samples >= LEAST_SHARE * count_rows(n_clusters, ROWS_A_CLUSTER)
    return is_many and has_work(n_samples, n_features, n_clusters) and are_seen(sample_weight)


def has_work(n_samples: int, n_features: int, n_clusters: int) -> bool:
    """Is there so much to compute that a search on few samples saves more than it costs?"""
    return float(n_samples) * n_features * n_clusters >= LEAST_WORK


def are_seen(sample_weight: Floats | None) -> bool:
    """Does a search on few samples see most of those that weigh something?"""
    if sample_weight is None:
        return True
    least = LEAST_WEIGHT * sample_weight.max()
    if not isinstance(sample_weight, np.ndarray):  # weights that lie elsewhere
        return bool(2 * sample_weight.count_above(least) >= sample_weight.count_above(0.0))
    seen = np.count_nonzero(sample_weight > least)
    return bool(2 * seen >= np.count_nonzero(sample_weight))


def fit_coarsely(
    settings: Settings,
    samples: Samples,
    random_state: np.random.RandomState,
    keep: Callable[[Going], None] | None = None,
    deadline: float = inf,
) -> Fit:
    """Fit settings.n_clusters clusters, from coarse to fine.   random_state : to draw from.   keep, deadline : as loop.run."""
    n_clusters = settings.n_clusters
    n_starts = len(samples.values) // (ROWS_A_START * count_rows(n_clusters, ROWS_A_CLUSTER))
    chain = Chain(
        settings, samples, n_clusters, random_state,
        n_starts=min(max(n_starts, 2), MOST_STARTS), rows_a_cluster=ROWS_A_CLUSTER,
        keep=keep, deadline=deadline,
    )  # fmt: skip
    return chain.fit(n_clusters)

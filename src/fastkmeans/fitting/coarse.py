"""A single fit, coarse to fine: searched on a few of the samples, finished on all of them.

The starts of k-means++ differ by more than their cost: several are tried on about 16 000 weighted rows (search.py, coreset.py), the
best goes on over larger sets, and few iterations are left for all samples.
"""

from __future__ import annotations

import numpy as np

from ..samples import Samples
from ..settings import Settings
from ..types import Floats
from .search import Chain, Fit, count_rows

ROWS_A_CLUSTER = 128
"""The fewest rows to search on. With 64 and one start the inertia of the mid workload (200k x 64, k=256) was 0.6 % higher."""

LEAST_SHARE = 4
"""Below so many times the rows that a search reads, a search on few rows saves nothing: k-means++ on all samples costs as much."""

LEAST_WORK = 2e7
"""Samples times features times clusters below which the search costs more than it saves."""

MOST_STARTS, ROWS_A_START = 5, 3
"""Starts: one for each three times the rows that the search reads, two to five of them."""

LEAST_WEIGHT = 1e-9
"""Beside the largest: a search does not see lighter samples, and is left alone where most are."""


def is_large(n_samples: int, n_features: int, n_clusters: int, sample_weight: Floats | None = None) -> bool:
    """Is a fit of so many samples better started on a few of them?"""
    if n_samples < LEAST_SHARE * count_rows(n_clusters, ROWS_A_CLUSTER) or (
        float(n_samples) * n_features * n_clusters < LEAST_WORK
    ):
        return False
    if sample_weight is None:
        return True
    seen = np.count_nonzero(sample_weight > LEAST_WEIGHT * sample_weight.max())
    return bool(2 * seen >= np.count_nonzero(sample_weight))


def fit_coarsely(settings: Settings, samples: Samples, random_state: np.random.RandomState) -> Fit:
    """Fit settings.n_clusters clusters.

    random_state : to draw from.
    """
    n_clusters = settings.n_clusters
    n_starts = len(samples.values) // (ROWS_A_START * count_rows(n_clusters, ROWS_A_CLUSTER))
    chain = Chain(
        settings, samples, n_clusters, random_state,
        n_starts=min(max(n_starts, 2), MOST_STARTS), rows_a_cluster=ROWS_A_CLUSTER,
    )  # fmt: skip
    return chain.fit(n_clusters)

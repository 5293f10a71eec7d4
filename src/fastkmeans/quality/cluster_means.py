"""Sums and means of clusters, rounded once, and the distances of samples to them."""

from __future__ import annotations

import numpy as np

from .._core import distances, sparse
from .._core.csr import CsrRows
from .._core.sums import ClusterSums
from ..engines.rounding import losses_of
from ..runtime.threads import effective_n_threads
from ..samples import Samples, describe
from ..sparse import SparseSamples
from ..types import Floats, Indices, Labels, Values


def about_means(values: Values, codes: Labels, n_threads: int | None) -> tuple[Indices, Floats, Floats]:
    """Return size and mean of each cluster, and the squared distance of each sample to its cluster's mean."""
    sizes = np.bincount(codes)
    means = sums_of_clusters(values, codes, len(sizes), n_threads) / sizes[:, None]
    return sizes, means, sq_distances_to(means, values, codes, n_threads)


def sums_of_clusters(values: Values | CsrRows, codes: Labels, n_clusters: int, n_threads: int | None) -> Floats:
    """Return the sum of the samples of each cluster, (n_clusters, n_features) float64, rounded once."""
    n_threads = effective_n_threads(n_threads, float(values.size))
    samples = (
        SparseSamples(values, None, n_threads)
        if isinstance(values, CsrRows)
        else Samples(values, None, describe(values, n_threads))
    )
    description = samples.description
    clusters = ClusterSums(samples.values, None, description.max_abs, 1.0, n_clusters, n_threads)
    clusters.follow(codes)
    sums = clusters.sums
    if losses_of(clusters.grid, None, description.smallest.of(samples, n_threads), len(values)) is not None:
        sums, _ = samples.sums_anew(codes, None, np.ones(n_clusters, dtype=np.uint8), n_threads)
    return (sums[:, 0] + sums[:, 1])[:, :-1]


def sq_distances_to(means: Floats, values: Values | CsrRows, codes: Labels, n_threads: int | None) -> Floats:
    """Return the squared distance of each sample to its cluster's mean."""
    sq_distances = np.empty(len(values))
    n_threads = effective_n_threads(n_threads, float(values.size))
    if isinstance(values, CsrRows):
        sparse.own_sq_distances(values, means, codes, sq_distances, n_threads)
    else:
        distances.own_sq_distances(values, means, codes, sq_distances, n_threads)
    return sq_distances

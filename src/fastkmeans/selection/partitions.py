"""Partitions for every k of a sweep that are at least as good as the fits: a poor fit must not hide where the curve bends."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..fitting.search import Fit
from ..types import AnyArray, Floats, Indices

LOWER = 1e-9
"""Merged clusters replace a fit if their inertia is lower by at least this share, which is more than rounding."""


class Partition(NamedTuple):
    """Clusters: those of a fit, or of a later fit with some of them merged.

    fit : the fit.   groups : (number of clusters of the fit,) the cluster of the partition that each became.
    centers : (n_clusters, n_features) float64.   weights : (n_clusters,).   inertia : about the centers.
    """

    fit: Fit
    groups: Indices
    centers: Floats
    weights: Floats
    inertia: float


def best_partitions(fits: list[Fit]) -> list[Partition]:
    """Return a partition for each fit: its own clusters, or those of the next partition, merged, where their inertia is lower.

    Two clusters whose union costs least are merged (J. Ward, "Hierarchical grouping to optimize an objective function", Journal
    of the American Statistical Association 58, 1963). For metrics without means all partitions are those of the fits.
    """
    found: list[Partition] = []
    for fit in reversed(fits):
        own = _own(fit)
        if found and fit.means is not None:
            merged = found[-1]
            while len(merged.centers) > len(own.centers) and merged.inertia < own.inertia:
                merged = _with_cheapest_merged(merged)
            if merged.inertia < (1.0 - LOWER) * own.inertia:
                own = merged
        found.append(own)
    return found[::-1]


def _own(fit: Fit) -> Partition:
    centers = fit.run.centers.astype(np.float64) if fit.means is None else fit.means
    return Partition(fit, np.arange(len(centers)), centers, np.asarray(fit.weights, dtype=np.float64), fit.run.inertia)


def _with_cheapest_merged(partition: Partition) -> Partition:
    """Return the partition with those two clusters made one that raise the inertia least."""
    centers, weights = partition.centers, partition.weights
    one, other, rise = cheapest_merge(centers, weights)
    together = weights[one] + weights[other]
    centers, weights = np.delete(centers, other, axis=0), np.delete(weights, other)
    if together > 0:
        share = partition.weights[other] / together
        centers[one] += share * (partition.centers[other] - centers[one])
    weights[one] = together
    renumbered = np.arange(len(weights) + 1)
    renumbered[other] = one
    renumbered[other + 1 :] -= 1
    return Partition(partition.fit, renumbered[partition.groups], centers, weights, partition.inertia + rise)


def cheapest_merge(centers: Floats, weights: AnyArray) -> tuple[int, int, float]:
    """Return the two clusters whose union raises the inertia least, the lower number first, and by how much."""
    centered = centers - centers.mean(axis=0)
    squares = (centered**2).sum(axis=1)
    apart = np.maximum(squares[:, None] + squares - 2.0 * (centered @ centered.T), 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        costs = np.nan_to_num(apart / (1.0 / weights[:, None] + 1.0 / weights))
    np.fill_diagonal(costs, np.inf)
    one, other = sorted(divmod(int(costs.argmin()), len(weights)))
    exact = float(((centers[one] - centers[other]) ** 2).sum())
    together = weights[one] + weights[other]
    return one, other, exact * float(weights[one] * weights[other] / together) if together > 0 else 0.0

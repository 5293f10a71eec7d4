"""Merge pairs of clusters and split others, if the splits save more than the merges cost.

Iterations move no center across the gap between two groups of samples. A start with two centers in one group, and one center for
two other groups, stays so. An exchange of clusters corrects it. The exchange lowers the inertia, and the iterations go on (after
T. Kaukoranta, P. Fränti and O. Nevalainen's split-and-merge algorithm for vector quantization, Optical Engineering 37(10), 1998).
"""

from __future__ import annotations

from ..engines.contract import Engine
from ..settings import Settings
from ..types import Floats

AFTER = 8
"""Iterations before the exchange. By then the clusters are roughly known, and the remaining iterations are needed anyway. On
digits-100 and sentences-256 (5 to 16 seeds) the inertia fell by 0.22 and 0.29 % with an exchange after 8 iterations, by 0.19
and 0.22 % after 3 or 4, after 12 by as much as after 8, and by 0.29 and 0.28 % after all. The last takes a third more
iterations; after 8 it takes none more."""

SPLIT_SHARE, LEAST_SPLITS = 4, 8
"""Clusters that are split on trial: the quarter with the largest inertia, at least 8. An eighth loses a fifth of the gain; half
of the clusters gains nothing more."""

SPLIT_ITERATIONS, SPLIT_ROWS = 3, 1024
"""A split finds two means by so many iterations over at most so many rows. One iteration loses a fourth of the gain."""

SURPLUS = 1.001
"""All splits together must save this many times what all merges cost. A single split may save less than its merge costs: the
samples of a merged cluster go to the nearest centers afterwards, and cost less. If each split had to save as much as its merge
costs, a third of the gain would be lost."""

AGAIN_AFTER, LEAST_FALL, LAST_EXCHANGE = 4, 1e-3, 48
"""After an exchange that lowers the inertia by a thousandth or more, another follows four iterations later, up to iteration 48. Default fits
of 20 000 samples in 200 groups, 1M in 100, 40 000 in 400 (k = 300) and 40 000 in groups of uneven weights (k = 300) then ended with 2.0, 0.6, 0.6
and 3 % less inertia, in 1.8, 0.55, 1.0 and 1.4 times the time. With 2e-3 it was 0.5, 0.3, 0.6 and 3 %. First exchanges of samples without
groups (digits, sentences, normal samples) lower the inertia by at most 3e-4, so none follows."""


def exchange_after(settings: Settings, n_clusters: int) -> int | None:
    """Return after how many iterations a fit exchanges clusters first; None if it never does."""
    chooses = settings.searches and settings.metric == "euclidean"
    return AFTER if chooses and n_clusters >= 3 else None


def next_exchange(n_iterations: int, fall: float) -> int | None:
    """Return after how many iterations in all clusters are exchanged next; None if never.

    n_iterations : of the run so far, which an exchange followed.   fall : share of the inertia that the exchange saved.
    """
    later = n_iterations + AGAIN_AFTER
    return later if fall >= LEAST_FALL and later <= LAST_EXCHANGE else None


def exchange_clusters(engine: Engine, moved: Floats) -> tuple[int, float]:
    """Exchange clusters, and return what Engine.exchange does.

    moved : (n_clusters, n_features) float64, the means of the engine's labels; changed in place.
    """
    n_trial = max(len(moved) // SPLIT_SHARE, LEAST_SPLITS)
    return engine.exchange(moved, n_trial, SPLIT_ITERATIONS, SPLIT_ROWS, SURPLUS)

"""Where the inertia curve bends by two rules, and the k that single criteria name."""

from __future__ import annotations

import numpy as np

from ..types import AnyArray, Floats, Indices
from .bends import ZERO_INERTIA

MIN_CHORD = 0.07
"""Shortest distance to the chord that counts as a knee. Without clusters it was at most 0.06, except for long boxes."""

KNEEDLE_SENSITIVITY = 1.0
"""The parameter S of the paper, which finds 1 best if the whole curve is known."""

SCORES = ("silhouette", "simplified_silhouette", "calinski_harabasz", "davies_bouldin", "bic")
LOWER_IS_BETTER = ("davies_bouldin",)


def knees_of(k: Indices, inertia: Floats) -> dict[str, int | None]:
    """Return the k at which the curve bends by kneedle and by its distance to the chord, None where it does not."""
    return {"kneedle": kneedle(k, inertia), "chord": _chord_knee(k, _chord_distances(k, inertia))}


def named_by_scores(columns: dict[str, AnyArray]) -> dict[str, int | None]:
    """Return the best k by each score, None where it has no value. columns : of the table of a sweep."""
    counted = slice(last_counted(columns["k"], columns["inertia"]) + 1)
    scores = {name: -columns[name] if name in LOWER_IS_BETTER else columns[name] for name in SCORES}
    return {name: best_of(columns["k"][counted], score[counted]) for name, score in scores.items()}


def kneedle(k: Indices, inertia: Floats) -> int | None:
    """Return the first knee of the curve, or None if there is none.

    V. Satopaa, J. Albrecht, D. Irwin and B. Raghavan, "Finding a 'kneedle' in a haystack: detecting knees in system
    behavior", ICDCS Workshops 2011, section III, for a falling, convex curve that is known as a whole.
    """
    if len(k) < 3 or not inertia[0] > inertia[-1]:
        return None
    x = (k - k[0]) / (k[-1] - k[0])
    difference = (inertia[0] - inertia) / (inertia[0] - inertia[-1]) - x
    inner = range(1, len(k) - 1)
    peaks = [i for i in inner if difference[i - 1] < difference[i] >= difference[i + 1]]
    fall = KNEEDLE_SENSITIVITY * float(np.diff(x).mean())
    for peak, following in zip(peaks, [*peaks[1:], len(k)], strict=False):
        if (difference[peak:following] < difference[peak] - fall).any():
            return int(k[peak])
    return None


def one_error_rule(k: Indices, gap: Floats, gap_se: Floats) -> int | None:
    """Return the first k whose gap is at least the next gap minus the standard error of the next gap, or None.

    R. Tibshirani, G. Walther and T. Hastie, "Estimating the number of clusters in a data set via the gap statistic",
    Journal of the Royal Statistical Society B 63(2), 2001, section 3.
    """
    enough = np.flatnonzero(gap[:-1] >= gap[1:] - gap_se[1:])
    return int(k[enough[0]]) if len(enough) else None


def last_counted(k: Indices, inertia: Floats) -> int:
    """Return the index of the last k, or of the k before it if only the last k puts every sample on a center."""
    zero = ZERO_INERTIA * inertia[0]
    return len(k) - 2 if len(k) > 2 and inertia[-1] <= zero < inertia[-2] else len(k) - 1


def _chord_distances(k: Indices, inertia: Floats) -> Floats:
    """Return how far the log-log curve lies below its chord at each k; NaN if there is no chord.

    The chord runs from the first k to the last. Without clusters in the samples the inertia falls like a power of k, which is
    a straight line on these axes.
    """
    last = last_counted(k, inertia)
    distances = np.full(len(k), np.nan)
    if last < 2 or inertia[0] <= 0 or inertia[last] == inertia[0]:
        return distances
    x = np.log(k[: last + 1])
    y = np.log(np.maximum(inertia[: last + 1], ZERO_INERTIA * inertia[0]))
    distances[: last + 1] = 1 - (x - x[0]) / (x[-1] - x[0]) - (y - y[-1]) / (y[0] - y[-1])
    return distances


def _chord_knee(k: Indices, distances: Floats) -> int | None:
    if np.isnan(distances).all():
        return None
    knee = int(np.nanargmax(distances))
    return int(k[knee]) if distances[knee] >= MIN_CHORD else None


def best_of(k: Indices, score: Floats) -> int | None:
    """Return the k of the highest finite score, or None if no score is finite."""
    known = np.flatnonzero(np.isfinite(score))
    return int(k[known[score[known].argmax()]]) if len(known) else None

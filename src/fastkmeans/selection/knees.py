"""Chooses one number of clusters from the columns of a sweep, or says why there is none."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import numpy as np

from ..types import AnyArray, Floats, Indices

MIN_SEPARATION = 2.0
"""Least separation of clusters that count as apart. Over 300 sets without clusters (normal, uniform, in a box or a ball,
Laplace, exponential, Student's t, lognormal; 2 to 20 features, 500 to 20 000 samples; k = 2..9) it stayed below 1.88; over
300 sets of 2 to 8 clusters at least 4.5 deviations apart (300 to 20 000 samples; round, oblong, of unequal size and
weight) it was above 2.24 at the true k."""

MIN_CHORD = 0.07
"""Shortest distance to the chord that counts as a knee. Without clusters it was at most 0.06, except for long boxes."""

ZERO_INERTIA = 1e-12
"""An inertia of at most this share of the first one is rounding error: every sample lies on a center."""

KNEEDLE_SENSITIVITY = 1.0
"""The parameter S of the paper, which finds 1 best if the whole curve is known."""

SCORES = ("silhouette", "simplified_silhouette", "calinski_harabasz", "davies_bouldin", "bic")
LOWER_IS_BETTER = ("davies_bouldin",)


class Choice(NamedTuple):
    """The choice and its reasons; see ElbowResult."""

    best_k: int | None
    knees: dict[str, int | None]
    agreement: dict[str, int | None]
    reason: str


def choose(columns: dict[str, AnyArray]) -> Choice:
    """Choose the number of clusters.

    columns : of the table of a sweep, NaN if undefined.

    A number is a candidate if all its clusters are apart: `separation` is at least MIN_SEPARATION. One vote each goes to the
    largest candidate, and to the best candidates by chord, silhouette and Calinski-Harabasz. The most votes win; among equals
    the largest number. The last number of the sweep is not chosen, because a larger one might be right.
    """
    k, inertia = columns["k"], columns["inertia"]
    bends = _chord_distances(k, inertia)
    knees = {"kneedle": kneedle(k, inertia), "chord": _chord_knee(k, bends)}
    # On 160 sets of clusters only 3 to 4.5 deviations apart, these votes were right on 84 %, the largest candidate alone on
    # 83 %. On the 300 sets with clusters of MIN_SEPARATION, the votes were right on all, the largest candidate alone on 99 %.
    scores = {name: -columns[name] if name in LOWER_IS_BETTER else columns[name] for name in SCORES}
    last = _last_counted(k, inertia)
    apart = [i for i in range(last + 1) if columns["separation"][i] >= MIN_SEPARATION]
    agreement: dict[str, int | None] = {"separation": int(k[apart[-1]]) if apart else None, **knees}
    agreement |= {name: _best(k[: last + 1], score[: last + 1]) for name, score in scores.items()}
    if "gap" in columns:
        agreement["gap"] = one_error_rule(k, columns["gap"], columns["gap_se"])
    if not apart:
        return Choice(None, knees, agreement, _why_none(k, inertia, columns["separation"]))
    votes = Counter([apart[-1]])
    for score in (bends, scores["silhouette"], scores["calinski_harabasz"]):
        known = [i for i in apart if np.isfinite(score[i])]
        votes.update([max(known, key=lambda i: (score[i], i))] if known else [])
    chosen = max(votes, key=lambda i: (votes[i], i))
    best_k = int(k[chosen])
    if chosen == len(k) - 1:
        reason = f"All clusters are still apart at k = {best_k}, the last of the sweep: sweep over more numbers."
        return Choice(None, knees, agreement, reason)
    votes_for = count_votes(best_k, agreement)
    weak = " The evidence is weak: look at the pictures of this k and of those beside it." if votes_for.are_weak else ""
    reason = (
        f"All clusters are apart at k = {best_k}, which {votes_for.named} of {votes_for.asked} criteria name.{weak}"
    )
    return Choice(best_k, knees, agreement, reason)


class Votes(NamedTuple):
    """How many criteria name the chosen k, and how many were asked."""

    named: int
    asked: int

    @property
    def are_weak(self) -> bool:
        """Do fewer than half of the criteria name it?"""
        return 2 * self.named < self.asked


def count_votes(best_k: int, agreement: dict[str, int | None]) -> Votes:
    """Count the criteria that name the chosen k.

    agreement : see ElbowResult. Scores from sums of squares have no value for other metrics, and are not asked then.
    """
    named = sum(number == best_k for number in agreement.values())
    return Votes(named, len(agreement) - sum(agreement[name] is None for name in SCORES))


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


def _last_counted(k: Indices, inertia: Floats) -> int:
    """Return the index of the last k, or of the k before it if only the last k puts every sample on a center."""
    zero = ZERO_INERTIA * inertia[0]
    return len(k) - 2 if len(k) > 2 and inertia[-1] <= zero < inertia[-2] else len(k) - 1


def _chord_distances(k: Indices, inertia: Floats) -> Floats:
    """Return how far the log-log curve lies below its chord at each k; NaN if there is no chord.

    The chord runs from the first k to the last. Without clusters in the samples the inertia falls like a power of k, which is
    a straight line on these axes.
    """
    last = _last_counted(k, inertia)
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


def _best(k: Indices, score: Floats) -> int | None:
    """Return the k of the highest finite score, or None if no score is finite."""
    known = np.flatnonzero(np.isfinite(score))
    return int(k[known[score[known].argmax()]]) if len(known) else None


def _why_none(k: Indices, inertia: Floats, separation: Floats) -> str:
    if not inertia[0] > 0:
        return "All samples are equal, so there is one cluster at most."
    known = np.flatnonzero(np.isfinite(separation))
    if not len(known):
        return "No k of the sweep has at least two clusters to compare: sweep over more numbers."
    best = known[separation[known].argmax()]
    return (
        f"At no k are all clusters apart: the largest separation is {separation[best]:.2f}, at k = {k[best]}. It must be at "
        f"least {MIN_SEPARATION:g}; samples without clusters reach 1.9."
    )

"""From the table of a sweep to one number of clusters, or to the reason why there is none."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ..types import AnyArray, Floats, Indices, Mask
from .bends import span
from .evidence import Evidence
from .knees import best_of, knees_of, last_counted, named_by_scores, one_error_rule
from .words import Found, Reasons, why_none, why_this

APART = 2.0
"""Least separation of two clusters that count as apart. Over 300 sets without clusters (normal, uniform, in a box or a ball,
Laplace, exponential, Student's t, lognormal; 2 to 20 features, 500 to 20 000 samples; k = 2..9) it stayed below 1.88."""

TYPICALLY_APART = 1.5
"""Least median over the clusters of their separation from the nearest one. Of 367 sets of clusters one had less (1.46). Arms of
long-tailed clouds, where the curve bends too, had 0.8 to 1.1."""

SURE = 0.8
"""Share of the resamples in which the curve must bend enough."""

WEAK_BEND = 1.1
"""Least bend, in half of the resamples, at a k whose clusters are all apart. On the 150 sets without clusters, rings and arcs had
clusters apart at 17 k, with a bend of at most 0.93; others, on hollow spheres, 1.17 to 1.24."""

COMPACT = 0.5
"""Least silhouette of clusters that are all apart, if no bend is sure: "a reasonable structure" (L. Kaufman and P. Rousseeuw,
"Finding Groups in Data", 1990, section 2.3). The parts of a hollow sphere have 0.3."""

OUTVOTED = 0.5
"""Other scores may outvote the largest bend by one that is at least this share of it. Of 367 sets of clusters they were right on 17 where
the bend was wrong, mostly groups of clusters, at shares of 0.55 and more. They were wrong on nine, at shares of 0.46 at most."""

OVER_BOX = 1.1
"""The bend must be so many times that of uniform samples in a box: two draws of uniform samples differ by up to 5 %."""


def enough_bend(k: AnyArray | int) -> AnyArray | float:
    """Return the bend that clusters have in SURE of the resamples, and a cloud without clusters has not.

    Few parts fit some clouds better than others by chance of their shape; many parts fit all clouds alike. On 150 sets without
    clusters (15 kinds, 1 to 50 features, 100 to 30 000 samples) one of 100 was above it, apart from boxes and arcs. On 367 sets
    with clusters three were below it. Shares from 0.75 to 0.95 do alike, each with a limit of its own.
    """
    return 1.15 + 1.0 / np.sqrt(k)


class Choice(NamedTuple):
    """The choice and its reasons; see ElbowResult."""

    best_k: int | None
    runner_up: int | None
    confidence: float | None
    knees: dict[str, int | None]
    agreement: dict[str, int | None]
    reason: str


def choose(columns: dict[str, AnyArray], evidence: Evidence, bend_of_box: Callable[[int], float]) -> Choice:
    """Choose the number of clusters.

    columns : of the table of a sweep, NaN if undefined.   bend_of_box : (index of k) -> bend at that k of uniform samples.

    Of the k whose clusters are apart on the whole, the one with the largest bend tells whether there are clusters: the bend must be
    sure and larger than that of uniform samples. That k is taken, unless other scores name another one at which the curve bends, too. A k whose clusters are all
    apart is taken if no bend is sure, or if it is larger and the curve bends there, too: then the clusters come in groups. The last k
    of the sweep is never taken, because a larger one might be right.
    """
    k, inertia = columns["k"], columns["inertia"]
    counted = last_counted(k, inertia) + 1
    all_apart = columns["separation"] >= APART
    all_apart[counted:] = False
    all_apart &= evidence.n_sizable > 1
    agreement = _named(columns, counted, all_apart)
    judged = _judged(columns, evidence, counted)
    favourite = None
    if judged.sharpest is not None and _is_real(judged.sharpest, columns, judged, bend_of_box):
        favourite = judged.sharpest if judged.voted is None else judged.voted
    chosen = _chosen(favourite, all_apart, columns, judged)
    knees = {"kneedle": agreement["kneedle"], "chord": agreement["chord"]}
    bend = np.where(judged.known, columns["bend"], 0.0)
    found = Found(k, inertia, knees["kneedle"], bend, bool(all_apart[-1]) and chosen != len(k) - 1)
    if chosen is None or found.is_unfinished:
        doubt = _doubt(int(bend.argmax()), columns, judged) if judged.can_judge else "few"
        return Choice(None, None, None, knees, agreement, why_none(found, doubt))
    why = "bend" if chosen == judged.sharpest == favourite else "scores" if chosen == favourite else "apart"
    runner_up = _runner_up(chosen, favourite, judged)
    confidence = _confidence(chosen, evidence.resampled, judged.candidates if why == "bend" else None)
    reason = why_this(found, Reasons(chosen, runner_up, confidence, bool(all_apart[chosen]), why))
    return Choice(
        int(k[chosen]), None if runner_up is None else int(k[runner_up]), confidence, knees, agreement, reason
    )


def _named(columns: dict[str, AnyArray], counted: int, all_apart: Mask) -> dict[str, int | None]:
    """Return the k that each criterion names."""
    k, apart = columns["k"], np.flatnonzero(all_apart)
    named = {"bend": best_of(k[:counted], columns["bend"][:counted])}
    named |= {"separation": int(k[apart[-1]]) if len(apart) else None, **knees_of(k, columns["inertia"])}
    named |= named_by_scores(columns)
    if "gap" in columns:
        named["gap"] = one_error_rule(k, columns["gap"], columns["gap_se"])
    return named


class _Judged(NamedTuple):
    """What the bends say.

    can_judge : whether any k has one before and one after it.   known : at which k there is a bend between two clusters that
    are more than a few outliers, at least.   usual, sure : (n_fits,) reached by half and by SURE of the resamples; 0 where unknown.
    candidates : at which k the clusters are apart on the whole.   sharpest : index of the candidate with the largest bend.
    voted : index of the candidate that the other scores name instead, if they may.
    """

    can_judge: bool
    known: Mask
    usual: Floats
    sure: Floats
    candidates: Mask
    sharpest: int | None
    voted: int | None


def _judged(columns: dict[str, AnyArray], evidence: Evidence, counted: int) -> _Judged:
    known = np.isfinite(columns["bend"])
    known[counted - 1 :] = False
    can_judge = bool(known.any())
    known &= evidence.n_sizable > 1  # one cloud and its outliers are no clusters
    values = np.where(np.isfinite(evidence.resampled) & known, evidence.resampled, 0.0)
    usual, sure = np.quantile(values, [0.5, 1.0 - SURE], axis=0)
    candidates = known & (columns["typical_separation"] >= TYPICALLY_APART)
    if not candidates.any():
        return _Judged(can_judge, known, usual, sure, candidates, None, None)
    sharpest = int(np.where(candidates, usual, 0.0).argmax())
    scores = np.where(known & np.isfinite(evidence.scores), evidence.scores, -np.inf)
    voted = None
    if np.isfinite(scores.max(axis=1)).all():
        by_bic, by_variance_ratio = (int(score.argmax()) for score in scores)
        voted = _voted(by_bic, by_variance_ratio, sharpest, columns["k"], np.where(candidates, usual, 0.0))
    return _Judged(can_judge, known, usual, sure, candidates, sharpest, voted)


def _voted(by_bic: int, by_variance_ratio: int, sharpest: int, k: Indices, usual: Floats) -> int | None:
    """Return the index of the k that BIC and Calinski-Harabasz name instead of the one with the largest bend; None if they may not.

    They must agree on a k so far away that its slopes share no fit with those of the other: one poor fit misleads all scores, but
    few slopes. Or BIC names the k beside it, and slopes are short, so that each is read from two fits.
    """
    reach, apart = int(span(k[sharpest])), abs(int(k[by_bic]) - int(k[sharpest]))
    agrees = by_bic == by_variance_ratio and apart >= reach and usual[by_bic] >= enough_bend(k[by_bic])
    decides = apart == reach == 1
    return by_bic if (agrees or decides) and usual[by_bic] >= OUTVOTED * usual[sharpest] > 0 else None


def _is_real(i: int, columns: dict[str, AnyArray], judged: _Judged, bend_of_box: Callable[[int], float]) -> bool:
    """Is the bend at the i-th k sure, and do uniform samples bend less?"""
    bend = min(float(judged.sure[i]), float(columns["bend"][i]))
    return _is_sure(i, columns, judged) and bend >= OVER_BOX * bend_of_box(i)


def _doubt(i: int, columns: dict[str, AnyArray], judged: _Judged) -> str:
    """Return why the bend at the i-th k does not count, as in words.DOUBTS."""
    if columns["bend"][i] < enough_bend(columns["k"][i]):
        return "even"
    return "overlap" if not judged.candidates[i] else "unsure" if not _is_sure(i, columns, judged) else "box"


def _is_sure(i: int, columns: dict[str, AnyArray], judged: _Judged) -> bool:
    return bool(min(judged.sure[i], columns["bend"][i]) >= enough_bend(columns["k"][i]))


def _chosen(favourite: int | None, all_apart: Mask, columns: dict[str, AnyArray], judged: _Judged) -> int | None:
    """Return the index of the chosen k.   favourite : of the bend or of the scores, None if its clusters are not real."""
    chosen = favourite
    for i in np.flatnonzero(all_apart & judged.known).tolist():
        bends_enough = judged.usual[i] >= enough_bend(columns["k"][i])
        is_compact = judged.usual[i] >= WEAK_BEND and columns["silhouette"][i] >= COMPACT
        if is_compact if chosen is None else i > chosen and bends_enough:
            chosen = i
    return chosen


def _runner_up(chosen: int, favourite: int | None, judged: _Judged) -> int | None:
    """Return the index of the second best k: an outvoted one, or the surest other one at which the curve bends at all."""
    if favourite is not None and chosen != judged.sharpest:
        return favourite if chosen != favourite else judged.sharpest
    others = judged.sure.copy()
    others[chosen] = 0.0
    return int(others.argmax()) if others.max(initial=0.0) >= 1.0 else None


def _confidence(chosen: int, resampled: Floats, candidates: Mask | None) -> float:
    """Return the share of the resamples that choose the same k.

    candidates : among which k it was chosen for the largest bend. None if it was chosen for another reason, beside a bend.
    """
    values = np.nan_to_num(resampled)
    if candidates is None:
        return float((values[:, chosen] >= WEAK_BEND).mean())
    return float((np.where(candidates, values, 0.0).argmax(axis=1) == chosen).mean())

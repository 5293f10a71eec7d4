"""From the table of a sweep to one number of clusters, or to the reason why there is none."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ..types import AnyArray, Floats, Indices, Mask
from .knees import best_of, knees_of, last_counted, named_by_scores, one_error_rule
from .words import Found, why_none, why_this

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

STEEPER = 1.2
"""How many times as steep as the whole the last third of a curve is that has not come to rest. Without clusters it is about 1. With
15 clusters of Fraenti and Sieranoja (2018) it is 1.3 to 1.5 at k = 10."""

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


def choose(columns: dict[str, AnyArray], resampled: Floats, bend_of_box: Callable[[int], float]) -> Choice:
    """Choose the number of clusters.

    columns : of the table of a sweep, NaN if undefined.   resampled : (n_resamples, n_fits) the bend in each resample.
    bend_of_box : (index of k) -> bend at that k of uniform samples.

    The k with the largest bend is taken if it is sure, if it is larger than that of uniform samples, and if its clusters are
    apart on the whole. A k whose clusters are all apart is taken if no bend is sure, or if it is larger and the curve bends
    there, too: then the clusters come in groups. The last k of the sweep is never taken, because a larger one might be right.
    """
    k, inertia = columns["k"], columns["inertia"]
    counted = last_counted(k, inertia) + 1
    all_apart = columns["separation"] >= APART
    all_apart[counted:] = False
    knees = knees_of(k, inertia)
    apart = np.flatnonzero(all_apart)
    agreement = {"bend": best_of(k[:counted], columns["bend"][:counted])}
    agreement |= {"separation": int(k[apart[-1]]) if len(apart) else None, **knees, **named_by_scores(columns)}
    if "gap" in columns:
        agreement["gap"] = one_error_rule(k, columns["gap"], columns["gap_se"])
    judged = _judged(columns["bend"], resampled, counted)
    sharpest = int(judged.usual.argmax()) if judged.known.any() else None
    is_real = sharpest is not None and _is_real(sharpest, columns, judged, bend_of_box)
    chosen = _chosen(sharpest if is_real else None, all_apart, columns, judged)
    is_unfinished = bool(all_apart[-1]) and chosen != len(k) - 1
    if chosen is None or is_unfinished:
        found = Found(k, inertia, knees, judged.usual, sharpest, is_unfinished=is_unfinished, can_judge=judged.known.any())
        return Choice(None, None, None, knees, agreement, why_none(found))
    by_bend = is_real and chosen == sharpest
    runner_up = _runner_up(chosen, None if by_bend or not is_real else sharpest, judged)
    confidence = _confidence(chosen, k, resampled, by_bend=by_bend)
    found = Found(
        k, inertia, knees, judged.usual, sharpest, chosen=chosen, runner_up=runner_up, confidence=confidence,
        all_apart=bool(all_apart[chosen]), by_bend=by_bend,
    )  # fmt: skip
    best, second = int(k[chosen]), None if runner_up is None else int(k[runner_up])
    return Choice(best, second, confidence, knees, agreement, why_this(found))


def is_restless(columns: dict[str, AnyArray]) -> bool:
    """Does the table end before the inertia curve comes to rest?

    It does if all clusters are still apart at the last k, or if the curve is steeper in its last third than as a whole, both axes
    logarithmic.
    """
    k, inertia = columns["k"], columns["inertia"]
    if columns["separation"][-1] >= APART:
        return True
    later = int(np.searchsorted(k, k[-1] * 2 / 3))
    if len(k) < 3 or not inertia[-1] > 0 or not k[0] < k[later] < k[-1]:
        return False
    steepness = -np.log(inertia[-1] / inertia[[0, later]]) / np.log(k[-1] / k[[0, later]])
    return bool(steepness[1] > STEEPER * steepness[0])


class _Judged(NamedTuple):
    """known : at which k there is a bend.   usual, sure : (n_fits,) reached by half and by SURE of the resamples; 0 where unknown."""

    known: Mask
    usual: Floats
    sure: Floats


def _judged(bend: Floats, resampled: Floats, counted: int) -> _Judged:
    known = np.isfinite(bend)
    known[counted - 1 :] = False
    values = np.where(np.isfinite(resampled) & known, resampled, 0.0)
    usual, sure = np.quantile(values, [0.5, 1.0 - SURE], axis=0)
    return _Judged(known, usual, sure)


def _is_real(i: int, columns: dict[str, AnyArray], judged: _Judged, bend_of_box: Callable[[int], float]) -> bool:
    """Is the bend at the i-th k sure, are its clusters apart on the whole, and do uniform samples bend less?"""
    if not judged.sure[i] >= enough_bend(columns["k"][i]) or not columns["typical_separation"][i] >= TYPICALLY_APART:
        return False
    return bool(judged.sure[i] >= OVER_BOX * bend_of_box(i))


def _chosen(sharpest: int | None, all_apart: Mask, columns: dict[str, AnyArray], judged: _Judged) -> int | None:
    """Return the index of the chosen k.   sharpest : the index of the largest bend, None if its clusters are not real."""
    chosen = sharpest
    for i in np.flatnonzero(all_apart & judged.known).tolist():
        bends_enough = judged.usual[i] >= enough_bend(columns["k"][i])
        is_compact = judged.usual[i] >= WEAK_BEND and columns["silhouette"][i] >= COMPACT
        if is_compact if chosen is None else i > chosen and bends_enough:
            chosen = i
    return chosen


def _runner_up(chosen: int, outvoted: int | None, judged: _Judged) -> int | None:
    """Return the index of the second best k: the outvoted one, or the surest other one at which the curve bends at all."""
    if outvoted is not None:
        return outvoted
    others = judged.sure.copy()
    others[chosen] = 0.0
    return int(others.argmax()) if others.max(initial=0.0) >= 1.0 else None


def _confidence(chosen: int, k: Indices, resampled: Floats, *, by_bend: bool) -> float:
    """Return the share of the resamples that choose the same k: by the largest bend, or by a bend where all clusters are apart."""
    values = np.nan_to_num(resampled)
    if by_bend:
        return float((values.argmax(axis=1) == chosen).mean())
    return float((values[:, chosen] >= WEAK_BEND).mean())

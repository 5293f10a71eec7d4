"""The choice of a sweep in words."""

from __future__ import annotations

from typing import NamedTuple

from ..types import Floats, Indices

FIRM = 0.9
"""Share of the resamples that makes a choice firm. Below it the second best k is named."""


class Found(NamedTuple):
    """What a sweep found.

    k, inertia : of the sweep.   kneedle : see ElbowResult.knees.   bend : (n_fits,), 0 where unknown.
    is_unfinished : whether all clusters are still apart at the last k.
    """

    k: Indices
    inertia: Floats
    kneedle: int | None
    bend: Floats
    is_unfinished: bool


class Reasons(NamedTuple):
    """Why a k was chosen.

    chosen, runner_up : indices of k.   all_apart : all clusters of the chosen k.
    why : "bend" if it has the largest bend, "scores" if other scores name it, "apart" if all clusters are.
    """

    chosen: int
    runner_up: int | None
    confidence: float
    all_apart: bool
    why: str


def why_this(found: Found, reasons: Reasons) -> str:
    """Return why this k was chosen, and which is the second best if the choice is not firm."""
    k = int(found.k[reasons.chosen])
    clusters = f"There are {k} clusters"
    apart = ", and all of them are apart" if reasons.all_apart else ", though some of them overlap"
    falls = f"the inertia falls {_times(float(found.bend[reasons.chosen]))} as steeply as beyond it"
    if reasons.why == "bend":
        first = f"{clusters}{apart}: up to k = {k} {falls}."
    elif reasons.why == "scores":
        first = f"{clusters}{apart}: BIC, a score that makes each further cluster pay, is best there, and up to k = {k} {falls}."
    else:
        first = f"{clusters}, with few samples between them: at k = {k} all clusters are apart."
    shares = f" {round(100 * reasons.confidence)} of 100 random resamples of the rows agree."
    return f"{first}{shares}{_second_best(found, reasons)}{_elbow(found, k)}"


def _second_best(found: Found, reasons: Reasons) -> str:
    if reasons.runner_up is None or (reasons.why == "bend" and reasons.confidence >= FIRM):
        return ""
    k = int(found.k[reasons.runner_up])
    if reasons.why == "bend":
        return f" Next best is k = {k}."
    if reasons.why == "scores":
        return f" Next best is k = {k}: the curve bends more sharply there."
    if reasons.runner_up > reasons.chosen:
        return f" Next best is k = {k}: the curve bends there, too, but some of these clusters overlap."
    return f" Next best is k = {k}: groups of these clusters, which are farther apart."


DOUBTS = {
    "few": "The sweep has too few numbers of clusters to compare: sweep over more numbers, from 1 on.",
    "even": "the inertia falls at most {times} as steeply before a k as after it, which it also does without clusters.",
    "overlap": "the inertia falls {times} as steeply before k = {k} as after it, but the parts there overlap.",
    "unsure": "the inertia falls {times} as steeply before k = {k} as after it, but a few samples decide that.",
    "box": "the inertia falls {times} as steeply before k = {k} as after it, but so it does for evenly spread samples.",
}
"""Why the largest bend does not count."""


def why_none(found: Found, doubt: str) -> str:
    """Return why no k was chosen, and where the curve bends all the same.   doubt : of DOUBTS."""
    if not found.inertia[0] > 0:
        return "All samples are equal, so there is one cluster at most."
    if found.is_unfinished:
        return f"All clusters are still apart at k = {found.k[-1]}, the last of the sweep: sweep over more numbers."
    if doubt == "few":
        return DOUBTS[doubt]
    sharpest = int(found.bend.argmax())
    why = DOUBTS[doubt].format(times=_times(float(found.bend[sharpest])), k=found.k[sharpest])
    return f"The samples look like one cloud, not like clusters: {why}{_elbow(found, None)}"


def _times(bend: float) -> str:
    return f"{bend:.1f} times" if bend < 99.5 else "over 99 times"


def _elbow(found: Found, chosen: int | None) -> str:
    """Return what the elbow method says, if it is something else than the chosen k."""
    knee = found.kneedle
    if knee is None or knee == chosen:
        return ""
    if chosen is None:
        return f" The curve bends at k = {knee} (kneedle): from there on a further part of the cloud saves less."
    return f" The elbow method (kneedle) says k = {knee}."

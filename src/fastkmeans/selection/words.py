"""The choice of a sweep in words."""

from __future__ import annotations

from typing import NamedTuple

from ..types import Floats, Indices

FIRM = 0.9
"""Share of the resamples that makes a choice firm. Below it the second best k is named."""


class Found(NamedTuple):
    """What is put into words.

    k, inertia : of the sweep.   knees : see ElbowResult.   usual : (n_fits,) bend in half of the resamples.
    sharpest, chosen, runner_up : indices of k.   is_unfinished : whether all clusters are still apart at the last k.
    can_judge : whether any k has one before and one after it.   all_apart : all clusters of the chosen k.
    by_bend : whether the chosen k has the largest bend.
    """

    k: Indices
    inertia: Floats
    knees: dict[str, int | None]
    usual: Floats
    sharpest: int | None
    chosen: int | None = None
    runner_up: int | None = None
    confidence: float | None = None
    is_unfinished: bool = False
    can_judge: bool = True
    all_apart: bool = False
    by_bend: bool = False


def why_this(found: Found) -> str:
    """Return why this k was chosen, and which is the second best if the choice is not firm."""
    assert found.chosen is not None and found.confidence is not None
    k, bend = int(found.k[found.chosen]), found.usual[found.chosen]
    clusters = f"{k} clusters" if k > 1 else "1 cluster"
    if found.by_bend:
        apart = ", and all of them are apart" if found.all_apart else ", though some of them overlap"
        first = f"There are {clusters}{apart}: up to k = {k} the inertia falls {_times(bend)} as steeply as beyond it."
    else:
        first = f"There are {clusters}, with few samples between them: at k = {k} all clusters are apart."
    shares = f" {round(100 * found.confidence)} of 100 random resamples of the rows agree."
    return f"{first}{shares}{_second_best(found)}{_elbow(found)}"


def _second_best(found: Found) -> str:
    if found.runner_up is None or (found.by_bend and found.confidence is not None and found.confidence >= FIRM):
        return ""
    k = int(found.k[found.runner_up])
    if found.by_bend:
        return f" Next best is k = {k}."
    if found.chosen is not None and found.runner_up > found.chosen:
        return f" Next best is k = {k}: the curve bends there, too, but some of these clusters overlap."
    return f" Next best is k = {k}: groups of these clusters, which are farther apart."


def why_none(found: Found) -> str:
    """Return why no k was chosen, and where the curve bends all the same."""
    last = int(found.k[-1])
    if not found.inertia[0] > 0:
        return "All samples are equal, so there is one cluster at most."
    if found.is_unfinished:
        return f"All clusters are still apart at k = {last}, the last of the sweep: sweep over more numbers."
    if not found.can_judge or found.sharpest is None:
        return "The sweep has too few numbers of clusters to compare: sweep over more numbers, from 1 on."
    bend = found.usual[found.sharpest]
    return (
        f"The samples look like one cloud, not like clusters: the inertia falls at most {_times(bend)} as steeply before a k as "
        f"after it, which it also does without clusters.{_elbow(found)}"
    )


def _times(bend: float) -> str:
    return f"{bend:.1f} times" if bend < 99.5 else "over 99 times"


def _elbow(found: Found) -> str:
    """Return what the elbow method says, if it is something else than the choice."""
    knee = found.knees["kneedle"]
    if knee is None or (found.chosen is not None and knee == found.k[found.chosen]):
        return ""
    if found.chosen is None:
        return f" The curve bends at k = {knee} (kneedle): from there on a further part of the cloud saves less."
    return f" The elbow method (kneedle) says k = {knee}."

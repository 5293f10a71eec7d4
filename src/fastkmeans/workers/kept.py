"""What a worker keeps from one step to the next: the state of an algorithm for each part. It is only a cache.

A state belongs to a part, to a run, and to an iteration of the run. A step takes the state out and puts it back with the next
iteration. So a task that runs twice, or late, finds no state, and makes one from the centers of the iteration before. Sums
are free of rounding, so that labels and sums have the same bits either way.
"""

from __future__ import annotations

from threading import Lock
from typing import Any, NamedTuple

from ..types import Values

MOST_SAMPLES = 4
"""A worker keeps states for at most so many sets of samples at a time, the last ones. A client that died closes nothing."""


class Kept(NamedTuple):
    """A state, and what it belongs to.   values : of the part; the state reads them where they lie now."""

    run: str
    iteration: int
    state: Any
    values: Values


_kept: dict[str, dict[int, Kept]] = {}  # name of the samples -> number of the part -> state
_lock = Lock()


def take_out(samples: str, part: int, run: str, iteration: int, values: Values) -> Any:
    """Take the state out; None if there is none that belongs to just these. States of other iterations are let go."""
    with _lock:
        found = _kept.get(samples, {}).pop(part, None)
    if found is None or found.run != run or found.iteration != iteration or found.values is not values:
        return None
    return found.state


def put_back(samples: str, part: int, kept: Kept) -> None:
    """Keep a state for the next task."""
    with _lock:
        own = _kept.pop(samples, {})
        own[part] = kept
        _kept[samples] = own  # the last one
        while len(_kept) > MOST_SAMPLES:
            del _kept[next(iter(_kept))]


def forget(samples: str) -> None:
    """Let all states of some samples go."""
    with _lock:
        _kept.pop(samples, None)

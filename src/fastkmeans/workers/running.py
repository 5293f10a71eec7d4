"""How tasks run on a worker: with how many threads, several as one, and how their results are merged."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from .._core.totals import Totals
from ..runtime.threads import effective_n_threads
from ..types import Floats

_here = threading.local()


@contextmanager
def using_threads(n_threads: int | None) -> Iterator[None]:
    """Let the tasks of this thread use so many threads; None as in KMeans."""
    before, _here.n_threads = getattr(_here, "n_threads", None), n_threads
    try:
        yield
    finally:
        _here.n_threads = before


def own_threads(work: float = float("inf")) -> int:
    """Return the number of threads for a call of a task; see runtime/threads.py.   work : multiply-adds of the call."""
    return effective_n_threads(getattr(_here, "n_threads", None), work)


def run_group(
    task: Callable[..., Any], merge: Callable[[list[Any]], Any], shared: tuple[Any, ...],
    group: Sequence[tuple[Sequence[Any], tuple[Any, ...]]],
) -> Any:  # fmt: skip
    """Run a task for each member of a group, and merge the results.   group : (sources, arguments) of each."""
    everywhere = aligned(shared)
    return merge([task(*held, *aligned(own), *everywhere) for held, own in group])


def aligned(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return arguments whose arrays begin at an address that their type asks for: in a message they may lie anywhere."""
    return tuple(
        value.copy() if isinstance(value, np.ndarray) and not value.flags.aligned else value for value in values
    )


def add(found: list[tuple[Any, ...]]) -> tuple[Any, ...]:
    """Add results up, place by place: numbers and arrays whose sums are exact."""
    return tuple(sum(values[1:], values[0]) for values in zip(*found))


def maxima(found: list[tuple[Any, ...]]) -> tuple[Any, ...]:
    """Return the largest, place by place."""
    return tuple(np.maximum.reduce(values) for values in zip(*found))


def listed(found: list[list[Any]]) -> list[Any]:
    """Return all entries of lists in one."""
    return [entry for entries in found for entry in entries]


def merge_totals(found: list[tuple[Totals, Floats]]) -> tuple[Totals, Floats]:
    """Merge totals, and the largest of what stands beside them."""
    merged = Totals(found[0][0].n_totals)
    for totals, _ in found:
        merged.merge(totals)
    return merged, np.maximum.reduce([beside for _, beside in found])

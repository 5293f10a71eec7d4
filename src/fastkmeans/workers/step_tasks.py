"""Tasks that run steps of algorithms over parts, whose states are only a cache (kept.py)."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any, NamedTuple

from ..algorithms.copies import copies_of
from ..algorithms.table import ALGORITHMS
from ..runtime.blas import one_blas_thread
from ..runtime.threads import assignment_work
from ..types import Floats
from .kept import Kept, put_back, take_out
from .part_tasks import Part, weights_of
from .running import add, own_threads


class Setup(NamedTuple):
    """What a state needs besides a part.

    samples, run : names of the samples and of the run.   max_abs, max_weight : of all samples.   n_samples : of all parts.
    divisors : of the weights; None if samples have none.
    """

    samples: str
    run: str
    algorithm: str
    max_abs: Floats
    max_weight: float
    divisors: tuple[float, ...] | None
    n_clusters: int
    n_samples: int


class Stepped(NamedTuple):
    """What a step found.   sums : (n_clusters, 2, n_features + 1)."""

    sums: Floats
    n_changed: int
    stepped_by: str


def step(part: Part, number: int, setup: Setup, iteration: int, previous: Floats | None, centers: Floats) -> Stepped:
    """Run a step of an algorithm.

    number : of the part.   iteration : 0, 1, ... of the run.   previous : centers of the step before; None for the first.
    """
    values = part.values
    state = take_out(setup.samples, number, setup.run, iteration - 1, values)
    if state is None:
        state = _new_state(part, setup)
        if previous is not None:
            _step(state, setup, previous)
    n_changed = _step(state, setup, centers)
    result = Stepped(state.clusters.sums.copy(), n_changed, state.stepped_by)
    put_back(setup.samples, number, Kept(setup.run, iteration, state, values))
    return result


def _step(state: Any, setup: Setup, centers: Floats) -> int:
    """Run a step of a state."""
    with one_blas_thread() if ALGORITHMS[setup.algorithm].uses_blas else nullcontext():
        n_changed: int = state.step(centers)
    return n_changed


def _new_state(part: Part, setup: Setup) -> Any:
    algorithm, shared = ALGORITHMS[setup.algorithm], {}
    (n, n_features), k = part.values.shape, setup.n_clusters
    n_threads = own_threads(assignment_work(n, n_features, k))
    if algorithm.copies:
        shared["copies"] = getattr(copies_of(part.values, setup.max_abs, n_threads), algorithm.copies)
    return algorithm.state(
        part.values, weights_of(part, setup.divisors), setup.max_abs, setup.max_weight, k, n_threads,
        n_grid_samples=setup.n_samples, **shared,
    )  # fmt: skip


def merge_steps(found: list[Stepped]) -> Stepped:
    """Add steps up."""
    sums, n_changed = add([(each.sums, each.n_changed) for each in found])
    return Stepped(sums, n_changed, found[0].stepped_by)

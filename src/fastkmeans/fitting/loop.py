"""The iterations of every run: step, move the centers, refill empty clusters, stop."""

from __future__ import annotations

from collections.abc import Callable
from math import inf, nan
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from ..engines.contract import Engine
from ..input.finite import check_inertia
from ..settings import Callback, Watcher
from ..types import Floats, Labels, Values
from .exchange import exchange_clusters, next_exchange
from .going import Going
from .refill import refill

CONVERGED = ("labels unchanged", "center shift within tol", "fall of inertia within inertia_tol")
STOP_REASONS = (*CONVERGED, "callback", "max_iter", "max_time")


class Run(NamedTuple):
    """How a run ended. Labels, centers and inertia belong together.

    centers : (n_clusters, n_features) in the dtype of X.   labels : (n_samples,) int32.
    n_distinct : number of different labels.   history : one dict per iteration.   stop_reason : as KMeans.stop_reason_.
    """

    centers: Values
    labels: Labels
    n_distinct: int
    inertia: float
    n_iter: int
    history: list[dict[str, Any]]
    converged: bool
    stop_reason: str


def run(
    engine: Engine,
    centers: Values,
    *,
    max_iter: int,
    tol: float,
    exchange_after: int | None = None,
    verbose: bool = False,
    callback: Callback | Watcher | None = None,
    wants_inertia: bool = True,
    inertia_tol: float | None = None,
    deadline: float = inf,
    keep: Callable[[Going], None] | None = None,
    going: Going | None = None,
) -> Run:
    """Iterate from the given centers until one of STOP_REASONS.

    centers : (n_clusters, n_features) in the dtype of X.
    tol : absolute: the run stops when the squared center shifts sum to at most this.
    exchange_after : iterations before clusters are exchanged first, fewer if the run would stop earlier; see exchange.py.
    wants_inertia : False leaves the inertia of the run NaN, which saves a pass over all samples, and those of its history without
    many digits.
    inertia_tol : share of the inertia; None for no such rule.   deadline : by perf_counter.
    keep : called between iterations with what the run has reached.   going : what an interrupted run has reached; the run goes
        on from there, and not from `centers`.
    Raises ValueError if the inertia overflows float64.
    """
    dtype: np.dtype[Any] = centers.dtype
    centers = centers.astype(np.float64, copy=False)  # nothing writes into the given ones
    if not wants_inertia and not verbose:
        engine.forget_history()
    elif not verbose and callback is None and keep is None and inertia_tol is None:
        engine.defer_history()
    history: list[dict[str, Any]] = []
    if going is not None:
        history, centers, exchange_after = [*going.history], going.centers, going.exchange_after
        engine.step(going.assigned)
    reason = ""
    while not reason:
        assigned = (
            centers  # from now on there is no third array of centers, which may take as much memory as sparse rows
        )
        centers, n_changed, entry = _iterate(engine, assigned, len(history))
        history.append(entry)
        if verbose:
            print(f"Iteration {entry['iteration']}, inertia {entry['inertia']}.")
        stop_asked = callback is not None and _asks_to_stop(callback, dict(entry), centers.astype(dtype, copy=False))
        is_refilled = n_changed > entry["n_changed"]
        is_flat = inertia_tol is not None and not is_refilled and _has_hardly_fallen(history, inertia_tol)
        is_within_tol = entry["center_shift"] <= tol
        reason = _reason_to_stop(n_changed, is_within_tol, is_flat, stop_asked, len(history) >= max_iter)
        if deadline < inf and not reason and perf_counter() >= deadline:
            reason = "max_time"
        may_exchange = exchange_after is not None and len(history) < max_iter and not stop_asked
        if may_exchange and (reason in CONVERGED or not reason and len(history) == exchange_after):
            n_merged, fall = _exchange(engine, centers, entry, verbose)
            exchange_after = next_exchange(len(history), fall)
            reason = "" if n_merged else reason
        if keep is not None and not reason:
            keep(Going(assigned, centers, history, exchange_after, tol))
    if verbose and reason in CONVERGED:
        _print_end(history, reason, tol)
    is_moved = entry["center_shift"] > 0 or np.count_nonzero(assigned != centers)  # squares of tiny shifts underflow
    del assigned
    if is_moved:
        engine.step(centers)
    inertia = nan
    if wants_inertia:
        inertia = check_inertia(engine.inertia(centers), engine.largest_weight)
        engine.settle_history(history, centers, inertia)
    return Run(
        centers.astype(dtype, copy=False), engine.labels, engine.n_distinct(), inertia, len(history), history,
        reason in CONVERGED, reason,
    )  # fmt: skip


def _iterate(engine: Engine, centers: Floats, iteration: int) -> tuple[Floats, int, dict[str, Any]]:
    """Label the samples, move the centers, and refill clusters that became empty.

    Returns the moved centers, the number of changed labels plus that of refilled clusters, and an entry of history_.
    """
    start = perf_counter()
    n_changed = engine.step(centers)
    moved, center_shift, inertia, n_empty = engine.move(centers)
    n_refilled = refill(engine, centers, moved) if n_empty else 0
    if n_refilled:
        center_shift = float(np.add.reduce(engine.sq_shifts))
    entry: dict[str, Any] = {
        "iteration": iteration,
        "inertia": inertia,
        "center_shift": center_shift,
        "n_changed": n_changed,
        "n_empty": n_empty,
        "algorithm": engine.stepped_by,
        "seconds": perf_counter() - start,
    }
    return moved, n_changed + n_refilled, entry


def _exchange(engine: Engine, centers: Floats, entry: dict[str, Any], verbose: bool) -> tuple[int, float]:
    """Merge pairs of clusters and split as many others, if that pays. Changes centers in place.

    Returns how many, and what share of the inertia this saves.
    """
    start = perf_counter()
    n_merged, fall = exchange_clusters(engine, centers)
    entry["seconds"] += perf_counter() - start
    if verbose and n_merged:
        print(f"Merged {n_merged} pair{'s' * (n_merged > 1)} of clusters, split as many others.")
    return n_merged, fall


def _print_end(history: list[dict[str, Any]], reason: str, tol: float) -> None:
    """Print why the run converged, in scikit-learn's words where it has some."""
    shifted = f"center shift {history[-1]['center_shift']} within tolerance {tol}"
    detail = ("strict convergence", shifted, reason)[CONVERGED.index(reason)]
    print(f"Converged at iteration {len(history) - 1}: {detail}.")


def _has_hardly_fallen(history: list[dict[str, Any]], inertia_tol: float) -> bool:
    """Has the last iteration lowered the inertia by at most this share of it?"""
    if len(history) < 2:
        return False
    before, now = history[-2]["inertia"], history[-1]["inertia"]
    return bool(before - now <= inertia_tol * before)


def _reason_to_stop(n_changed: int, is_within_tol: bool, is_flat: bool, stop_asked: bool, is_last: bool) -> str:
    """Return why a run stops after an iteration, the first reason that holds; "" if it goes on."""
    if n_changed == 0:
        return "labels unchanged"
    if is_within_tol:
        return "center shift within tol"
    if is_flat:
        return "fall of inertia within inertia_tol"
    return "callback" if stop_asked else "max_iter" if is_last else ""


def _asks_to_stop(callback: Callback | Watcher, entry: dict[str, Any], centers: Values) -> bool:
    return callback.sees(entry, centers) if isinstance(callback, Watcher) else bool(callback(entry))

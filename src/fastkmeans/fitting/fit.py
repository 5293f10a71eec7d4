"""One fit: all its starts, and the best of them."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from time import perf_counter
from typing import Any

import numpy as np

from ..samples import Samples
from ..settings import Settings
from .breathing import breathes, breathing_centers
from .coarse import fit_coarsely, is_large
from .exchange import exchange_after
from .going import Going, Keeper, Reached
from .loop import Run, run
from .quick import quick_centers, starts_quickly
from .starts import algorithm_of, count_starts, draw_centers, make_engine, source_of

Keep = Callable[[Going], None] | None


def best_run(settings: Settings, samples: Samples) -> tuple[Run, str]:
    """Run every start. Return the run with the lowest inertia, the first among equals, and the name of its algorithm."""
    n_samples, n_features = samples.values.shape
    is_coarse = (
        settings.searches
        and samples.has_search
        and is_large(n_samples, n_features, settings.n_clusters, samples.sample_weight)
    )
    run_start = _run_coarse if is_coarse else _run_plain
    keeper: Keeper | None = settings.checkpoint
    reached = None if keeper is None else keeper.find(settings, samples)
    best: tuple[Run, str] | None = None
    deadline = inf if settings.max_time is None else perf_counter() + settings.max_time
    with source_of(settings, settings.random_state) as random_state:
        first = 0
        if reached is not None:
            first = reached.start
            random_state.set_state(reached.random_state)
            best = None if reached.best is None else _labelled(settings, samples, reached.best)
        for i in range(first, count_starts(settings)):
            if best is not None and perf_counter() >= deadline:
                break
            keep = None if keeper is None else _keep_by(keeper, i, random_state, best)
            if reached is not None:
                found = _go_on(settings, samples, reached.going, keep, deadline)
                reached = None
            else:
                found = run_start(settings, samples, random_state, keep, deadline)
            best = found if best is None or found[0].inertia < best[0].inertia else best
    assert best is not None  # there is at least one start
    if keeper is not None:
        keeper.end()
    return best


def _run_coarse(
    settings: Settings, samples: Samples, random_state: np.random.RandomState, keep: Keep, deadline: float
) -> tuple[Run, str]:
    fit = fit_coarsely(settings, samples, random_state, keep, deadline)
    return fit.run, fit.algorithm


def _run_plain(
    settings: Settings, samples: Samples, random_state: np.random.RandomState, keep: Keep, deadline: float
) -> tuple[Run, str]:
    description, n_clusters = samples.description, settings.n_clusters
    tol = float(settings.tol * description.total_variance / len(description.variance))
    n_samples, n_features = samples.values.shape
    is_breathing = samples.has_filters and breathes(settings, n_samples, n_features, n_clusters)

    def draw() -> Any:
        return draw_centers(settings, samples, n_clusters, random_state, settings.n_threads)

    if is_breathing:
        start = [breathing_centers(samples, draw, random_state, settings.n_threads)]
    elif starts_quickly(settings, samples):
        start = [quick_centers(settings, samples, random_state, deadline)]
    else:
        start = [draw()]
    if settings.verbose:
        print("Initialization complete")
    return _run(
        settings, samples, start, tol, None if is_breathing else exchange_after(settings, n_clusters), keep, deadline
    )


def _go_on(settings: Settings, samples: Samples, going: Going, keep: Keep, deadline: float) -> tuple[Run, str]:
    """Go on with a run that was interrupted."""
    start = [going.centers.astype(samples.values.dtype)]
    return _run(settings, samples, start, going.tol, going.exchange_after, keep, deadline, going)


def _run(
    settings: Settings, samples: Samples, start: list[Any], tol: float, exchange_after: int | None, keep: Keep,
    deadline: float, going: Going | None = None,
) -> tuple[Run, str]:  # fmt: skip
    """Run from centers, the only item of `start`. It is popped, so that the first iteration frees it: centers of sparse samples
    are large."""
    algorithm = algorithm_of(settings, samples, settings.n_clusters, settings.max_iter)
    engine = make_engine(settings, samples, settings.n_clusters, algorithm, settings.n_threads)
    found = run(
        engine, start.pop(), max_iter=settings.max_iter, tol=tol, verbose=bool(settings.verbose), callback=settings.callback,
        exchange_after=exchange_after, inertia_tol=settings.inertia_tol, deadline=deadline, keep=keep, going=going,
    )  # fmt: skip
    return found, algorithm


def _labelled(settings: Settings, samples: Samples, found: Run) -> tuple[Run, str]:
    """Return a run that an earlier fit has ended, with its labels."""
    algorithm = algorithm_of(settings, samples, settings.n_clusters, settings.max_iter)
    engine = make_engine(settings, samples, settings.n_clusters, "lloyd", settings.n_threads)
    engine.step(found.centers.astype(np.float64))
    return found._replace(labels=engine.labels), algorithm


def _keep_by(keeper: Keeper, start: int, random_state: np.random.RandomState, best: tuple[Run, str] | None) -> Keep:
    def keep(going: Going) -> None:
        state: Any = random_state.get_state(legacy=False)
        keeper.keep(Reached(start, state, None if best is None else best[0], going))

    return keep

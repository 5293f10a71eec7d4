"""One fit: all its starts, and the best of them."""

from __future__ import annotations

import numpy as np

from ..samples import Samples
from ..settings import Settings
from .coarse import fit_coarsely, is_large
from .exchange import exchange_after
from .loop import Run, run
from .starts import algorithm_of, count_starts, draw_centers, make_engine, source_of


def best_run(settings: Settings, samples: Samples) -> tuple[Run, str]:
    """Run every start. Return the run with the lowest inertia, the first among equals, and the name of its algorithm."""
    with source_of(settings, settings.random_state) as random_state:
        if settings.searches and is_large(
            len(samples.values), samples.values.shape[1], settings.n_clusters, samples.sample_weight
        ):
            return _best_coarse(settings, samples, random_state)
        return _best_plain(settings, samples, random_state)


def _best_coarse(settings: Settings, samples: Samples, random_state: np.random.RandomState) -> tuple[Run, str]:
    best = fit_coarsely(settings, samples, random_state)
    for _ in range(1, count_starts(settings)):
        fit = fit_coarsely(settings, samples, random_state)
        best = fit if fit.run.inertia < best.run.inertia else best
    return best.run, best.algorithm


def _best_plain(settings: Settings, samples: Samples, random_state: np.random.RandomState) -> tuple[Run, str]:
    description, n_clusters = samples.description, settings.n_clusters
    algorithm = algorithm_of(settings, samples, n_clusters, settings.max_iter)
    tol = float(settings.tol * description.total_variance / len(description.variance))
    best: Run | None = None
    for _ in range(count_starts(settings)):
        centers = draw_centers(settings, samples, n_clusters, random_state, settings.n_threads)
        if settings.verbose:
            print("Initialization complete")
        engine = make_engine(settings, samples, n_clusters, algorithm, settings.n_threads)
        found = run(
            engine, centers, max_iter=settings.max_iter, tol=tol, verbose=bool(settings.verbose),
            callback=settings.callback, exchange_after=exchange_after(settings, n_clusters),
        )  # fmt: skip
        if best is None or found.inertia < best.inertia:
            best = found
    assert best is not None  # there is at least one start
    return best, algorithm

"""The sweep over the number of clusters: fits each number, judges each fit, and chooses one number."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from ..fitting.loop import Run
from ..fitting.search import Chain
from ..fitting.starts import warn_of_missing_clusters, warn_of_units
from ..input.matrix import Matrix
from ..input.parameters import drawing_from
from ..input.tables import frame_from_columns
from ..input.weights import as_weights
from ..metrics.table import METRICS
from ..rows import prepare
from ..runtime.progress import new_bar
from ..samples import Samples
from ..settings import Settings
from ..types import AnyArray, Floats
from .criteria import Criteria
from .gap import N_REFERENCES, gap_statistic
from .knees import choose
from .result import COLUMNS, ElbowResult, Model


def sweep(
    settings: Settings, matrix: Matrix, sample_weight: Any, choose_k: Callable[[int], list[int]],
    make_model: Callable[[tuple[Run, str]], Model], gap: bool = False, progress: bool = False,
) -> ElbowResult[Model]:  # fmt: skip
    """Sweep over numbers of clusters.

    settings : n_clusters is not read.   matrix : of as_matrix; its values are not yet checked.
    choose_k : number of samples -> numbers of clusters.
    make_model : (run, name of its algorithm) -> an estimator of the result.
    """
    weights = as_weights(sample_weight, len(matrix.values))
    samples = prepare(matrix, weights, METRICS[settings.metric].prepare_rows, settings.n_threads)
    warn_of_units(settings, matrix, samples)
    candidates = choose_k(len(matrix.values))
    if gap and settings.metric != "euclidean":
        raise ValueError(
            f"gap must be False for metric={settings.metric!r}, because the gap statistic compares sums of squares; got True. "
            "Use metric='euclidean', or leave gap out."
        )
    seen = _bar(len(candidates) + gap * N_REFERENCES) if progress else iter
    rows, runs = _fit_all(settings, samples, candidates, seen)
    columns = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    columns["k"] = np.array(candidates, dtype=np.int64)
    if gap:
        columns |= _gap_columns(settings, samples, candidates, columns["inertia"], seen)
    columns = {name: columns[name] for name in COLUMNS if name in columns}
    for column in columns.values():
        column.flags.writeable = False
    table: dict[str, Any] = {"gap": None, "gap_se": None, **columns}
    return ElbowResult(
        **table,
        **choose(columns)._asdict(),
        metric=settings.metric,
        standardize=settings.standardize,
        _runs=runs,
        _make_model=make_model,
        _frame=None if matrix.native is None else frame_from_columns(columns, like=matrix.native),
    )


def _fit_all(
    settings: Settings, samples: Samples, candidates: list[int], seen: Callable[[Iterable[int]], Iterable[int]]
) -> tuple[list[dict[str, Any]], dict[int, tuple[Run, str]]]:
    """Return a row of the table for each number of clusters, and its run and algorithm."""
    with drawing_from(settings.random_state) as random_state:
        criteria = Criteria(samples, settings.metric, random_state, settings.n_threads, candidates[-1])
    chain = Chain(settings, samples, candidates[-1], settings.random_state)
    label_type = np.min_scalar_type(candidates[-1] - 1)
    rows, fits, runs = [], [], {}
    for n_clusters in seen(candidates):
        fit = chain.fit(n_clusters)
        run = fit.run
        warn_of_missing_clusters(run.n_distinct, n_clusters)
        rows.append({"inertia": run.inertia, "n_iter": run.n_iter, "seconds": fit.seconds, **criteria.of(fit)})
        fits.append(fit._replace(run=run._replace(labels=run.labels.astype(label_type))))
        runs[n_clusters] = fits[-1].run, fit.algorithm
    for row, found in zip(rows, criteria.of_all(fits), strict=True):
        row |= found
    return rows, runs


def _gap_columns(
    settings: Settings, samples: Samples, candidates: list[int], inertia: Floats,
    seen: Callable[[Iterable[int]], Iterable[int]],
) -> dict[str, AnyArray]:  # fmt: skip
    values, weights = samples.values, samples.sample_weight
    weighing = values if weights is None else values[weights > 0]
    total = float(len(values) if weights is None else weights.sum())
    gap, error = gap_statistic(settings, weighing, candidates, inertia, total, seen)
    return {"gap": gap, "gap_se": error}


def _bar(total: int) -> Callable[[Iterable[int]], Iterator[int]]:
    """Return a function that wraps loops so that each item moves one shared progress bar."""
    bar = new_bar(total, "elbow", "k")

    def seen(items: Iterable[int]) -> Iterator[int]:
        for item in items:
            yield item
            bar.update()
        if bar.n >= bar.total:
            bar.close()

    return seen

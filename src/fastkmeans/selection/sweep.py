"""The sweep over the number of clusters: fits each number, judges each fit, and chooses one number."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import numpy as np

from .._core.csr import CsrRows
from ..fitting.loop import Run
from ..fitting.search import Chain, Fit
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
from ..types import AnyArray, Floats, Indices
from .choice import Choice, choose
from .criteria import Criteria
from .evidence import bend_of_box, find_evidence
from .gap import N_REFERENCES, gap_statistic
from .result import COLUMNS, ElbowResult, Model


def sweep(
    settings: Settings, matrix: Matrix, sample_weight: Any, choose_k: Callable[[int], list[int]],
    make_model: Callable[[tuple[Run, str]], Model], gap: bool = False, progress: bool = False, limit: int = 0,
    shown: Any = None,
) -> ElbowResult[Model]:  # fmt: skip
    """Sweep over numbers of clusters.

    settings : n_clusters is not read.   matrix : of as_matrix; its values are not yet checked.
    choose_k : number of samples -> numbers of clusters.
    make_model : (run, name of its algorithm) -> an estimator of the result.   shown : as for prepare.
    limit : where no number is chosen, the sweep goes on to twice as many clusters, and again, up to this number.
    """
    weights = as_weights(sample_weight, len(matrix.values))
    samples = prepare(matrix, weights, METRICS[settings.metric].prepare_rows, settings.n_threads, shown)
    warn_of_units(settings, matrix, samples)
    candidates = choose_k(len(matrix.values))
    if gap and settings.metric != "euclidean":
        raise ValueError(
            f"gap must be False for metric={settings.metric!r}, because the gap statistic compares sums of squares; got True. "
            "Use metric='euclidean', or leave gap out."
        )
    if gap and isinstance(matrix.values, CsrRows):
        raise ValueError(
            "gap must be False for sparse X, because the gap statistic compares X with samples that fill the box around it, "
            "which are dense; got True. Leave gap out, or pass X.toarray()."
        )
    if gap and not isinstance(samples.values, np.ndarray):
        raise ValueError(
            f"gap must be False for {samples.about}; got True. Leave gap out, or raise memory_limit so that all rows fit."
        )
    seen = _bar(len(candidates) + gap * N_REFERENCES) if progress else iter
    fitted = _Fitted(settings, samples, candidates[-1], max(limit, candidates[-1]))
    columns, choice = fitted.go_on(candidates, seen, gap)
    limit = min(limit, len(matrix.values))
    while choice.best_k is None and (last := candidates[-1]) < limit and columns["inertia"][-1] > 0:
        more = list(range(last + 1, min(2 * last, limit) + 1))
        candidates = candidates + more
        columns, choice = fitted.go_on(more, _bar(len(more)) if progress else iter, gap=False)
    for column in columns.values():
        column.flags.writeable = False
    table: dict[str, Any] = {"gap": None, "gap_se": None, **columns}
    return ElbowResult(
        **table,
        **choice._asdict(),
        metric=settings.metric,
        standardize=settings.standardize,
        _runs=fitted.runs,
        _make_model=make_model,
        _frame=None if matrix.native is None else frame_from_columns(columns, like=matrix.native),
    )


class _Fitted:
    """The fits of a sweep so far, and a row of the table for each of them.

    first_last : the last number of clusters that is certainly fitted.   most : the largest that may be.
    """

    def __init__(self, settings: Settings, samples: Samples, first_last: int, most: int) -> None:
        self._settings, self._samples = settings, samples
        with drawing_from(settings.random_state) as random_state:
            self._criteria = Criteria(samples, settings.metric, random_state, settings.n_threads, first_last)
        self._chain = Chain(settings, samples, first_last, settings.random_state)
        self._label_type = np.min_scalar_type(most - 1)
        self._rows: list[dict[str, Any]] = []
        self._fits: list[Fit] = []
        self.runs: dict[int, tuple[Run, str]] = {}

    def go_on(
        self, candidates: list[int], seen: Callable[[Iterable[int]], Iterable[int]], gap: bool
    ) -> tuple[dict[str, AnyArray], Choice]:
        """Fit more numbers of clusters. Return the columns of the table, and the choice, of all that were fitted."""
        fits = []
        for n_clusters in seen(candidates):
            fit = self._chain.fit(n_clusters)
            run = fit.run
            warn_of_missing_clusters(run.n_distinct, n_clusters)
            found = {"k": n_clusters, "inertia": run.inertia, "n_iter": run.n_iter, "seconds": fit.seconds}
            self._rows.append({**found, **self._criteria.of(fit)})
            fits.append(fit._replace(run=run._replace(labels=run.labels.astype(self._label_type))))
            self.runs[n_clusters] = fits[-1].run, fit.algorithm
        for row, found in zip(self._rows[-len(fits) :], self._criteria.of_all(fits), strict=True):
            row |= found
        self._fits += fits
        columns = {name: np.array([row[name] for row in self._rows]) for name in self._rows[0]}
        settings, k = self._settings, columns["k"]
        evidence = find_evidence(self._samples, k, self._fits, self._criteria, settings.metric, settings.n_threads)
        columns["bend"] = evidence.bend
        if gap:
            columns |= _gap_columns(settings, self._samples, k.tolist(), columns["inertia"], seen)
        columns = {name: columns[name] for name in COLUMNS if name in columns}
        return columns, choose(columns, evidence, partial(self._bend_of_box, k))

    def _bend_of_box(self, k: Indices, i: int) -> float:
        """Return the bend of uniform samples at k[i]; 0 for rows of length 1, which no box holds."""
        if self._settings.metric == "cosine":
            return 0.0
        return bend_of_box(self._settings, self._criteria.some_values(), k, i)


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

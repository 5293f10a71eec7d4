"""What is done with rows, dense or sparse, outside the iterations: checks, labels, distances, and how a fit is prepared."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import sparse
from ._core import distances, samples
from ._core.csr import CsrRows
from .input.finite import MAGNITUDE_LIMIT, check_finite
from .input.matrix import Matrix
from .input.sparse import check_stored
from .runtime.threads import assignment_work, effective_n_threads
from .samples import Samples, describe, inertia_of, weight_unit
from .types import Floats, Indices, Labels, Values

_FLOAT32_MAX = float(np.finfo(np.float32).max)


def nearest(values: Values, centers: Floats, n_threads: int | None, kind: int) -> Labels:
    """Return the label of each row: its nearest center."""
    labels = np.empty(len(values), dtype=np.int32)
    work = assignment_work(len(values), values.shape[1], len(centers))
    n_threads = effective_n_threads(n_threads, work)
    if isinstance(values, CsrRows):
        sparse.nearest(values, centers, labels, n_threads)
    else:
        distances.nearest(values, centers, labels, n_threads, kind)
    return labels


def pairwise(values: Values, centers: Floats, result: Values, n_threads: int | None, kind: int) -> int:
    """Write the distance of each row to each center; return the number of rows with a distance that overflows."""
    n_threads = effective_n_threads(n_threads, assignment_work(len(values), values.shape[1], len(centers)))
    if isinstance(values, CsrRows):
        return sparse.pairwise(values, centers, result, n_threads, kind)
    return distances.pairwise(values, centers, result, n_threads, kind)


def taken_rows(values: Values, rows: Indices) -> Values:
    """Return some rows, by number, in a dense array."""
    return values.take(rows).dense(0, len(rows)) if isinstance(values, CsrRows) else values[rows]


def some_rows(values: Values, rows: Indices) -> Values:
    """Return some rows, by number, sparse if the rows are."""
    return values.take(np.ascontiguousarray(rows)) if isinstance(values, CsrRows) else values[rows]


def inertia_in_units(
    X: Values, centers: Floats, labels: Labels, sample_weight: Floats | None, n_threads: int, kind: int
) -> float:
    """As inertia_of, for weights of any size: terms neither vanish nor overflow before they are added up."""
    unit, _, sample_weight = weight_unit(sample_weight)
    of_rows: Callable[..., float] = sparse.inertia_of if isinstance(X, CsrRows) else inertia_of
    return unit * of_rows(X, centers, labels, sample_weight, n_threads, kind)


def check_values(matrix: Matrix, n_threads: int) -> None:
    """Raise ValueError if a value is NaN, infinite or too large to be squared in float64.

    A compiled pass accepts clean values. Only if it does not, check_finite looks for the place.
    """
    values = matrix.values
    if isinstance(values, CsrRows):
        check_stored(values, "X")
        return
    limit = _FLOAT32_MAX if values.dtype.itemsize == 4 else MAGNITUDE_LIMIT
    if samples.has_unusable(values, limit, n_threads):
        check_finite(values, "X", matrix.feature_names)


def prepare(
    matrix: Matrix, sample_weight: Floats | None, prepare_rows: Callable[..., Values] | None, n_threads: int | None,
    shown: Any = None,
) -> Samples:  # fmt: skip
    """Check the values of a table for a fit, and return the samples as a metric measures them.

    sample_weight : already checked.   prepare_rows : that of the Metric.   shown : what a callable init gets in place of sparse rows.
    """
    values = matrix.values
    n_threads = effective_n_threads(n_threads, float(values.size))
    if prepare_rows is not None or isinstance(values, CsrRows):
        check_values(matrix, n_threads)
    if prepare_rows is not None:
        values = prepare_rows(values, values.dtype, "X", n_threads)
    if isinstance(values, CsrRows):
        return sparse.sparse_samples(values, sample_weight, n_threads, shown)
    description = describe(values, n_threads)
    if not (description.is_finite and description.largest <= MAGNITUDE_LIMIT):
        check_finite(matrix.values, "X", matrix.feature_names)
    return Samples(values, sample_weight, description)

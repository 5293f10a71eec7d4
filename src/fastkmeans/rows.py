"""What is done with rows, dense or sparse, outside the iterations: checks, labels, distances, and how a fit is prepared."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import sparse, stored
from ._core import distances, samples
from ._core.csr import CsrRows
from ._core.stored import StoredRows
from .input.finite import MAGNITUDE_LIMIT, check_finite
from .input.matrix import Matrix
from .input.sources import is_open
from .input.sparse import check_stored
from .runtime.threads import assignment_work, effective_n_threads
from .samples import Samples, describe, inertia_of, weight_unit
from .types import Floats, Indices, Labels, Values

_FLOAT32_MAX = float(np.finfo(np.float32).max)


def nearest(values: Values, centers: Floats, n_threads: int | None, kind: int) -> Labels:
    """Return the label of each row: its nearest center."""
    is_dense = isinstance(values, np.ndarray)
    if not is_dense and is_open(values):
        from . import streamed

        work = assignment_work(values.block_rows, values.shape[1], len(centers))
        return streamed.nearest(values, centers, effective_n_threads(n_threads, work), kind)
    labels = np.empty(len(values), dtype=np.int32)
    work = assignment_work(len(values), values.shape[1], len(centers))
    n_threads = effective_n_threads(n_threads, work)
    if is_dense:
        distances.nearest(values, centers, labels, n_threads, kind)
    elif isinstance(values, CsrRows):
        sparse.nearest(values, centers, labels, n_threads)
    elif isinstance(values, StoredRows):
        for rows, block in stored.blocks_of(values, n_threads):
            distances.nearest(block, centers, labels[rows], n_threads, kind)
    return labels


def pairwise(values: Values, centers: Floats, result: Values, n_threads: int | None, kind: int) -> int:
    """Write the distance of each row to each center; return the number of rows with a distance that overflows."""
    n_threads = effective_n_threads(n_threads, assignment_work(len(values), values.shape[1], len(centers)))
    if isinstance(values, CsrRows):
        return sparse.pairwise(values, centers, result, n_threads, kind)
    if isinstance(values, StoredRows):
        blocks = stored.blocks_of(values, n_threads)
        return sum(distances.pairwise(block, centers, result[rows], n_threads, kind) for rows, block in blocks)
    if is_open(values):
        from . import streamed

        return streamed.pairwise(values, centers, result, n_threads, kind)
    return distances.pairwise(values, centers, result, n_threads, kind)


def empty_like_rows(values: Values, n_columns: int, dtype: Any) -> Values:
    """Return a new array with n_columns values per row; on disk if the rows do not fit memory and neither does the array."""
    shape = (len(values), n_columns)
    return values.empty(shape, dtype) if is_open(values) else np.empty(shape, dtype=dtype)


def as_measured(values: Values, prepare_rows: Callable[..., Values], dtype: Any, n_threads: int | None) -> Values:
    """Return rows as a metric measures them.   prepare_rows : that of the Metric."""
    if is_open(values):
        from . import streamed

        return streamed.prepared(values, prepare_rows, dtype, n_threads)  # type: ignore[return-value]  # as Matrix holds them
    return prepare_rows(values, dtype, "X", n_threads)


def taken_rows(values: Values, rows: Indices) -> Values:
    """Return some rows, by number, in a dense array."""
    return values.take(rows).dense(0, len(rows)) if isinstance(values, CsrRows) else values[rows]


def some_rows(values: Values, rows: Indices) -> Values:
    """Return some rows, by number, sparse or read in place if the rows are."""
    if isinstance(values, CsrRows):
        return values.take(np.ascontiguousarray(rows))
    return values.some(rows) if isinstance(values, StoredRows) else values[rows]


def inertia_in_units(
    X: Values, centers: Floats, labels: Labels, sample_weight: Floats | None, n_threads: int, kind: int
) -> float:
    """As inertia_of, for weights of any size: terms neither vanish nor overflow before they are added up."""
    unit, _, sample_weight = weight_unit(sample_weight)
    of_rows: Callable[..., float] = inertia_of
    if isinstance(X, CsrRows):
        of_rows = sparse.inertia_of
    elif isinstance(X, StoredRows):
        of_rows = stored.inertia_of
    elif is_open(X):
        from . import streamed

        of_rows = streamed.inertia_of
    return unit * of_rows(X, centers, labels, sample_weight, n_threads, kind)


def check_values(matrix: Matrix, n_threads: int) -> None:
    """Raise ValueError if a value is NaN, infinite or too large to be squared in float64.

    A compiled pass accepts clean values. Only if it does not, check_finite looks for the place.
    """
    values = matrix.values
    if isinstance(values, np.ndarray):
        if samples.has_unusable(values, _limit_of(values), n_threads):
            check_finite(values, "X", matrix.feature_names)
    elif isinstance(values, CsrRows):
        check_stored(values, "X")
    elif isinstance(values, StoredRows):
        _check_blocks(values, n_threads)
    # The first pass over streamed rows checks them.


def _check_blocks(rows: StoredRows, n_threads: int) -> None:
    """The same for rows that are read in place."""
    if rows.values.dtype.kind in "iu":
        return
    for at, values in stored.blocks_of(rows, n_threads):
        if samples.has_unusable(values, _limit_of(values), n_threads):
            check_finite(values, "X", first_row=at.start)


def _limit_of(values: Values) -> float:
    return _FLOAT32_MAX if values.dtype.itemsize == 4 else MAGNITUDE_LIMIT


def prepare(
    matrix: Matrix, sample_weight: Floats | None, prepare_rows: Callable[..., Values] | None, n_threads: int | None,
    shown: Any = None,
) -> Samples:  # fmt: skip
    """Check the values of a table for a fit, and return the samples as a metric measures them.

    sample_weight : already checked.   prepare_rows : that of the Metric.   shown : what a callable init gets in place of sparse rows.
    """
    values = matrix.values
    n_threads = effective_n_threads(n_threads, float(values.size))
    if is_open(values):
        from . import streamed

        rows = values if prepare_rows is None else streamed.prepared(values, prepare_rows, values.dtype, n_threads)
        return streamed.StreamedSamples(rows, sample_weight, n_threads)
    if prepare_rows is not None or isinstance(values, CsrRows):
        check_values(matrix, n_threads)
    if prepare_rows is not None:
        values = prepare_rows(values, values.dtype, "X", n_threads)
    if isinstance(values, CsrRows):
        return sparse.SparseSamples(values, sample_weight, n_threads, shown)
    if isinstance(values, StoredRows):
        found = stored.stored_samples(values, sample_weight, n_threads)
        if not (found.description.is_finite and found.description.largest <= MAGNITUDE_LIMIT):
            _check_blocks(values, n_threads)
        return found
    description = describe(values, n_threads)
    if not (description.is_finite and description.largest <= MAGNITUDE_LIMIT):
        check_finite(matrix.values, "X", matrix.feature_names)
    return Samples(values, sample_weight, description)

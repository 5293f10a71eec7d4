"""Dask's arrays and DataFrames: read as parts of samples, and made of what each partition gives.

Only this file and those that dask.py imports import Dask, and only when a collection arrives.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from os import urandom
from typing import Any, NamedTuple

import numpy as np

from ..input.arrays import to_float
from ..input.finite import check_finite
from ..input.matrix import Matrix, as_matrix
from ..input.weights import LIGHTEST_SHARE
from ..rows import check_values
from ..types import Floats, Names, Values
from .part_tasks import Part
from .parts import Parted
from .transport import Handle, InProcess, Transport


class Blocks(NamedTuple):
    """A collection as its partitions.

    delayed : of each partition, in order.   dtype : of the samples.   feature_names : as Matrix.   lengths : of the partitions;
    NaN if Dask does not know them.
    """

    delayed: list[Any]
    n_features: int
    dtype: np.dtype[Any]
    feature_names: Names | None
    lengths: tuple[float, ...]


def read_collection(X: Any, features: Names | None = None) -> Blocks:
    """Read a collection without computing it.

    features : names of the features of a fitted model. Of a DataFrame that has others, too, these are read, in their order.
    Raises ValueError for a wrong shape, and for an array that is cut between columns; TypeError for columns that are no numbers.
    """
    if hasattr(X, "columns"):
        if features is not None and set(features) < set(X.columns):
            X = X[features.tolist()]
        example = as_matrix(X._meta_nonempty)
        lengths = (np.nan,) * X.npartitions
        return Blocks(X.to_delayed(), example.values.shape[1], example.values.dtype, example.feature_names, lengths)
    if X.ndim != 2:
        raise ValueError(f"X must have 2 dimensions; got {X.ndim}. Use X.reshape(-1, 1) if it is one feature.")
    if X.numblocks[1] > 1:
        raise ValueError(
            f"X must have all features of a sample in one chunk; got {X.numblocks[1]} chunks of columns. Use X.rechunk({{1: -1}})."
        )
    example = as_matrix(np.zeros((1, X.shape[1]), dtype=X.dtype))
    return Blocks(X.to_delayed().ravel().tolist(), X.shape[1], example.values.dtype, None, X.chunks[0])


def blocks_of_weights(sample_weight: Any, blocks: Blocks) -> list[Any] | None:
    """Return what stands for the weights of each partition: a number, or delayed weights; None without weights."""
    if sample_weight is None:
        return None
    n_blocks, is_known = len(blocks.delayed), not np.isnan(blocks.lengths).any()
    if np.ndim(sample_weight) == 0:
        return [float(sample_weight)] * n_blocks
    if not hasattr(sample_weight, "to_delayed"):
        if not is_known:
            raise TypeError(
                "sample_weight must be a collection of Dask with the partitions of X, because X does not know how long its "
                f"partitions are; got {type(sample_weight).__name__}. Use X.compute_chunk_sizes(), or dask.array.from_array(...)."
            )
        weights = np.asarray(sample_weight)
        _check_number_of_weights(weights.shape, int(sum(blocks.lengths)))
        return np.split(weights, np.cumsum(blocks.lengths).astype(int)[:-1])
    if hasattr(sample_weight, "rechunk") and is_known and not np.isnan(sample_weight.shape).any():
        _check_number_of_weights(sample_weight.shape, int(sum(blocks.lengths)))
        sample_weight = sample_weight.rechunk((blocks.lengths,))
    delayed = np.asarray(sample_weight.to_delayed(), dtype=object).ravel().tolist()
    if sample_weight.ndim != 1 or len(delayed) != n_blocks:
        raise ValueError(
            f"sample_weight must have 1 dimension and the partitions of X; got {sample_weight.ndim} and {len(delayed)}, for {n_blocks} "
            "partitions of X."
        )
    return delayed


def _check_number_of_weights(shape: tuple[int, ...], n_samples: int) -> None:
    if shape != (n_samples,):
        raise ValueError(f"sample_weight must have shape ({n_samples},), one weight per sample; got {shape}.")


class PartReader:
    """Makes a Part of a partition, on a worker.

    dtype : of the samples.   prepare : checked samples -> what distances are measured of; None if that is the same.
    made : the type of what `prepare` returns.
    """

    def __init__(self, blocks: Blocks, prepare: Callable[[Values], Values] | None, made: Any) -> None:
        self._n_features, self._dtype, self._names = blocks.n_features, blocks.dtype, blocks.feature_names
        self._prepare, self._made = prepare, made

    def __call__(self, partition: Any, weights: Any, number: int) -> Part:
        n_rows = len(partition)
        if not n_rows:
            empty: Values = np.empty((0, self._n_features), dtype=self._made)
            return Part(empty, None if weights is None else np.empty(0))
        try:
            return Part(self._read(partition), _read_weights(weights, n_rows))
        except ValueError as error:
            raise ValueError(f"Partition {number} of X, whose rows are counted from 0: {error}") from None

    def _read(self, partition: Any) -> Values:
        values = as_matrix(partition, dtype=self._dtype).values
        if values.shape[1] != self._n_features:
            raise ValueError(f"it must have {self._n_features} features, as X says; got {values.shape[1]}.")
        check_values(Matrix(values, self._names, None), 1)
        return values if self._prepare is None else self._prepare(values)


def _read_weights(weights: Any, n_rows: int) -> Floats | None:
    if weights is None:
        return None
    array = np.full(n_rows, weights) if np.ndim(weights) == 0 else np.asarray(weights)
    if array.shape != (n_rows,):
        raise ValueError(f"sample_weight must have one weight per sample; got {array.shape} for {n_rows} samples.")
    read = to_float(array, "sample_weight", np.dtype(np.float64))
    check_finite(read, "sample_weight")
    if read.min() < 0:
        raise ValueError(
            f"sample_weight must not be negative; got {read.min():g} for row {read.argmin()}. Use 0 to leave a sample out."
        )
    return read


def check_weights(weights: Any) -> None:
    """Check the weights of all partitions together, as input.weights does.   weights : RemoteWeights."""
    if not weights.max() > 0.0:
        raise ValueError(
            f"sample_weight must contain at least one non-zero number; all {len(weights)} are 0. "
            "Use sample_weight=None to weigh all samples alike."
        )
    if weights.least < weights.max() * LIGHTEST_SHARE:
        raise ValueError(
            f"sample_weight must not span more than {-np.log10(LIGHTEST_SHARE):.0f} powers of ten; the lightest is "
            f"{weights.least:g}, and the largest {weights.max():g}. Use 0 to leave a sample out."
        )


def hold(
    blocks: Blocks, weights: list[Any] | None, reader: PartReader, n_threads: int | None
) -> tuple[Transport, list[Handle]]:
    """Let the workers of the current client read the partitions, or this process if there is no client."""
    import dask
    from dask.delayed import delayed

    own = [None] * len(blocks.delayed) if weights is None else weights
    read = delayed(reader, pure=False, traverse=False)

    def parts(name: str) -> list[Any]:
        return [
            read(block, weight, number, dask_key_name=f"{name}-{number}")
            for number, (block, weight) in enumerate(zip(blocks.delayed, own, strict=True))
        ]

    client = _current_client()
    if client is None:
        return InProcess(n_threads), list(dask.compute(*parts("fastkmeans-read")))
    from .dask import DaskTransport

    if client.asynchronous:
        raise TypeError(
            "the client must not be asynchronous, because a fit waits for its workers; make Client(asynchronous=False)."
        )
    transport = DaskTransport(client, n_threads)
    return transport, transport.hold(parts)


def _current_client() -> Any:
    """Return the client that dask.compute would use; None if it computes in this process."""
    try:
        from distributed import get_client
    except ImportError:
        return None
    try:
        return get_client()
    except ValueError:
        return None


def from_partitions(
    blocks: Blocks,
    function: Callable[..., Any],
    n_columns: int | None,
    dtype: Any,
    lengths: Sequence[float] | None = None,
) -> Any:
    """Return a lazy array of what a function of (partition, number) gives for each partition: one row per sample.

    n_columns : None for one dimension.   lengths : of the partitions, if they are known better than the collection knows them.
    """
    import dask.array as da
    from dask.delayed import delayed
    from dask.highlevelgraph import HighLevelGraph

    apply = delayed(function, pure=False, traverse=False)
    results = [apply(block, number) for number, block in enumerate(blocks.delayed)]
    name = f"fastkmeans-{urandom(8).hex()}"
    column = () if n_columns is None else (0,)
    graph = {(name, number, *column): result.key for number, result in enumerate(results)}
    chunks = (tuple(lengths or blocks.lengths), *(() if n_columns is None else ((n_columns,),)))
    return da.Array(HighLevelGraph.from_collections(name, graph, results), name, chunks, dtype=dtype)


def all_lengths(parted: Parted, n_blocks: int) -> tuple[int, ...]:
    """Return the length of each partition, of the empty ones too."""
    lengths = np.zeros(n_blocks, dtype=int)
    lengths[parted.numbers] = [rows.stop - rows.start for rows in parted.rows]
    return tuple(lengths.tolist())

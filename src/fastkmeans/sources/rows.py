"""Rows that are read in blocks, with all that a fit asks of them: the memory they may take, checks, and single rows."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from math import prod
from typing import Any

import numpy as np

from .._core import samples
from .._core.files import CachedRows
from ..input.finite import MAGNITUDE_LIMIT, find_unusable, refuse
from ..input.weights import as_weights
from ..runtime.memory import array_on_disk, available_memory
from ..runtime.threads import effective_n_threads
from ..types import AnyArray, Floats, Indices, Names, Values
from .cached import cached_rows
from .contract import Source
from .marks import mark_of
from .reader import read_blocks
from .table import open_source

LEAST_LIMIT = 64 << 20
"""The least memory_limit, in bytes. Buffers, centers, and the rows that a search draws need about as much."""

DEFAULT_SHARE = 2
"""By default rows may take a half of the memory that is free."""

LOADED_SHARE = 3
"""Rows of at most a third of the memory limit are read into one array. The algorithms there keep up to two copies."""

HELD_SHARE = 8
"""An array with a number per row lies in memory if it takes at most an eighth of the limit: a fit has up to four of these."""

GATHERED_SHARE = 2
"""Rows that are drawn by number may take half of the limit."""

BLOCK_BYTES, BUFFERS, BUFFERS_SHARE = 2 << 20, 3, 8
"""Size of a block, at most. There are three buffers, which together take at most an eighth of the limit, if leaves are no longer.
Blocks of 2 MB stay in a cache until they are computed with: a pass over 4M x 100 float32 with 10 centers took 0.6 s of CPU time, and
0.8 with blocks of 8 or 16 MB (two cores of a Granite Rapids Xeon)."""

LEAF_ROWS = 1024
"""Blocks are whole leaves (samples.py), so that sums per leaf need no row of another block."""

FEW_READS = 16
"""Single rows are read one by one if they are fewer than one in so many, else in a pass."""

_FLOAT32_MAX = float(np.finfo(np.float32).max)


class StreamedRows:
    """Rows that do not lie in memory, as :func:`open_rows` returns them. Pass them in place of an array.

    Attributes
    ----------
    shape : tuple of int
        (n_rows, n_columns). Where only a pass over the rows tells how many there are, the first question makes that pass.
    dtype : numpy.dtype
        float32 or float64: what a fit computes with.
    feature_names : ndarray of str, or None
        Names of the columns.
    memory_limit : int
        Bytes that a fit over these rows may take.
    cache_dir : str or None
        Folder for what does not fit memory.
    sample_weight : ndarray of shape (n_rows,), float64, or None
        Weights of the rows.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkmeans import open_rows
    >>> np.save("rows.npy", np.arange(6.0).reshape(3, 2))
    >>> open_rows("rows.npy").shape
    (3, 2)
    """

    opened_by = "open_rows"

    def __init__(
        self, source: Source, memory_limit: int, cache_dir: str | None = None, sample_weight: Floats | None = None,
        prepare: Callable[[Values, int], Values] | None = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        self.source, self.memory_limit, self.cache_dir = source, memory_limit, cache_dir
        self.sample_weight = sample_weight
        self._prepare = prepare
        self.dtype, self.feature_names = np.dtype(dtype or source.dtype), source.names
        self.watch: Callable[[int, int], Any] | None = None
        self._n_rows = source.n_rows
        self._marks: list[Any] | None = None  # of the first pass that was complete
        self._state: Any = source.state()
        self._is_checked = False
        self._buffers: list[Values] = []

    def __repr__(self) -> str:
        n_rows = "?" if self._n_rows is None else self._n_rows
        return f"<StreamedRows ({n_rows}, {self.source.n_columns}) {self.dtype} of {self.source.name}>"

    def __len__(self) -> int:
        if self._n_rows is None:
            for _ in self.blocks():
                pass
        assert self._n_rows is not None
        return self._n_rows

    @property
    def shape(self) -> tuple[int, int]:
        return len(self), self.source.n_columns

    @property
    def size(self) -> int:
        return prod(self.shape)

    @property
    def fits_memory(self) -> bool:
        """Whether the rows are few enough to be read into one array."""
        return self._bytes_of(len(self)) * LOADED_SHARE <= self.memory_limit

    @property
    def block_rows(self) -> int:
        """The number of rows of a block."""
        n_bytes = min(BLOCK_BYTES, self.memory_limit // (BUFFERS * BUFFERS_SHARE))
        return max(n_bytes // self._bytes_of(LEAF_ROWS), 1) * LEAF_ROWS

    @property
    def row_bytes(self) -> int:
        return self.source.n_columns * self.source.dtype.itemsize

    @property
    def block_bytes(self) -> int:
        return self._bytes_of(self.block_rows)

    @property
    def buffer_bytes(self) -> int:
        """The bytes of the buffers of a pass, which are kept for the next one."""
        return BUFFERS * self.block_bytes

    def _bytes_of(self, n_rows: int) -> int:
        return n_rows * self.row_bytes

    def prepared(self, prepare: Callable[[Values, int], Values], dtype: Any) -> StreamedRows:
        """Return the same rows, each block changed by a function of the block and the number of its first row.

        prepare : must give each row the same values in whatever block it comes.   dtype : of its results.
        """
        before = self._prepare

        def both(values: Values, first: int) -> Values:
            return prepare(values if before is None else before(values, first), first)

        rows = StreamedRows(self.source, self.memory_limit, self.cache_dir, self.sample_weight, both, dtype)
        rows.watch, rows._n_rows, rows._marks = self.watch, self._n_rows, self._marks
        rows._state, rows._is_checked = self._state, self._is_checked
        return rows

    # ---------------------------------------------------------------- reading

    def blocks(self, n_threads: int | None = None) -> Generator[tuple[slice, Values], None, None]:
        """Yield all rows in order: the slice of their numbers, and a block of them, which the next one overwrites.

        n_threads : that copy what the system has in memory, at most.

        Every pass gives the same blocks. All but the last have block_rows rows.
        Raises ValueError, naming the place, for values that are not finite or too large, and for rows that are not those of
        the pass before.
        """
        self.check_state()
        buffers, self._buffers = self._buffers or self._new_buffers(), []
        marks: list[Any] | None = None if self._state is not None else []
        n_rows = 0
        n_threads = effective_n_threads(n_threads, float(buffers[0].nbytes))
        with closing(read_blocks(self.source, buffers, n_threads)) as reading:
            for rows, values in reading:
                n_rows = rows.stop
                if marks is not None:
                    marks.append(mark_of(values))
                    self._check_mark(marks, rows)
                if self._n_rows is not None and n_rows > self._n_rows:
                    raise self._changed(f"it has more than {self._n_rows} rows")
                if not self._is_checked:
                    self._check_finite(values, rows.start)
                yield rows, values if self._prepare is None else self._prepare(values, rows.start)
                if self.watch is not None:
                    self.watch(rows.stop - rows.start, n_rows)
        self._buffers = buffers
        self.check_state()
        if n_rows == 0:
            raise ValueError(f"{self.source.name} has no rows; pass at least one.")
        if self._n_rows is not None and n_rows != self._n_rows:
            raise self._changed(f"it has {n_rows} rows now, and had {self._n_rows}")
        self._n_rows, self._is_checked = n_rows, True
        self._marks = marks if self._marks is None else self._marks

    @contextmanager
    def cached(self, n_threads: int) -> Iterator[CachedRows | None]:
        """Open the rows for steps of Lloyd's algorithm, in which each thread reads a block when it needs it.

        None if the rows do not lie in files as they are, or have not been checked by a pass.
        Raises ValueError, at the beginning and at the end, if a file has changed since it was opened.
        """
        self.check_state()
        if self._prepare is not None or not self._is_checked:
            yield None
            return
        with cached_rows(self.source, n_threads) as rows:
            yield rows
        self.check_state()

    def _new_buffers(self) -> list[Values]:
        shape = (self.block_rows, self.source.n_columns)
        needed = self.buffer_bytes
        if needed > self.memory_limit:
            raise ValueError(
                f"memory_limit must be at least {needed:,} bytes for rows of {shape[1]} features, which are read in {BUFFERS} "
                f"buffers of {shape[0]} rows; got {self.memory_limit:,}."
            )
        return [np.empty(shape, dtype=self.source.dtype) for _ in range(BUFFERS)]

    def take(self, rows: Indices, n_threads: int | None = None) -> Values:
        """Return rows by their numbers, in any order, repeats allowed: (len(rows), n_columns)."""
        self.check_gathered(len(rows), f"{len(rows):,} rows that are drawn")
        order = np.argsort(rows, kind="stable")
        ascending = np.ascontiguousarray(rows[order], dtype=np.int64)
        taken: Values = np.empty((len(rows), self.source.n_columns), dtype=self.dtype)
        taken[order] = self.take_ascending(ascending, effective_n_threads(n_threads, float(taken.size)))
        return taken

    def take_ascending(self, rows: Indices, n_threads: int) -> Values:
        """The same for numbers in ascending order."""
        taken: Values = np.empty((len(rows), self.source.n_columns), dtype=self.dtype)
        if self.source.has_rows and len(rows) * FEW_READS <= len(self):
            self.check_state()
            return self.take_single(rows, n_threads)
        for numbers, values in self.blocks(n_threads):
            here = slice(*np.searchsorted(rows, [numbers.start, numbers.stop]).tolist())
            if here.stop > here.start:
                np.take(values, rows[here] - numbers.start, axis=0, out=taken[here])
        return taken

    def take_single(self, rows: Indices, n_threads: int = 1) -> Values:
        """The same from a source that has single rows.

        rows : at least one.
        """
        taken = self._take_from(rows, n_threads, waits=True)
        assert taken is not None
        return taken

    def take_cached(self, rows: Indices, n_threads: int) -> Values | None:
        """The same if no device is waited for; else None."""
        return self._take_from(rows, n_threads, waits=False)

    def _take_from(self, rows: Indices, n_threads: int, waits: bool) -> Values | None:
        taken: Values = np.empty((len(rows), self.source.n_columns), dtype=self.source.dtype)
        if not self.source.take(rows, taken, n_threads, waits):
            return None
        return taken if self._prepare is None else self._prepare(taken, int(rows[0]))

    def loaded(self) -> Values:
        """Return all rows in one array."""
        self.check_gathered(0 if self.fits_memory else len(self), "all rows in one array")
        values: Values = np.empty((len(self), self.source.n_columns), dtype=self.dtype)
        for rows, block in self.blocks():
            values[rows] = block
        return values

    def check_gathered(self, n_rows: int, what: str) -> None:
        """Raise ValueError if so many rows at once would take too much of the memory limit."""
        needed = GATHERED_SHARE * self._bytes_of(n_rows)
        if needed > self.memory_limit:
            raise ValueError(
                f"memory_limit must be at least {needed:,} bytes for {what}; got {self.memory_limit:,}. Raise it by "
                "open_rows(..., memory_limit=...), or choose init='auto' or 'random', which read rows in blocks."
            )

    def empty(self, shape: tuple[int, ...], dtype: Any) -> AnyArray:
        """Return a new array with a number or more per row: in memory if it is small enough, else on disk."""
        dtype = np.dtype(dtype)
        if prod(shape) * dtype.itemsize * HELD_SHARE <= self.memory_limit:
            return np.empty(shape, dtype=dtype)
        return array_on_disk(shape, dtype, self.cache_dir)

    # ---------------------------------------------------------------- checks

    def _check_finite(self, values: Values, first: int) -> None:
        limit = _FLOAT32_MAX if values.dtype.itemsize == 4 else MAGNITUDE_LIMIT
        if samples.has_unusable(values, limit, effective_n_threads(None, float(values.size))):
            i, f = divmod(find_unusable(values), values.shape[1])
            column = repr(str(self.feature_names[f])) if self.feature_names is not None else f
            refuse(values[i, f], "X", f"{self.source.place(first + i)}, column {column}")

    def _check_mark(self, marks: list[Any], rows: slice) -> None:
        before = self._marks
        if before is not None and (len(marks) > len(before) or before[len(marks) - 1] != marks[-1]):
            raise self._changed(f"rows {rows.start} to {rows.stop - 1} are not what they were")

    def check_state(self) -> None:
        """Raise ValueError if a file has changed since it was opened."""
        if self._state is not None and self.source.state() != self._state:
            raise self._changed("a file has another size or time")

    def _changed(self, how: str) -> ValueError:
        return ValueError(
            f"{self.source.name} must give the same rows in every pass, and has changed since the first one: {how}. Read it when "
            "nobody writes into it; do not shuffle it."
        )


def opened(X: Any, name: str, features: Names | None) -> StreamedRows:
    """Return the rows of a source as a call reads them that was given no limit.   features : as for as_matrix."""
    if isinstance(X, StreamedRows):
        return X
    limit = _checked_limit(None)
    if features is not None and not isinstance(X, np.ndarray):
        try:
            return StreamedRows(open_source(X, features.tolist(), name), limit)
        except ValueError:
            pass  # not all of them are there: whoever compares the names says which
    return StreamedRows(open_source(X, None, name), limit)


def open_rows(
    source: Any, columns: Sequence[Any] | None = None, sample_weight: Any = None, memory_limit: int | None = None,
    cache_dir: Any = None,
) -> StreamedRows:  # fmt: skip
    """Open rows that need not fit memory, for :class:`KMeans` and :func:`elbow`.

    KMeans reads most sources without it. It says which columns are read, where weights are, and how much memory a fit may take.

    Parameters
    ----------
    source : path, list of paths, array, table, iterable or callable
        Where the rows are. Every pass over it must give the same rows.

        - A file: .npy, .parquet, .csv or .tsv. A pattern such as "part-*.npy". A folder of .parquet files. A list of these.
        - A `numpy.memmap`. It is never copied as a whole.
        - A data set or table of pyarrow, a LazyFrame of polars, or another object with ``__arrow_c_stream__``.
        - An object whose ``__iter__`` begins anew each time, or a function that returns a new iterator: they give batches, which
          are arrays or DataFrames.
    columns : sequence of str or int, optional
        The columns of a table that are read, by name or by place. By default all of them, which must hold numbers.
    sample_weight : str or array-like of shape (n_rows,), optional
        The weights of the rows, or the name of the column that holds them.
    memory_limit : int, optional
        Bytes that a fit may take; at least 64 MiB. By default a half of the memory that is free, where the limit of a container
        counts. Rows of at most a third of it are read into one array.
    cache_dir : path, optional
        Folder for arrays with a number per row, such as the labels, where these do not fit memory. By default the system's folder
        of temporary files. Nothing stays there.

    Returns
    -------
    rows : StreamedRows
        Pass them to fit, predict, transform, score or elbow as X.

    Raises
    ------
    TypeError
        If the source can be read only once, as a generator can.
    ValueError
        If it holds no table of numbers, if files do not fit together, if a column is missing, or if the limit is too low.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkmeans import KMeans, open_rows
    >>> np.save("rows-0.npy", np.array([[1.0], [2.0]]))
    >>> np.save("rows-1.npy", np.array([[9.0]]))
    >>> rows = open_rows("rows-*.npy", memory_limit=2**30)
    >>> KMeans(n_clusters=2, random_state=7).fit(rows).labels_
    array([0, 0, 1], dtype=int32)
    """
    limit = _checked_limit(memory_limit)
    folder = _checked_folder(cache_dir)
    if isinstance(source, StreamedRows):
        if columns is not None:
            raise ValueError(
                "columns must be None for rows that are open already; name the columns where you open them."
            )
        source, sample_weight = source.source, source.sample_weight if sample_weight is None else sample_weight
    else:
        given = source
        if columns is None and isinstance(sample_weight, str):
            known = open_source(given).names
            columns = None if known is None else [name for name in known if name != sample_weight]
        source = open_source(given, columns)
        if isinstance(sample_weight, str):
            sample_weight = _weights_of(given, sample_weight, limit, folder)
    rows = StreamedRows(source, limit, folder)
    if sample_weight is not None:
        rows.sample_weight = as_weights(sample_weight, len(rows))
    return rows


def _weights_of(source: Any, column: str, limit: int, folder: str | None) -> AnyArray:
    read = StreamedRows(open_source(source, [column]), limit, folder)
    weights: Floats = np.empty(len(read))
    for rows, values in read.blocks():
        weights[rows] = values[:, 0]
    return weights


def default_limit() -> int:
    """Return the memory limit where none is given."""
    return max(available_memory() // DEFAULT_SHARE, LEAST_LIMIT)


def _checked_limit(memory_limit: Any) -> int:
    if memory_limit is None:
        return default_limit()
    if isinstance(memory_limit, bool) or not isinstance(memory_limit, (int, float, np.integer)):
        raise TypeError(f"memory_limit must be a number of bytes or None; got {memory_limit!r}.")
    if not memory_limit >= LEAST_LIMIT:
        raise ValueError(f"memory_limit must be at least {LEAST_LIMIT} bytes (64 MiB); got {memory_limit!r}.")
    return int(memory_limit)


def _checked_folder(cache_dir: Any) -> str | None:
    if cache_dir is None:
        return None
    import os

    folder = os.fspath(cache_dir)
    if not os.path.isdir(folder):
        raise ValueError(f"cache_dir must be a folder that exists; got {folder!r}. Make it first.")
    return str(folder)

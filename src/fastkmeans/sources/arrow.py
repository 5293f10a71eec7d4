"""Rows of tables that pyarrow reads batch by batch: Parquet and CSV files, data sets, and whatever gives an Arrow stream.

pyarrow is imported when such rows arrive. This is the one file of the folder that names it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from ..input.arrays import FLOAT32, FLOAT64
from ..input.columns import list_names
from ..types import AnyArray, Indices, Names, Values
from .contract import Extent, Pass, Source

ROWS_OF_A_BATCH = 65_536
"""Rows that pyarrow decodes at a time."""

CSV_BLOCK = 4 << 20
"""Bytes of text that pyarrow parses at a time; the types of columns are known from the first."""


def import_pyarrow(name: str) -> Any:
    """Import pyarrow, or raise the ImportError that says how to install it."""
    try:
        import pyarrow
    except ImportError as error:
        raise ImportError(f'{name} needs pyarrow: pip install "fastkmeans-core[io]"') from error
    return pyarrow


def open_parquet(path: str, columns: Sequence[Any] | None) -> Source:
    """Return the rows of a Parquet file."""
    import_pyarrow(path)
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    def begin(names: list[str]) -> Iterator[Any]:
        with ParquetFile(path, buffer_size=1 << 20, pre_buffer=False) as file:
            yield from file.iter_batches(batch_size=ROWS_OF_A_BATCH, columns=names)

    try:
        with ParquetFile(path) as file:
            schema, n_rows = file.schema_arrow, file.metadata.num_rows
    except (ArrowException, OSError) as error:
        raise _refused(path, error) from error
    return TableRows(path, schema, n_rows, begin, columns, path)


def open_csv(path: str, columns: Sequence[Any] | None) -> Source:
    """Return the rows of a CSV file with a header. Columns whose first rows hold numbers are read as float64."""
    pyarrow = import_pyarrow(path)
    from pyarrow import csv

    def reader(names: list[str] | None) -> Any:
        types = None if names is None else dict.fromkeys(names, pyarrow.float64())
        return csv.open_csv(
            path,
            csv.ReadOptions(block_size=CSV_BLOCK),
            csv.ParseOptions(delimiter=_delimiter(path)),
            csv.ConvertOptions(column_types=types, include_columns=names or []),
        )

    def begin(names: list[str]) -> Iterator[Any]:
        with reader(names) as batches:
            yield from batches

    try:
        with reader(None) as batches:
            schema = batches.schema
    except pyarrow.ArrowException as error:
        raise _refused(path, error) from error
    return TableRows(path, schema, None, begin, columns, path, wanted=FLOAT64)


def open_stream(X: Any, name: str, columns: Sequence[Any] | None) -> Source | None:
    """Return the rows of an object that gives a new Arrow stream, or batches of Arrow, each time; None if X is none.

    Raises TypeError if the stream can be read only once.
    """
    module = type(X).__module__.partition(".")[0]
    if module == "pyarrow" and hasattr(X, "scanner") and hasattr(X, "count_rows"):  # a data set

        def scan(names: list[str]) -> Iterator[Any]:
            scanner = X.scanner(columns=names, batch_size=ROWS_OF_A_BATCH, batch_readahead=2, fragment_readahead=1)
            return iter(scanner.to_batches())

        return TableRows(name, X.schema, X.count_rows(), scan, columns)
    if module == "polars" and hasattr(X, "collect_schema") and hasattr(X, "collect"):
        return _open_lazy(X, name, columns)
    if not hasattr(X, "__arrow_c_stream__"):
        return None
    if hasattr(X, "read_next_batch") or hasattr(X, "__next__"):
        raise TypeError(
            f"{name} ({type(X).__name__}) can be read only once, and k-means reads its rows many times; pass the table or data set "
            "that it reads, or a function that returns a new one each time."
        )
    pyarrow = import_pyarrow(name)

    def stream() -> Any:
        return pyarrow.RecordBatchReader.from_stream(X)

    def begin(names: list[str]) -> Iterator[Any]:
        with stream() as batches:
            for batch in batches:
                yield batch.select(names)

    with stream() as batches:
        schema = batches.schema
    n_rows = len(X) if hasattr(X, "__len__") else None
    return TableRows(name, schema, n_rows, begin, columns)


def _open_lazy(X: Any, name: str, columns: Sequence[Any] | None) -> Source:
    """Return the rows of a LazyFrame of polars."""
    pyarrow = import_pyarrow(name)
    if not hasattr(X, "collect_batches"):
        raise TypeError(f"{name} is a LazyFrame of a polars without collect_batches; update polars, or pass its files.")

    def begin(names: list[str]) -> Iterator[Any]:
        lazy = X.select(names)
        for batch in lazy.collect_batches(chunk_size=ROWS_OF_A_BATCH, maintain_order=True):
            yield from pyarrow.table(batch).to_batches()

    schema = pyarrow.table(X.head(0).collect()).schema
    return TableRows(name, schema, None, begin, columns)


def whole_batches(path: str) -> tuple[Any, Iterator[Any]]:
    """Return the schema of a Parquet or CSV file, and its batches with all columns, as pyarrow finds their types."""
    pyarrow = import_pyarrow(path)
    if path.lower().endswith(".parquet"):
        from pyarrow.parquet import ParquetFile

        file = ParquetFile(path, buffer_size=1 << 20, pre_buffer=False)
        return file.schema_arrow, _until_closed(file, file.iter_batches(batch_size=ROWS_OF_A_BATCH), path)
    from pyarrow import csv

    try:
        reader = csv.open_csv(path, csv.ReadOptions(block_size=CSV_BLOCK), csv.ParseOptions(delimiter=_delimiter(path)))
    except pyarrow.ArrowException as error:
        raise _refused(path, error) from error
    return reader.schema, _until_closed(reader, reader, path)


def _until_closed(file: Any, batches: Iterable[Any], path: str) -> Iterator[Any]:
    with file:
        try:
            yield from batches
        except (KeyError, OSError, ValueError) as error:
            raise _refused(path, error) from error


def _delimiter(path: str) -> str:
    return "\t" if path.lower().endswith(".tsv") else ","


class TableRows:
    """Rows of a table whose batches pyarrow gives.

    schema : of pyarrow.   begin : (names of columns) -> a new iterator over RecordBatches.
    columns : which columns, by name or place; None for all but those that pandas calls an index.
    path : of a file.   wanted : the type of the rows; by default float32 if all columns are, else float64.
    """

    has_rows = False

    def __init__(
        self, name: str, schema: Any, n_rows: int | None, begin: Callable[[list[str]], Iterator[Any]],
        columns: Sequence[Any] | None, path: str | None = None, wanted: np.dtype[Any] | None = None,
    ) -> None:  # fmt: skip
        self.name, self.n_rows, self._begin, self._path = name, n_rows, begin, path
        self.chosen = _chosen(schema, columns, name)
        self.n_columns = len(self.chosen)
        self.names: Names | None = np.array(self.chosen, dtype=object)
        types = [schema.field(column).type for column in self.chosen]
        self.dtype = wanted or (FLOAT32 if all(str(kind) == "float" for kind in types) else FLOAT64)

    def start(self) -> Pass:
        return _TablePass(self)

    def batches(self) -> Iterator[Any]:
        return self._begin(self.chosen)

    def state(self) -> Any:
        if self._path is None:
            return None
        found = os.stat(self._path)
        return found.st_ino, found.st_size, found.st_mtime_ns

    def take(self, rows: Indices, out: Values, n_threads: int, waits: bool = True) -> bool:
        raise NotImplementedError("tables are read in passes only")

    def extents(self) -> list[Extent] | None:
        return None

    def place(self, row: int) -> str:
        return f"row {row} of {self.name}"


class _TablePass:
    def __init__(self, table: TableRows) -> None:
        self._table, self._batches, self._read = table, table.batches(), 0
        self._rest: list[AnyArray] | None = None

    def read(self, out: Values) -> int:
        from ..input.tables import fill_columns

        done = 0
        while done < len(out):
            if self._rest is None:
                batch = self._next_batch()
                if batch is None:
                    break
                self._rest = [_as_array(column) for column in batch.columns]
            n_rows = min(len(self._rest[0]), len(out) - done)
            fill_columns([column[:n_rows] for column in self._rest], out[done : done + n_rows])
            done += n_rows
            self._rest = [column[n_rows:] for column in self._rest] if n_rows < len(self._rest[0]) else None
        self._read += done
        return done

    def read_cached(self, out: Values, n_threads: int) -> int:
        return -1

    def _next_batch(self) -> Any:
        """Return the next batch with rows, None at the end."""
        try:
            for batch in self._batches:
                if batch.num_rows:
                    return batch
        except (KeyError, OSError, ValueError) as error:  # errors of pyarrow are some of these
            raise _refused(f"{self._table.name} after row {self._read}", error) from error
        return None

    def close(self) -> None:
        close = getattr(self._batches, "close", None)
        if close is not None:
            close()


def _as_array(column: Any) -> AnyArray:
    """Return a column of numbers of pyarrow as an array, nulls as NaN."""
    kind = str(column.type)
    if kind == "bool" or kind.startswith("decimal"):
        column = column.cast("float64")
    array: AnyArray = column.to_numpy(zero_copy_only=False)
    return array


def _chosen(schema: Any, columns: Sequence[Any] | None, name: str) -> list[str]:
    """Return the names of the columns to read; raise ValueError if one is missing, or does not hold numbers."""
    known = list(schema.names)
    if len(set(known)) < len(known):
        raise ValueError(f"{name} must have unique column names; rename the repeated ones.")
    if columns is None:
        index = (schema.pandas_metadata or {}).get("index_columns", ()) if schema.metadata else ()
        chosen = [column for column in known if column not in [kept for kept in index if isinstance(kept, str)]]
    else:
        chosen = [
            known[column] if isinstance(column, int) and column not in known and 0 <= column < len(known) else column
            for column in columns
        ]
        missing = [column for column in chosen if column not in known]
        if missing:
            raise ValueError(
                f"columns names {list_names(missing)}, which {name} does not have; it has {list_names(known)}."
            )
    if not chosen:
        raise ValueError(f"{name} has no columns to cluster; pass the names of some that hold numbers as columns.")
    refused = [
        f"{column!r} ({schema.field(column).type})" for column in chosen if not _is_number(schema.field(column).type)
    ]
    if refused:
        listed = ", ".join(refused[:5]) + (f" and {len(refused) - 5} more" if len(refused) > 5 else "")
        raise ValueError(
            f"{name} has columns that do not hold numbers: {listed}. Pass the others as columns, to open_rows."
        )
    return chosen


def _is_number(kind: Any) -> bool:
    from pyarrow import types

    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind) or types.is_decimal(kind))


def _refused(place: str, error: Exception) -> ValueError:
    return ValueError(f"{place} cannot be read: {error}")

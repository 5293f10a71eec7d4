"""Rows that come in batches from an iterable or a callable of the user's."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..input.columns import list_names
from ..input.matrix import Matrix, as_matrix
from ..types import Indices, Names, Values
from .contract import Extent, Pass


def is_one_shot(X: Any) -> bool:
    """Say whether iterating over X uses it up: an iterator, such as a generator, an open file or a reader of batches."""
    return hasattr(X, "__next__")


class Batches:
    """Batches of rows: arrays or DataFrames of any lengths, with the same columns and types.

    begin : returns a new iterator over all batches.
    """

    has_rows = False
    n_rows: int | None = None

    def __init__(self, begin: Callable[[], Any], name: str, columns: list[Any] | None) -> None:
        self._begin, self.name, self._columns = begin, name, columns
        self.starts, self.numbers = [0], [0]  # of each batch with rows, in the last pass: its first row, and its number
        first = next((batch for _, batch in self._matrices()), None)
        if first is None:
            raise ValueError(f"{name} gives no batch with rows; pass at least one row.")
        self.n_columns, self.dtype, self.names = first.values.shape[1], first.values.dtype, first.feature_names

    def start(self) -> Pass:
        return _BatchPass(self)

    def state(self) -> Any:
        return None

    def take(self, rows: Indices, out: Values, n_threads: int, waits: bool = True) -> bool:
        raise NotImplementedError("batches are read in passes only")

    def extents(self) -> list[Extent] | None:
        return None

    def place(self, row: int) -> str:
        i = bisect_right(self.starts, row) - 1
        return f"row {row - self.starts[i]} of batch {self.numbers[i]} of {self.name} (row {row} in all)"

    def _matrices(self) -> Iterator[tuple[int, Matrix]]:
        """Yield the number of each batch with rows, and its rows."""
        for i, batch in enumerate(self._begin()):
            if getattr(batch, "shape", (1,))[0] == 0:
                continue
            if self._columns is not None:
                batch = batch[:, self._columns] if isinstance(batch, np.ndarray) else _selected(batch, self._columns)
            yield i, as_matrix(batch, name=f"batch {i} of {self.name}")

    def checked(self) -> Iterator[Values]:
        """Yield the values of each batch; raise ValueError if its columns or its type are not those of the first."""
        self.starts, self.numbers, n_rows = [], [], 0
        for i, batch in self._matrices():
            called = f"batch {i} of {self.name}"
            if batch.values.shape[1] != self.n_columns:
                raise ValueError(
                    f"{called} has {batch.values.shape[1]} columns, and the first has {self.n_columns}; give all batches as many."
                )
            if batch.values.dtype != self.dtype:
                raise ValueError(
                    f"{called} is read as {batch.values.dtype}, and the first as {self.dtype}; give all batches one type."
                )
            if not _same(batch.feature_names, self.names):
                shown = [
                    list_names(list(names)) if names is not None else "none"
                    for names in (batch.feature_names, self.names)
                ]
                raise ValueError(
                    f"{called} has column names {shown[0]}, and the first has {shown[1]}; give all the same."
                )
            self.starts.append(n_rows)
            self.numbers.append(i)
            n_rows += len(batch.values)
            yield batch.values


def _selected(batch: Any, columns: list[Any]) -> Any:
    from ..input.tables import select_columns

    return select_columns(batch, columns)


def _same(names: Names | None, others: Names | None) -> bool:
    if names is None or others is None:
        return names is others
    return list(names) == list(others)


class _BatchPass:
    def __init__(self, batches: Batches) -> None:
        self._coming = batches.checked()
        self._rest: Values | None = None

    def read(self, out: Values) -> int:
        done = 0
        while done < len(out):
            if self._rest is None:
                self._rest = next(self._coming, None)
                if self._rest is None:
                    break
            part = self._rest[: len(out) - done]
            out[done : done + len(part)] = part
            done += len(part)
            self._rest = self._rest[len(part) :] if len(part) < len(self._rest) else None
        return done

    def read_cached(self, out: Values, n_threads: int) -> int:
        return -1

    def close(self) -> None:
        self._coming.close()  # type: ignore[attr-defined]  # a generator

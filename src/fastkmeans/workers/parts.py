"""The parts of samples on workers: where each lies in the order of all samples, and how tasks reach them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..samples import LEAF
from ..types import AnyArray, Indices, Values
from . import part_tasks, running
from .transport import Handle, Transport


class Parted:
    """Parts that are not empty.

    numbers : of the parts, among those that may be empty.
    transport : to the workers.   handles : of the parts, in the order of the samples.   lengths : samples of each part.
    name : what tasks know these samples by.
    """

    def __init__(
        self, transport: Transport, handles: list[Handle], lengths: list[int], name: str, numbers: list[int]
    ) -> None:
        self.transport, self.handles, self.name, self.numbers = transport, handles, name, numbers
        ends = np.cumsum([0, *lengths])
        self.n_samples = int(ends[-1])
        self.starts: Indices = ends[:-1].astype(np.int64)
        self.rows = [slice(first, end) for first, end in zip(ends.tolist(), ends[1:].tolist())]

    @classmethod
    def measured(cls, transport: Transport, handles: list[Handle], name: str) -> Parted:
        """Return the parts that are not empty, after asking each for its length. Raises ValueError if all are empty."""
        numbered = [(i,) for i in range(len(handles))]
        found = dict(transport.reduce(part_tasks.measure_part, [(h,) for h in handles], numbered, (), running.listed))
        lengths = [found[i] for i in range(len(handles))]
        if not any(lengths):
            raise ValueError("X must have at least one sample; all its partitions are empty.")
        held = [i for i, length in enumerate(lengths) if length]
        return cls(transport, [handles[i] for i in held], [lengths[i] for i in held], name, held)

    def reduce(
        self, task: Callable[..., Any], merge: Callable[[list[Any]], Any], shared: tuple[Any, ...] = (),
        with_number: bool = False, with_first: bool = False,
    ) -> Any:  # fmt: skip
        """Run a task on every part, and merge the results.

        with_number, with_first : whether the task is told the number of the part, and of its first sample.
        """
        sources = [(handle,) for handle in self.handles]
        arguments = [
            (*([i] if with_number else []), *([rows.start] if with_first else [])) for i, rows in enumerate(self.rows)
        ]
        return self.transport.reduce(task, sources, arguments, shared, merge)

    def divide(self, rows: Indices) -> Iterator[tuple[int, Indices, Any]]:
        """Yield for each part that has some of the rows: its number, their numbers within it, and their places in `rows`."""
        parts = np.searchsorted(self.starts, rows, side="right") - 1
        order = np.argsort(parts, kind="stable")
        ends = np.searchsorted(parts[order], np.arange(len(self.rows) + 1))
        for i in np.flatnonzero(np.diff(ends)).tolist():
            places = order[ends[i] : ends[i + 1]]
            yield i, rows[places] - self.starts[i], places

    def at(
        self, task: Callable[..., Any], rows: Indices, shared: tuple[Any, ...], handles: list[Handle] | None = None,
        with_number: bool = False,
    ) -> list[Any]:  # fmt: skip
        """Run a task on the parts that have some of the rows, and list the results.

        task : called with a part (with_number: its number, that of its first sample), the rows within it, their places, and
        `shared`.   handles : what the task gets in place of the parts.
        """
        sources, arguments = [], []
        for i, own, places in self.divide(rows):
            sources.append(((handles or self.handles)[i],))
            arguments.append((*((i, self.rows[i].start) if with_number else ()), own, places))
        found: list[Any] = self.transport.reduce(task, sources, arguments, shared, running.listed) if sources else []
        return found

    def slice_of(self, i: int, rows: slice, divisors: tuple[float, ...] | None = None) -> tuple[Values, Any]:
        """Return values and weights of a slice of part i; see part_tasks.slice_of."""
        found = self.transport.reduce(
            part_tasks.slice_of, [(self.handles[i],)], [(0, rows)], (divisors,), running.listed
        )
        _, values, weights = found[0]
        return values, weights

    def within(self, rows: slice) -> Iterator[tuple[slice, int, slice]]:
        """Yield for each part that has some of these samples: their places in the slice, its number, the slice of the part."""
        for i, own in enumerate(self.rows):
            first, end = max(rows.start, own.start), min(rows.stop, own.stop)
            if first < end:
                yield slice(first - rows.start, end - rows.start), i, slice(first - own.start, end - own.start)

    def seams(self) -> list[Handle]:
        """Return the leaves that lie in several parts, each put together on a worker, and the last leaf if it is short.

        At most 1023 samples travel from each end of a part.
        """
        leaves: dict[int, list[tuple[int, int]]] = {}  # leaf -> (part, 0 for its head or 1 for its tail)
        for i, rows in enumerate(self.rows):
            start, stop = part_tasks.whole_leaves(rows.start, rows.stop - rows.start)
            if start:
                leaves.setdefault(rows.start // LEAF, []).append((i, 0))
            if rows.start + stop < rows.stop:
                leaves.setdefault((rows.start + stop) // LEAF, []).append((i, 1))
        cut = sorted({i for pieces in leaves.values() for i, _ in pieces})
        firsts = [(self.rows[i].start,) for i in cut]
        edges = dict(zip(cut, self.transport.map(part_tasks.edges_of, [(self.handles[i],) for i in cut], firsts)))
        sources = [tuple(edges[i] for i, _ in pieces) for pieces in leaves.values()]
        sides = [(tuple(side for _, side in pieces),) for pieces in leaves.values()]
        return self.transport.map(part_tasks.join_edges, sources, sides)


def filled(count: int, dtype: Any, found: list[tuple[Any, AnyArray]]) -> AnyArray:
    """Return an array made of arrays that go to places of it."""
    whole = np.empty(count, dtype=dtype)
    for places, values in found:
        whole[places] = values
    return whole

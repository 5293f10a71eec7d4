"""Weights of samples on workers, and rows drawn there in proportion to masses."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from ..types import AnyArray, Floats, Indices, Masses
from . import mass_tasks, part_tasks, running
from .parts import Parted, filled
from .transport import Handle


class RemoteWeights:
    """Stands for (n_samples,) weights. Indices gather what they need.

    divisors : the weights of the parts are divided by these numbers, one after the other.
    """

    def __init__(self, parted: Parted, divisors: tuple[float, ...] = ()) -> None:
        self._parted, self.divisors = parted, divisors

    def __len__(self) -> int:
        return self._parted.n_samples

    def __truediv__(self, divisor: float) -> RemoteWeights:
        return RemoteWeights(self._parted, (*self.divisors, divisor))

    @cached_property
    def _measured(self) -> tuple[float, ...]:
        found = self._parted.reduce(part_tasks.weigh_part, running.maxima, (self.divisors,))
        return tuple(map(float, found))

    def max(self) -> float:
        """Return the largest weight."""
        return self._measured[2]

    def min(self) -> float:
        """Return the least weight."""
        return -self._measured[0]

    @property
    def least(self) -> float:
        """The least weight above 0."""
        return -self._measured[1]

    @property
    def are_float32(self) -> bool:
        """Has each weight a float32 of the same value?"""
        return not self._measured[3]

    def count_above(self, least: float) -> int:
        """Return how many weights are above `least`."""
        (count,) = self._parted.reduce(part_tasks.count_seen, running.add, (self.divisors, least))
        return int(count)

    def masses(self, per_largest: float) -> RemoteMasses:
        """Return masses in proportion to the weights; see drawing.whole_masses."""
        parted, own = self._parted, (self.divisors, self.max(), per_largest)
        sources = [(handle,) for handle in parted.handles]
        return RemoteMasses(parted, parted.transport.map(mass_tasks.masses_by_weight, sources, [own] * len(sources)))

    def __getitem__(self, rows: Any) -> Any:
        if isinstance(rows, (int, np.integer)):
            return float(self[np.array([rows])][0])
        if isinstance(rows, slice):
            found = [
                (places, self._parted.slice_of(i, own, self.divisors)[1])
                for places, i, own in self._parted.within(rows)
            ]
            return filled(rows.stop - rows.start, np.float64, found)
        return filled(len(rows), np.float64, self._parted.at(part_tasks.weights_at, rows, (self.divisors,)))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> AnyArray:
        return self[slice(0, len(self))]  # type: ignore[no-any-return]


class RemoteMasses:
    """As Drawn, on workers.   handles : of the masses of each part."""

    def __init__(self, parted: Parted, handles: list[Handle]) -> None:
        self._parted, self._handles = parted, handles
        sources, numbers = [(handle,) for handle in handles], [(i,) for i in range(len(handles))]
        found = dict(parted.transport.reduce(mass_tasks.sum_masses, sources, numbers, (), running.listed))
        self._ends = np.cumsum([0, *(found[i] for i in range(len(handles)))])

    @property
    def total(self) -> int:
        """The sum of all masses."""
        return int(self._ends[-1])

    def rows_at(self, places: Masses, n_threads: int) -> Indices:
        """Return the row at which the running sum of the masses passes each place."""
        cuts = np.searchsorted(places, self._ends)
        sources, arguments = [], []
        for i, handle in enumerate(self._handles):
            where = slice(cuts[i], cuts[i + 1])
            if where.start < where.stop:
                sources.append((handle,))
                arguments.append((places[where] - self._ends[i], where, self._parted.rows[i].start))
        found = self._parted.transport.reduce(mass_tasks.rows_at, sources, arguments, (), running.listed)
        return filled(len(places), np.intp, found)

    def masses_of(self, rows: Indices) -> Masses:
        """Return the masses of some rows."""
        return filled(len(rows), np.int64, self._parted.at(mass_tasks.masses_at, rows, (), handles=self._handles))


class RemoteWeighing:
    """As Weighing, on workers."""

    def __init__(self, parted: Parted, weights: RemoteWeights | None, centers: Floats) -> None:
        self._parted, self._n_centers = parted, len(centers)
        self._divisors = None if weights is None else weights.divisors
        sources = [(handle,) for handle in parted.handles]
        measured = parted.transport.map(mass_tasks.measure_distances, sources, [(centers,)] * len(sources))
        # The masses lie where the distances lie: a task runs where its first source is.
        self._sources = list(zip(measured, parted.handles, strict=True))

    def largest(self) -> float:
        """See Weighing."""
        return float(self._reduce(mass_tasks.largest_weighed, running.maxima, ())[0])

    def weigh(self, unit: float, per_weight: float, per_distance: float) -> tuple[Masses, int]:
        """See Weighing."""
        shared = unit, per_weight, per_distance, self._n_centers
        sizes, total = self._reduce(mass_tasks.weigh_distances, running.add, shared)
        return sizes, int(total)

    def masses(self, of_cluster: Floats, unit: float, of_distance: float, per_mass: float) -> RemoteMasses:
        """See Weighing."""
        own = self._divisors, of_cluster, unit, of_distance, per_mass
        handles = self._parted.transport.map(mass_tasks.set_masses, self._sources, [own] * len(self._sources))
        return RemoteMasses(self._parted, handles)

    def _reduce(self, task: Any, merge: Any, shared: tuple[Any, ...]) -> Any:
        nothing: list[tuple[Any, ...]] = [()] * len(self._sources)
        return self._parted.transport.reduce(task, self._sources, nothing, (self._divisors, *shared), merge)

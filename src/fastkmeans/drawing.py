"""Rows drawn in proportion to masses. Masses are whole numbers, so that the rows do not depend on how samples are divided."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ._core import coreset
from .types import Floats, Indices, Masses

if TYPE_CHECKING:
    from .samples import Samples


class Drawn(NamedTuple):
    """Masses in proportion to which rows are drawn.   mass : (n_samples,).   sums : of each run of ROWS_TOGETHER masses.

    Samples that lie elsewhere have masses of another class, with the same methods.
    """

    mass: Masses
    sums: Masses

    @property
    def total(self) -> int:
        """The sum of all masses."""
        return int(self.sums.sum())

    def rows_at(self, places: Masses, n_threads: int) -> Indices:
        """Return the row at which the running sum of the masses passes each place.   places : ascending, below the total."""
        rows = np.empty(len(places), dtype=np.intp)
        coreset.rows_at(self.mass, self.sums, places, rows, n_threads)
        return rows

    def masses_of(self, rows: Indices) -> Masses:
        """Return the masses of some rows."""
        return self.mass[rows]


def whole_masses(shares: Floats, largest: float, per_largest: float) -> Masses:
    """Return masses in proportion to shares: per_largest for the largest share. Fractions are rounded up."""
    masses: Masses = np.ceil(shares / largest * per_largest).astype(np.int64)
    return masses


def in_runs(mass: Masses) -> Drawn:
    """Return masses, added up run by run."""
    return Drawn(mass, np.add.reduceat(mass, np.arange(0, len(mass), coreset.ROWS_TOGETHER)))


class Weighing:
    """How far samples lie from the nearest of some centers, and the masses that follow from that (fitting/coreset.py).

    weights : (n_samples,), the largest 1, or None.   centers : (n_centers, n_features).
    """

    def __init__(self, samples: Samples, weights: Floats | None, centers: Floats, n_threads: int) -> None:
        self._weights, self._n_threads, self._n_centers = weights, n_threads, len(centers)
        self._labels = samples.nearest(centers, n_threads)
        self._sq_distances = samples.own_sq_distances(centers, self._labels, n_threads)

    def largest(self) -> float:
        """Return the largest weight * squared distance."""
        return coreset.largest_weighed(self._sq_distances, self._weights, self._n_threads)

    def weigh(self, unit: float, per_weight: float, per_distance: float) -> tuple[Masses, int]:
        """Return the weight of each cluster and the sum of weight * squared distance, in whole numbers; see coreset.weigh."""
        sizes = np.zeros(self._n_centers, dtype=np.int64)
        total = coreset.weigh(
            self._labels, self._sq_distances, self._weights, unit, per_weight, per_distance, sizes, self._n_threads
        )
        return sizes, total

    def masses(self, of_cluster: Floats, unit: float, of_distance: float, per_mass: float) -> Drawn:
        """Return the masses; see coreset.set_masses. The masses take the memory of the distances: this call is the last."""
        sums = coreset.set_masses(
            self._labels, self._sq_distances, self._weights, of_cluster, unit, of_distance, per_mass, self._n_threads
        )
        return Drawn(self._sq_distances.view(np.int64), sums)

"""Tasks about the masses by which rows are drawn; see drawing.py."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .._core import coreset, distances
from ..drawing import in_runs, whole_masses
from ..types import Floats, Indices, Labels, Masses
from .part_tasks import Part, nearest_labels, weights_of
from .running import own_threads


class Measured(NamedTuple):
    """What masses follow from: labels and squared distances to the nearest of some centers."""

    labels: Labels
    sq_distances: Floats


def measure_distances(part: Part, centers: Floats) -> Measured:
    """Return labels and squared distances of a part."""
    labels, own = nearest_labels(part.values, centers), np.empty(len(part.values))
    distances.own_sq_distances(part.values, centers, labels, own, own_threads(float(part.values.size)))
    return Measured(labels, own)


def largest_weighed(measured: Measured, part: Part, divisors: tuple[float, ...] | None) -> tuple[float]:
    """Return the largest weight * squared distance."""
    return (coreset.largest_weighed(measured.sq_distances, weights_of(part, divisors), own_threads()),)


def weigh_distances(
    measured: Measured, part: Part, divisors: tuple[float, ...] | None, unit: float, per_weight: float,
    per_distance: float, n_centers: int,
) -> tuple[Masses, int]:  # fmt: skip
    """See Weighing.weigh."""
    sizes = np.zeros(n_centers, dtype=np.int64)
    total = coreset.weigh(
        measured.labels, measured.sq_distances, weights_of(part, divisors), unit, per_weight, per_distance, sizes,
        own_threads(),
    )  # fmt: skip
    return sizes, total


def set_masses(
    measured: Measured, part: Part, divisors: tuple[float, ...] | None, of_cluster: Floats, unit: float,
    of_distance: float, per_mass: float,
) -> Masses:  # fmt: skip
    """See Weighing.masses."""
    mass = measured.sq_distances.copy()
    coreset.set_masses(
        measured.labels, mass, weights_of(part, divisors), of_cluster, unit, of_distance, per_mass, own_threads()
    )
    return mass.view(np.int64)


def masses_by_weight(part: Part, divisors: tuple[float, ...], largest: float, per_largest: float) -> Masses:
    """Return masses in proportion to the weights."""
    weights = weights_of(part, divisors)
    assert weights is not None
    return whole_masses(weights, largest, per_largest)


def sum_masses(mass: Masses, number: int) -> list[tuple[int, int]]:
    """Return the number of the part and the sum of its masses."""
    return [(number, int(mass.sum()))]


def rows_at(mass: Masses, places: Masses, where: slice, first: int) -> list[tuple[slice, Indices]]:
    """Return the rows at which the running sum of the masses passes each place; see Drawn.   first : number of row 0."""
    rows = in_runs(mass).rows_at(places, own_threads())
    return [(where, rows + first)]


def masses_at(mass: Masses, rows: Indices, places: Any) -> list[tuple[Any, Masses]]:
    """Return the masses of some rows, and the places where they go."""
    return [(places, mass[rows])]

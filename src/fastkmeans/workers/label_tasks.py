"""Tasks about labels, which are those of the nearest centers: inertia, counts, farthest samples, sums on grids of their own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from .._core import distances
from .._core.doubtful import ByLabel, SumsAnew
from .._core.totals import Totals
from ..engines.contract import count_rows_of, largest
from ..runtime.parts import parts_of
from ..samples import leaf_inertias
from ..types import Flags, Floats, Indices, Labels
from .kept import Kept, put_back, take_out
from .part_tasks import Part, nearest_labels, weights_of, whole_leaves
from .running import own_threads
from .step_tasks import Setup


class LabelsRef(NamedTuple):
    """Labels that nobody holds: those of the nearest of some centers.

    setup, iteration : a step that found the same labels, which workers may have kept; None and -1 if there is none.
    relabelled : numbers of samples that have another label, ascending, and that label.   kind : of the distance.
    """

    centers: Floats
    setup: Setup | None = None
    iteration: int = -1
    relabelled: tuple[Indices, int] | None = None
    kind: int = distances.EUCLIDEAN


@contextmanager
def _labels_of(part: Part, number: int, first: int, ref: LabelsRef) -> Iterator[Labels]:
    """Give the labels of a part: those of the state that is kept, which others must not take meanwhile, or new ones."""
    setup, values = ref.setup, part.values
    state = setup and take_out(setup.samples, number, setup.run, ref.iteration, values)
    if state is None:
        labels = nearest_labels(values, ref.centers, ref.kind)
    else:
        labels = state.clusters.labels
    if ref.relabelled is not None:
        rows, label = ref.relabelled
        labels = labels.copy()
        labels[rows[(first <= rows) & (rows < first + len(values))] - first] = label
    try:
        yield labels
    finally:
        if state is not None and setup is not None:
            put_back(setup.samples, number, Kept(setup.run, ref.iteration, state, values))


def labels_of(part: Part, number: int, first: int, ref: LabelsRef) -> list[tuple[int, Labels]]:
    """Return the labels of a part, behind the number of its first sample."""
    with _labels_of(part, number, first, ref) as labels:
        return [(first, labels.copy())]


def labels_at(
    part: Part, number: int, first: int, rows: Indices, places: Any, ref: LabelsRef
) -> list[tuple[Any, Labels]]:
    """Return the labels of some rows of a part, and the places where they go."""
    with _labels_of(part, number, first, ref) as labels:
        return [(places, labels[rows])]


def inertia_of_part(
    part: Part, number: int, first: int, ref: LabelsRef, centers: Floats, divisors: tuple[float, ...] | None, kind: int
) -> tuple[Totals, Floats]:
    """Return the inertia of the whole leaves of a part."""
    start, stop = whole_leaves(first, len(part.values))
    leaves = np.empty(0)
    if start < stop:
        with _labels_of(part, number, first, ref) as labels:
            leaves = _leaves(Part(*(_cut(x, start, stop) for x in part)), labels[start:stop], centers, divisors, kind)
    return _total(leaves)


def _cut(x: Any, start: int, stop: int) -> Any:
    return None if x is None else x[start:stop]


def inertia_of_seam(
    part: Part, ref: LabelsRef, centers: Floats, divisors: tuple[float, ...] | None, kind: int
) -> tuple[Totals, Floats]:
    """Return the inertia of a seam, whose labels are found anew."""
    return _total(_leaves(part, nearest_labels(part.values, ref.centers, ref.kind), centers, divisors, kind))


def _leaves(part: Part, labels: Labels, centers: Floats, divisors: tuple[float, ...] | None, kind: int) -> Floats:
    n_threads = own_threads(float(part.values.size))
    return leaf_inertias(part.values, centers, labels, weights_of(part, divisors), n_threads, kind)


def _total(leaves: Floats) -> tuple[Totals, Floats]:
    total = Totals(1)
    total.add(leaves[:, None])
    return total, np.zeros(1)


def count_part(
    part: Part, number: int, first: int, ref: LabelsRef, divisors: tuple[float, ...] | None, n_clusters: int
) -> tuple[Indices]:
    """Return the number of samples with weight in each cluster."""
    with _labels_of(part, number, first, ref) as labels:
        return (count_rows_of(labels, weights_of(part, divisors), n_clusters),)


def farthest_in(
    part: Part, number: int, first: int, ref: LabelsRef, centers: Floats, divisors: tuple[float, ...] | None, kind: int,
    count: int,
) -> tuple[Indices, Floats, Labels]:  # fmt: skip
    """Return the samples of a part that are farthest from the centers of their labels: as Served, without distances of 0."""
    n_threads, weights = own_threads(float(part.values.size)), weights_of(part, divisors)
    with _labels_of(part, number, first, ref) as labels:
        own = np.empty(len(labels))
        distances.own_sq_distances(part.values, centers, labels, own, n_threads, kind)
        if weights is not None:
            own[weights <= 0.0] = 0.0
        chosen = largest(own, min(count, len(own)))
        chosen = chosen[own[chosen] > 0.0]
        return chosen + first, own[chosen], labels[chosen]


@dataclass(frozen=True)
class MergeFarthest:
    """Merges what farthest_in found.   count : how many samples are wanted."""

    count: int

    def __call__(self, found: list[tuple[Indices, Floats, Labels]]) -> tuple[Indices, Floats, Labels]:
        rows, apart, labels = (np.concatenate(values) for values in zip(*found))
        first = np.lexsort((rows, -apart))[: self.count]
        return rows[first], apart[first], labels[first]


def weigh_clusters(
    part: Part, number: int, first: int, ref: LabelsRef, wanted: Flags, divisors: tuple[float, ...] | None
) -> tuple[Floats, Indices]:
    """Return the largest weight and the number of samples of each wanted cluster."""
    anew, _, _ = _weighed(part, number, first, ref, wanted, divisors)
    return anew.heaviest, anew.counts


def merge_clusters(found: list[tuple[Floats, Indices]]) -> tuple[Floats, Indices]:
    """Merge what weigh_clusters found."""
    return np.maximum.reduce([each[0] for each in found]), np.add.reduce([each[1] for each in found])


def measure_clusters(
    part: Part,
    number: int,
    first: int,
    ref: LabelsRef,
    wanted: Flags,
    divisors: tuple[float, ...] | None,
    units: Floats,
) -> tuple[Floats]:
    """Return the largest weight * |x| of each wanted cluster and feature, in the units of the clusters."""
    anew, order, weights = _weighed(part, number, first, ref, wanted, divisors)
    anew.units[:] = units
    anew.measure(part.values, weights, order)
    return (anew.largest,)


def add_clusters(
    part: Part, number: int, first: int, ref: LabelsRef, wanted: Flags, divisors: tuple[float, ...] | None, units: Floats,
    counts: Indices, largest: Floats,
) -> tuple[Floats]:  # fmt: skip
    """Return the sums of each wanted cluster."""
    anew, order, weights = _weighed(part, number, first, ref, wanted, divisors)
    anew.units[:] = units
    scaled = anew.measure(part.values, weights, order)
    anew.counts[:], anew.largest[:] = counts, largest
    anew.add(part.values, scaled, order)
    return (anew.sums,)


def _weighed(
    part: Part, number: int, first: int, ref: LabelsRef, wanted: Flags, divisors: tuple[float, ...] | None
) -> tuple[SumsAnew, ByLabel, Floats | None]:
    weights = weights_of(part, divisors)
    anew = SumsAnew(wanted, part.values.shape[1], own_threads(float(part.values.size)))
    with _labels_of(part, number, first, ref) as labels:
        order = ByLabel(labels, len(wanted))
    anew.weigh(weights, order)
    return anew, order, weights


def sizes_on_grid(
    part: Part, number: int, first: int, ref: LabelsRef, doubtful: Flags, features: Indices, coarse: Floats,
    divisors: tuple[float, ...] | None,
) -> tuple[Floats]:  # fmt: skip
    """Return sums of weight * |x| over each doubtful cluster on the coarse grid, where nothing rounds; see doubtful.Trusted.

    features : those to sum.   coarse : (n_features + 1,), the grid.
    """
    weights = weights_of(part, divisors)
    sizes = np.zeros((len(doubtful), len(features)))
    with _labels_of(part, number, first, ref) as labels:
        chosen = np.flatnonzero(doubtful[labels])
        for at in parts_of(len(chosen)):
            rows = chosen[at]
            for p, f in enumerate(features.tolist()):
                value = np.abs(part.values[rows, f].astype(np.float64))
                value = value if weights is None else value * weights[rows]
                value = (value + coarse[f]) - coarse[f]
                sizes[:, p] += np.bincount(labels[rows], weights=value, minlength=len(doubtful))
    return (sizes,)

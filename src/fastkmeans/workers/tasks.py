"""The tasks that workers run: pure functions of parts of the samples, of centers and of numbers. They know no transport."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from .._core import coreset, distances, samples
from .._core.doubtful import ByLabel, SumsAnew
from .._core.totals import Totals
from ..algorithms.copies import copies_of
from ..algorithms.table import ALGORITHMS
from ..drawing import in_runs, whole_masses
from ..engines.contract import count_rows_of, largest
from ..runtime.blas import one_blas_thread
from ..runtime.parts import parts_of
from ..runtime.threads import assignment_work, effective_n_threads
from ..samples import LEAF, Description, Samples, describe_leaves, leaf_inertias
from ..types import AnyArray, Flags, Floats, Indices, Labels, Masses, Values
from .kept import Kept, put_back, take_out

_here = threading.local()


@contextmanager
def using_threads(n_threads: int | None) -> Iterator[None]:
    """Let the tasks of this thread use so many threads; None as in KMeans."""
    before, _here.n_threads = getattr(_here, "n_threads", None), n_threads
    try:
        yield
    finally:
        _here.n_threads = before


def _n_threads(work: float = float("inf")) -> int:
    return effective_n_threads(getattr(_here, "n_threads", None), work)


def run_group(
    task: Callable[..., Any], merge: Callable[[list[Any]], Any], shared: tuple[Any, ...],
    group: Sequence[tuple[Sequence[Any], tuple[Any, ...]]],
) -> Any:  # fmt: skip
    """Run a task for each member of a group, and merge the results.   group : (sources, arguments) of each."""
    return merge([task(*held, *own, *shared) for held, own in group])


# ---------------------------------------------------------------- merging


def add(found: list[tuple[Any, ...]]) -> tuple[Any, ...]:
    """Add results up, place by place: numbers and arrays whose sums are exact."""
    return tuple(sum(values[1:], values[0]) for values in zip(*found))


def maxima(found: list[tuple[Any, ...]]) -> tuple[Any, ...]:
    """Return the largest, place by place."""
    return tuple(np.maximum.reduce(values) for values in zip(*found))


def listed(found: list[list[Any]]) -> list[Any]:
    """Return all entries of lists in one."""
    return [entry for entries in found for entry in entries]


def merge_totals(found: list[tuple[Totals, Floats]]) -> tuple[Totals, Floats]:
    """Merge totals, and the largest of what stands beside them."""
    merged = Totals(found[0][0].n_totals)
    for totals, _ in found:
        merged.merge(totals)
    return merged, np.maximum.reduce([beside for _, beside in found])


def merge_steps(found: list[Stepped]) -> Stepped:
    """Add steps up."""
    sums, n_changed = add([(each.sums, each.n_changed) for each in found])
    return Stepped(sums, n_changed, found[0].stepped_by)


# ---------------------------------------------------------------- parts


class Part(NamedTuple):
    """Some of the samples, in order.

    values : (n, n_features) float32 or float64, C order, finite.   weights : (n,) float64 or None.
    """

    values: Values
    weights: Floats | None


def _weights(part: Part, divisors: tuple[float, ...] | None) -> Floats | None:
    """Return the weights of a part, divided by these numbers one after the other; None without divisors."""
    if divisors is None:
        return None
    weights = part.weights
    assert weights is not None  # all parts have weights, or none has
    for divisor in divisors:
        weights = weights / divisor
    return weights


def measure_part(part: Part, number: int) -> list[tuple[int, int]]:
    """Return the number of the part and that of its samples."""
    return [(number, len(part.values))]


def weigh_part(part: Part, divisors: tuple[float, ...]) -> tuple[float, float, float, int]:
    """Return minus the least weight, minus the least above 0, the largest, and whether one is no float32."""
    weights = _weights(part, divisors)
    assert weights is not None
    least = float(np.min(weights, where=weights > 0.0, initial=np.inf))
    with np.errstate(over="ignore"):
        is_wide = int(not (weights == weights.astype(np.float32)).all())
    return -float(weights.min()), -least, float(weights.max()), is_wide


def count_seen(part: Part, divisors: tuple[float, ...], least: float) -> tuple[int]:
    """Return how many weights are above `least`."""
    weights = _weights(part, divisors)
    assert weights is not None
    return (int(np.count_nonzero(weights > least)),)


def edges_of(part: Part, first: int) -> tuple[Part, Part]:
    """Return the samples of a part before its first whole leaf, and those after its last.   first : its first sample's number."""
    start, stop = whole_leaves(first, len(part.values))
    weights = part.weights
    return tuple(
        Part(part.values[rows].copy(), None if weights is None else weights[rows].copy())
        for rows in (slice(0, start), slice(stop, len(part.values)))
    )  # type: ignore[return-value]


def whole_leaves(first: int, length: int) -> tuple[int, int]:
    """Return where whole leaves begin and end in a part. A part without one has all its samples before the first."""
    start = min(-first % LEAF, length)
    return start, start + (length - start) // LEAF * LEAF


def join_edges(*edges_and_sides: Any) -> Part:
    """Return a leaf that lies in several parts.   edges_and_sides : edges of each of them, then (0 for head, 1 for tail) of each."""
    *edges, sides = edges_and_sides
    pieces = [own[side] for own, side in zip(edges, sides, strict=True)]
    weights = [piece.weights for piece in pieces]
    values: AnyArray = np.concatenate([piece.values for piece in pieces])
    return Part(values, None if weights[0] is None else np.concatenate(weights))


def describe_part(part: Part, first: int, origin: Floats) -> tuple[Totals, Floats]:
    """Describe the whole leaves of a part: sums about an origin, and the largest |x| of each feature."""
    start, stop = whole_leaves(first, len(part.values))
    sums, largest_abs = Totals(3 * len(origin)), np.zeros(len(origin))
    if start < stop:
        _describe(part.values[start:stop], origin, sums, largest_abs)
    return sums, largest_abs


def describe_seam(part: Part, origin: Floats) -> tuple[Totals, Floats]:
    """The same for a leaf that lay in several parts, or the last leaf, which may be short."""
    sums, largest_abs = Totals(3 * len(origin)), np.zeros(len(origin))
    _describe(part.values, origin, sums, largest_abs)
    return sums, largest_abs


def _describe(values: Values, origin: Floats, sums: Totals, largest_abs: Floats) -> None:
    described = describe_leaves(values, _n_threads(float(values.size)))
    sums.add_described(described, LEAF, len(values), origin)
    np.maximum(largest_abs, described[:, 0].max(axis=0), out=largest_abs)


def smallest_of(part: Part) -> tuple[Floats]:
    """Return minus the smallest |x| above 0 of each feature."""
    n_threads = _n_threads(float(part.values.size))
    blocks = np.empty((4 * n_threads, part.values.shape[1]))
    samples.find_smallest(part.values, blocks, n_threads)
    return (-blocks.min(axis=0),)


# ---------------------------------------------------------------- rows


def take_rows(part: Part, rows: Indices, places: Any, origin: Floats | None) -> list[tuple[Any, Values]]:
    """Return some rows of a part, and the places where they go.   origin : as Samples.take."""
    return [(places, _taken(part, rows, origin))]


def _taken(part: Part, rows: Indices, origin: Floats | None) -> Values:
    return _as_samples(part).take(rows, origin, _n_threads(float(len(rows) * part.values.shape[1])))


def _as_samples(part: Part) -> Samples:
    return Samples(part.values, part.weights, _NO_DESCRIPTION)


_NO_DESCRIPTION: Description = None  # type: ignore[assignment]  # of a part nothing is known, and nothing is asked


def subset_of(part: Part, rows: Indices, sample_weight: Floats | None, origin: Floats | None) -> Part:
    """Return some rows of a part as a part, with weights of their own."""
    return Part(_taken(part, rows, origin), sample_weight)


def slice_of(part: Part, place: Any, rows: slice, divisors: tuple[float, ...] | None) -> list[Any]:
    """Return (place, values, weights) of a slice of a part; no values if only divided weights are asked for."""
    if divisors is None:
        return [(place, part.values[rows].copy(), None if part.weights is None else part.weights[rows].copy())]
    return [(place, None, _weights(Part(part.values, part.weights[rows]), divisors))]  # type: ignore[index]


def weights_at(part: Part, rows: Indices, places: Any, divisors: tuple[float, ...]) -> list[tuple[Any, Floats]]:
    """Return the weights of some rows of a part, and the places where they go."""
    assert part.weights is not None
    weights = _weights(Part(part.values, part.weights[rows]), divisors)
    assert weights is not None
    return [(places, weights)]


# ---------------------------------------------------------------- steps


class Setup(NamedTuple):
    """What a state needs besides a part.

    samples, run : names of the samples and of the run.   max_abs, max_weight : of all samples.   n_samples : of all parts.
    divisors : of the weights; None if samples have none.
    """

    samples: str
    run: str
    algorithm: str
    max_abs: Floats
    max_weight: float
    divisors: tuple[float, ...] | None
    n_clusters: int
    n_samples: int


class Stepped(NamedTuple):
    """What a step found.   sums : (n_clusters, 2, n_features + 1)."""

    sums: Floats
    n_changed: int
    stepped_by: str


def step(part: Part, number: int, setup: Setup, iteration: int, previous: Floats | None, centers: Floats) -> Stepped:
    """Run a step of an algorithm.

    number : of the part.   iteration : 0, 1, ... of the run.   previous : centers of the step before; None for the first.
    """
    values = part.values
    state = take_out(setup.samples, number, setup.run, iteration - 1, values)
    if state is None:
        state = _new_state(part, setup)
        if previous is not None:
            _step(state, setup, previous)
            n_changed = state.step(centers)
        else:
            n_changed = _step(state, setup, centers)
    else:
        n_changed = state.step(centers)
    result = Stepped(state.clusters.sums.copy(), n_changed, state.stepped_by)
    put_back(setup.samples, number, Kept(setup.run, iteration, state, values))
    return result


def _step(state: Any, setup: Setup, centers: Floats) -> int:
    """Run the first step of a state."""
    with one_blas_thread() if ALGORITHMS[setup.algorithm].starts_with_blas else nullcontext():
        n_changed: int = state.step(centers)
    return n_changed


def _new_state(part: Part, setup: Setup) -> Any:
    algorithm, shared = ALGORITHMS[setup.algorithm], {}
    (n, n_features), k = part.values.shape, setup.n_clusters
    n_threads = _n_threads(assignment_work(n, n_features, k))
    if algorithm.copies:
        shared["copies"] = getattr(copies_of(part.values, setup.max_abs, n_threads), algorithm.copies)
    return algorithm.state(
        part.values, _weights(part, setup.divisors), setup.max_abs, setup.max_weight, k, n_threads,
        n_grid_samples=setup.n_samples, **shared,
    )  # fmt: skip


# ---------------------------------------------------------------- labels


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
        labels = _nearest(values, ref.centers, ref.kind)
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


def _nearest(values: Values, centers: Floats, kind: int = distances.EUCLIDEAN) -> Labels:
    labels = np.empty(len(values), dtype=np.int32)
    work = assignment_work(len(values), values.shape[1], len(centers))
    distances.nearest(values, centers, labels, _n_threads(work), kind)
    return labels


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
    return _total(_leaves(part, _nearest(part.values, ref.centers, ref.kind), centers, divisors, kind))


def _leaves(part: Part, labels: Labels, centers: Floats, divisors: tuple[float, ...] | None, kind: int) -> Floats:
    n_threads = _n_threads(float(part.values.size))
    return leaf_inertias(part.values, centers, labels, _weights(part, divisors), n_threads, kind)


def _total(leaves: Floats) -> tuple[Totals, Floats]:
    total = Totals(1)
    total.add(leaves[:, None])
    return total, np.zeros(1)


def count_part(
    part: Part, number: int, first: int, ref: LabelsRef, divisors: tuple[float, ...] | None, n_clusters: int
) -> tuple[Indices]:
    """Return the number of samples with weight in each cluster."""
    with _labels_of(part, number, first, ref) as labels:
        return (count_rows_of(labels, _weights(part, divisors), n_clusters),)


def farthest_in(
    part: Part, number: int, first: int, ref: LabelsRef, centers: Floats, divisors: tuple[float, ...] | None, kind: int,
    count: int,
) -> tuple[Indices, Floats, Labels]:  # fmt: skip
    """Return the samples of a part that are farthest from the centers of their labels: as Served, without distances of 0."""
    n_threads, weights = _n_threads(float(part.values.size)), _weights(part, divisors)
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


# ---------------------------------------------------------------- sums of clusters on grids of their own


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
    weights = _weights(part, divisors)
    anew = SumsAnew(wanted, part.values.shape[1], _n_threads(float(part.values.size)))
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
    weights = _weights(part, divisors)
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


# ---------------------------------------------------------------- masses


class Measured(NamedTuple):
    """What masses follow from: labels and squared distances to the nearest of some centers."""

    labels: Labels
    sq_distances: Floats


def measure_distances(part: Part, centers: Floats) -> Measured:
    """Return labels and squared distances of a part."""
    labels, own = _nearest(part.values, centers), np.empty(len(part.values))
    distances.own_sq_distances(part.values, centers, labels, own, _n_threads(float(part.values.size)))
    return Measured(labels, own)


def largest_weighed(measured: Measured, part: Part, divisors: tuple[float, ...] | None) -> tuple[float]:
    """Return the largest weight * squared distance."""
    return (coreset.largest_weighed(measured.sq_distances, _weights(part, divisors), _n_threads()),)


def weigh_distances(
    measured: Measured, part: Part, divisors: tuple[float, ...] | None, unit: float, per_weight: float,
    per_distance: float, n_centers: int,
) -> tuple[Masses, int]:  # fmt: skip
    """See Weighing.weigh."""
    sizes = np.zeros(n_centers, dtype=np.int64)
    total = coreset.weigh(
        measured.labels, measured.sq_distances, _weights(part, divisors), unit, per_weight, per_distance, sizes,
        _n_threads(),
    )  # fmt: skip
    return sizes, total


def set_masses(
    measured: Measured, part: Part, divisors: tuple[float, ...] | None, of_cluster: Floats, unit: float,
    of_distance: float, per_mass: float,
) -> Masses:  # fmt: skip
    """See Weighing.masses."""
    mass = measured.sq_distances.copy()
    coreset.set_masses(
        measured.labels, mass, _weights(part, divisors), of_cluster, unit, of_distance, per_mass, _n_threads()
    )
    return mass.view(np.int64)


def masses_by_weight(part: Part, divisors: tuple[float, ...], largest: float, per_largest: float) -> Masses:
    """Return masses in proportion to the weights."""
    weights = _weights(part, divisors)
    assert weights is not None
    return whole_masses(weights, largest, per_largest)


def sum_masses(mass: Masses, number: int) -> list[tuple[int, int]]:
    """Return the number of the part and the sum of its masses."""
    return [(number, int(mass.sum()))]


def rows_at(mass: Masses, places: Masses, where: slice, first: int) -> list[tuple[slice, Indices]]:
    """Return the rows at which the running sum of the masses passes each place; see Drawn.   first : number of row 0."""
    rows = in_runs(mass).rows_at(places, _n_threads())
    return [(where, rows + first)]


def masses_at(mass: Masses, rows: Indices, places: Any) -> list[tuple[Any, Masses]]:
    """Return the masses of some rows, and the places where they go."""
    return [(places, mass[rows])]

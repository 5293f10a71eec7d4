"""Tasks about parts of the samples: lengths, weights, descriptions, rows, and the leaves that lie in several parts.

The tasks that workers run, here and in other files, are pure functions of parts, of centers and of numbers. They know no transport.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .._core import distances, samples
from .._core.totals import Totals
from ..runtime.threads import assignment_work
from ..samples import LEAF, Description, Samples, describe_leaves
from ..types import AnyArray, Floats, Indices, Labels, Values
from .running import own_threads


class Part(NamedTuple):
    """Some of the samples, in order.

    values : (n, n_features) float32 or float64, C order, finite.   weights : (n,) float64 or None.
    """

    values: Values
    weights: Floats | None


def weights_of(part: Part, divisors: tuple[float, ...] | None) -> Floats | None:
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
    weights = weights_of(part, divisors)
    assert weights is not None
    least = float(np.min(weights, where=weights > 0.0, initial=np.inf))
    with np.errstate(over="ignore"):
        is_wide = int(not (weights == weights.astype(np.float32)).all())
    return -float(weights.min()), -least, float(weights.max()), is_wide


def count_seen(part: Part, divisors: tuple[float, ...], least: float) -> tuple[int]:
    """Return how many weights are above `least`."""
    weights = weights_of(part, divisors)
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
    described = describe_leaves(values, own_threads(float(values.size)))
    sums.add_described(described, LEAF, len(values), origin)
    np.maximum(largest_abs, described[:, 0].max(axis=0), out=largest_abs)


def smallest_of(part: Part) -> tuple[Floats]:
    """Return minus the smallest |x| above 0 of each feature."""
    n_threads = own_threads(float(part.values.size))
    blocks = np.empty((4 * n_threads, part.values.shape[1]))
    samples.find_smallest(part.values, blocks, n_threads)
    return (-blocks.min(axis=0),)


def take_rows(part: Part, rows: Indices, places: Any, origin: Floats | None) -> list[tuple[Any, Values]]:
    """Return some rows of a part, and the places where they go.   origin : as Samples.take."""
    return [(places, _taken(part, rows, origin))]


def _taken(part: Part, rows: Indices, origin: Floats | None) -> Values:
    return _as_samples(part).take(rows, origin, own_threads(float(len(rows) * part.values.shape[1])))


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
    return [(place, None, weights_of(Part(part.values, part.weights[rows]), divisors))]  # type: ignore[index]


def weights_at(part: Part, rows: Indices, places: Any, divisors: tuple[float, ...]) -> list[tuple[Any, Floats]]:
    """Return the weights of some rows of a part, and the places where they go."""
    assert part.weights is not None
    weights = weights_of(Part(part.values, part.weights[rows]), divisors)
    assert weights is not None
    return [(places, weights)]


def nearest_labels(values: Values, centers: Floats, kind: int = distances.EUCLIDEAN) -> Labels:
    labels = np.empty(len(values), dtype=np.int32)
    work = assignment_work(len(values), values.shape[1], len(centers))
    distances.nearest(values, centers, labels, own_threads(work), kind)
    return labels

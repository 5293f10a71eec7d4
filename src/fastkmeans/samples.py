"""The samples of a fit, their description, and sums over them that do not depend on the order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import frexp
from typing import Any, NamedTuple

import numpy as np

from ._core import distances, samples, totals
from ._core.doubtful import ByLabel, SumsAnew
from .algorithms.copies import Copies, copies_of
from .algorithms.table import choose_algorithm
from .drawing import Weighing
from .runtime.parts import parts_of
from .runtime.threads import effective_n_threads
from .types import AnyArray, Flags, Floats, Indices, Labels, Values

LEAF = 1024
"""Samples per leaf: leaf 0 holds the samples 0 to 1023, leaf 1 the samples 1024 to 2047, and so on.

Each leaf is described, and its inertia summed, by itself. Sums over leaves do not depend on the order of the leaves
(kmeans_core/totals.h). So any division of the samples into parts gives the same bits. A leaf that lies in several parts is
put together first."""


FEW_ROWS = 64
"""Rows that NumPy takes sooner than threads do: 1 us instead of 6 of the 75 us of a small fit."""


class Smallest:
    """The smallest |x| above 0 of each feature. Few fits need it, so the first request computes it."""

    __slots__ = ("_found",)

    def __init__(self, found: Floats | None = None) -> None:
        self._found = found

    def of(self, described: Samples, n_threads: int) -> Floats:
        """Return (n_features,) float64, infinite for a feature of zeros.   described : the samples of the description."""
        if self._found is None:
            self._found = np.full(described.values.shape[1], np.inf)
            blocks = np.empty((4 * n_threads, len(self._found)))
            for _, values in described.arrays():
                samples.find_smallest(values, blocks, n_threads)
                np.minimum(self._found, blocks.min(axis=0), out=self._found)
        return self._found


class Description(NamedTuple):
    """What a fit knows of its samples before it starts.

    max_abs, mean, variance : (n_features,) float64; weights are ignored. The mean of a feature is finite only if its values are.
    largest : the largest of max_abs.   total_variance : sum of the variances.   is_finite : whether all means are finite.
    """

    max_abs: Floats
    mean: Floats
    variance: Floats
    largest: float
    total_variance: float
    is_finite: bool
    smallest: Smallest


class Shape(NamedTuple):
    """Shape and dtype of all samples together: the `values` of samples that do not lie in one array.

    shape : (n_samples, n_features).   dtype : numpy.dtype.
    """

    shape: tuple[int, int]
    dtype: Any

    def __len__(self) -> int:
        return self.shape[0]


class Samples:
    """Samples in one array of this process, and what several runs over them share.

    values : (n_samples, n_features) float32 or float64, C order, finite.   sample_weight : (n_samples,) float64 or None.
    description : of the values.   scatter : sum of weight * |x - description.mean|^2, weights in the unit of weight_unit;
    None until the first engine over the samples computes it.

    Samples that lie elsewhere are a subclass, called a container, with a row in engines/table.py. Its `values` are a Shape. It overrides
    `about`, `arrays`, `pieces` and `whole`, which must return Samples in one array, or raise ValueError if these take too much
    memory. All other methods but `copies` use these three methods. `copies` is only called for samples in one array.
    """

    __slots__ = ("values", "sample_weight", "description", "scatter", "_copies")

    about = "samples"
    """What errors call such samples."""
    has_filters = True
    """Do algorithms other than Lloyd's know these samples?"""
    has_search = True
    """Is a single fit of many such samples searched on few of them first? See fitting/coarse.py."""

    def __init__(self, values: Values, sample_weight: Floats | None, description: Description) -> None:
        self.values = values
        self.sample_weight = sample_weight
        self.description = description
        self.scatter: float | None = None
        self._copies: Copies | None = None

    def arrays(self) -> Iterator[tuple[slice, Values]]:
        """Yield the samples array by array, in order: the slice of their numbers, and their values.

        Every call gives the same arrays. No array is empty, and each is in C order.
        """
        yield slice(0, len(self.values)), self.values

    def slices(self) -> list[slice]:
        """Return the slices of the arrays."""
        return [rows for rows, _ in self.arrays()]

    def pieces(self) -> Iterator[tuple[slice, Values]]:
        """Yield the same, but in arrays that each begin with a leaf."""
        return self.arrays()

    def take(
        self,
        rows: Indices,
        origin: Floats | None = None,
        n_threads: int | None = None,
    ) -> Values:
        """Return the samples with these numbers, (len(rows), n_features). With an origin: float32, origin subtracted."""
        if origin is None and len(rows) <= FEW_ROWS and isinstance(self.values, np.ndarray):
            return self.values.take(rows, axis=0)
        dtype = self.values.dtype if origin is None else np.float32
        taken: Values = np.empty((len(rows), self.values.shape[1]), dtype=dtype)
        n_threads = effective_n_threads(n_threads, float(taken.size))
        for numbers, values in self.arrays():
            if len(values) == len(self.values):
                samples.take(values, rows, origin, taken, n_threads)
                break
            here = np.flatnonzero((numbers.start <= rows) & (rows < numbers.stop))
            own: Values = np.empty((len(here), taken.shape[1]), dtype=dtype)
            samples.take(values, rows[here] - numbers.start, origin, own, n_threads)
            taken[here] = own
        return taken

    def subset(
        self,
        rows: Indices,
        sample_weight: Floats | None,
        origin: Floats | None = None,
        n_threads: int | None = None,
    ) -> Samples:
        """Return the samples with these numbers as Samples in one array, with weights of their own.   origin : as for take."""
        return described_samples(self.take(rows, origin, n_threads), sample_weight, n_threads)

    def nearest(self, centers: Floats, n_threads: int) -> Labels:
        """Return the label of the nearest center of each sample, (n_samples,)."""
        labels = np.empty(len(self.values), dtype=np.int32)
        for rows, values in self.arrays():
            distances.nearest(values, centers, labels[rows], n_threads)
        return labels

    def own_sq_distances(
        self, centers: Floats, labels: Labels, n_threads: int, kind: int = distances.EUCLIDEAN
    ) -> Floats:
        """Return the squared distance of each sample to the center of its label, (n_samples,); another distance by `kind`."""
        own = np.empty(len(labels))
        for rows, values in self.arrays():
            distances.own_sq_distances(values, centers, labels[rows], own[rows], n_threads, kind)
        return own

    def weighing(self, weights: Floats | None, centers: Floats, n_threads: int) -> Weighing:
        """Return a Weighing of the samples."""
        return Weighing(self, weights, centers, n_threads)

    def whole(self) -> Samples:
        """Return the samples in one array: here the object itself."""
        if isinstance(self.values, Shape):
            raise NotImplementedError(
                f"{type(self).__name__} does not override whole() and has no array of all samples"
            )
        return self

    def inertia(
        self,
        centers: Floats,
        labels: Labels,
        sample_weight: Floats | None,
        n_threads: int,
        kind: int = distances.EUCLIDEAN,
    ) -> float:
        """Return inertia_of for all samples."""
        if isinstance(self.values, np.ndarray):
            return inertia_of(self.values, centers, labels, sample_weight, n_threads, kind)
        return total_of_leaves([
            leaf_inertias(
                values, centers, labels[rows], None if sample_weight is None else sample_weight[rows], n_threads, kind
            )
            for rows, values in self.pieces()
        ])  # fmt: skip

    def sums_anew(
        self, labels: Labels, sample_weight: Floats | None, wanted: Flags, n_threads: int
    ) -> tuple[Floats, Floats]:
        """Return sums of some clusters on grids of their own, and the unit of the weights of each; see SumsAnew.

        labels : (n_samples,); n_clusters for samples to leave out.   wanted : (n_clusters,), 1 for the clusters to sum.
        """
        anew = SumsAnew(wanted, self.values.shape[1], n_threads)
        orders = [ByLabel(labels[rows], len(wanted)) for rows in self.slices()]
        weights = [None if sample_weight is None else sample_weight[rows] for rows in self.slices()]
        for own, order in zip(weights, orders):
            anew.weigh(own, order)
        scaled = [anew.measure(values, own, order) for (_, values), own, order in zip(self.arrays(), weights, orders)]
        for (_, values), own, order in zip(self.arrays(), scaled, orders):
            anew.add(values, own, order)
        return anew.sums, anew.units

    def choose_algorithm(self, name: str, n_clusters: int, max_iter: int, n_runs: int) -> str:
        """Return the algorithm of a run; see algorithms/table.py."""
        n_samples, n_features = self.values.shape
        return choose_algorithm(name, n_samples, n_features, n_clusters, max_iter, n_runs)

    def copies(self, n_threads: int | None) -> Copies:
        """Return the compact copies of the values. Every call returns the same object."""
        if self._copies is None:
            n_threads = effective_n_threads(n_threads, float(self.values.size))
            self._copies = copies_of(self.values, self.description.max_abs, n_threads)
        return self._copies


def cut_at(arrays: Iterable[tuple[slice, Values]], multiple: int) -> Iterator[tuple[slice, Values]]:
    """Yield samples again, in arrays that each begin with the sample of a number that is a multiple. Most are views."""
    begun: list[AnyArray] = []  # samples that lack others up to the next multiple
    first = 0
    for _, values in arrays:
        n_begun = sum(map(len, begun))
        n_lacking = min(multiple - n_begun, len(values)) if begun else 0
        if n_lacking:
            begun.append(values[:n_lacking])
            if n_begun + n_lacking == multiple:
                yield slice(first, first + multiple), np.concatenate(begun)
                begun, first = [], first + multiple
        whole = (len(values) - n_lacking) // multiple * multiple
        if whole:
            yield slice(first, first + whole), values[n_lacking : n_lacking + whole]
            first += whole
        if n_lacking + whole < len(values):
            begun.append(values[n_lacking + whole :])
        begun = [part if part.base is None else part.copy() for part in begun]  # the array may be overwritten
    if begun:
        yield slice(first, first + sum(map(len, begun))), np.concatenate(begun)


def inertia_of(
    X: Values, centers: Floats, labels: Labels, sample_weight: Floats | None, n_threads: int,
    kind: int = distances.EUCLIDEAN,
) -> float:  # fmt: skip
    """Return the sum of weight * distance to the center of the label, squared if Euclidean; equal bits for any n_threads."""
    return _sum_of(leaf_inertias(X, centers, labels, sample_weight, n_threads, kind))


def total_of_leaves(leaves: list[Floats]) -> float:
    """Return the sum of the inertias of leaves, array by array."""
    return _sum_of(leaves[0] if len(leaves) == 1 else np.concatenate(leaves))


def _sum_of(leaves: Floats) -> float:
    return totals.total_of(leaves) if len(leaves) > 1 else float(leaves[0])


def leaf_inertias(
    X: Values, centers: Floats, labels: Labels, sample_weight: Floats | None, n_threads: int, kind: int
) -> Floats:
    """Return the inertia of each leaf, (n_leaves,) float64. A leaf begins at row 0 of X."""
    inertias = np.empty(-(-len(X) // LEAF))
    distances.inertia_of_blocks(X, centers, labels, sample_weight, inertias, n_threads, kind)
    return inertias


def count_distinct(labels: Labels, n_clusters: int) -> int:
    """Return how many clusters have samples. Works part by part, because NumPy makes a copy with 8 bytes per label."""
    occurs = np.zeros(n_clusters, dtype=bool)
    for part in parts_of(len(labels)):
        occurs[labels[part]] = True
    return int(np.count_nonzero(occurs))


def described_samples(values: Values, sample_weight: Floats | None, n_threads: int | None) -> Samples:
    """Describe values in one array, and return them as samples."""
    return Samples(values, sample_weight, describe(values, effective_n_threads(n_threads, float(values.size))))


def describe(X: Values, n_threads: int) -> Description:
    """Describe the samples."""
    if len(X) <= LEAF:
        return _description(describe_leaves(X, n_threads)[0], len(X))
    return describe_pieces([X], n_threads)


def describe_pieces(pieces: Iterable[Values], n_threads: int) -> Description:
    """Describe samples that lie in several arrays.

    pieces : in the order of the samples; none is empty, and a leaf begins at row 0 of each.
    """
    n_samples = 0
    for piece in pieces:
        described = describe_leaves(piece, n_threads)
        if n_samples == 0:
            first = described[0].copy()
            origin, rows = first[1].copy(), np.zeros_like(first)
            sums = totals.Totals(3 * len(origin))
        sums.add_described(described, LEAF, len(piece), origin)
        np.maximum(rows[0], described[:, 0].max(axis=0), out=rows[0])
        n_samples += len(piece)
    if n_samples <= LEAF:
        return _description(first, n_samples)
    totals.describe_from(sums, origin, n_samples, rows)
    return _description(rows, n_samples)


def _description(rows: Floats, n_samples: int) -> Description:
    """rows : (3, n_features), as samples.describe_blocks gives them."""
    max_abs, mean, variance = rows
    return Description(max_abs, mean, variance, *samples.sum_up(rows, n_samples), Smallest())


def describe_leaves(X: Values, n_threads: int) -> Floats:
    described = np.empty((-(-len(X) // LEAF), 3, X.shape[1]))
    samples.describe_blocks(X, LEAF, described, n_threads)
    return described


def scatter_of(described: Samples, sample_weight: Floats | None, n_threads: int) -> float:
    """Return the sum of weight * |x - description.mean|^2."""
    description, n_samples = described.description, len(described.values)
    if sample_weight is None:
        return description.total_variance * n_samples
    one_cluster = np.zeros(n_samples, dtype=np.int32)
    return described.inertia(description.mean[None, :], one_cluster, sample_weight, n_threads)


def weight_unit(sample_weight: Floats | None) -> tuple[float, float, Floats | None]:
    """Return a unit for the weights, the largest weight in that unit, and all weights in that unit.

    The unit is 1 or a power of two. Grids of sums end where float64 does, at 2^-1074 and 2^1024: if the largest weight is
    below 1e-100 or above 1e100, the unit brings it into [1, 2).
    """
    if sample_weight is None:
        return 1.0, 1.0, None
    largest = float(sample_weight.max())
    if 1e-100 < largest < 1e100:
        return 1.0, largest, sample_weight
    unit = 2.0 ** (frexp(largest)[1] - 1)
    return unit, largest / unit, sample_weight / unit

"""The engine for samples in several arrays, called parts: the model of every engine whose samples do not lie in one array.

Results of parts are added up without rounding, so labels, centers and inertia have the bits that one array would give. All parts
sum clusters on one grid. Descriptions and inertias are summed per leaf of 1024 samples (samples.py); a leaf that lies in several
parts is put together first, which moves at most 1023 samples per part. Rows of a coreset are drawn by masses that are whole
numbers. A step that needs all samples in one array, such as an exchange of clusters, gathers them. Large fits with init="auto"
have no such step.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .._core.sums import ClusterSums
from ..algorithms.table import Algorithm, State
from ..samples import LEAF, Samples, Shape, cut_at, describe_pieces
from ..types import AnyArray, Floats, Labels, Values
from .local import LocalEngine
from .spherical import SphericalEngine


class Parts(Samples):
    """Samples in several arrays; as Samples, but `values` is a Shape.

    parts : arrays of shape (n, n_features), of one dtype, C order, finite, in the order of the samples; some may be empty.
    sample_weight : (n_samples,), of all samples.
    """

    __slots__ = ("parts", "rows", "_whole")

    about = "samples in several parts"

    def __init__(self, parts: list[Values], sample_weight: Floats | None, n_threads: int) -> None:
        ends = np.cumsum([0, *map(len, parts)]).tolist()
        self.parts = [part for part in parts if len(part)]
        self.rows = [slice(first, end) for first, end in zip(ends, ends[1:]) if end > first]
        n_samples, n_features = ends[-1], parts[0].shape[1]
        description = describe_pieces((piece for _, piece in self.pieces()), n_threads)
        shape = Shape((n_samples, n_features), parts[0].dtype)
        super().__init__(shape, sample_weight, description)  # type: ignore[arg-type]  # no values: see above
        self._whole: Samples | None = None

    def pieces(self) -> Iterator[tuple[slice, Values]]:
        """Yield the samples cut where leaves begin: their numbers and their values. Most pieces are views."""
        return cut_at(self.arrays(), LEAF)

    def arrays(self) -> Iterator[tuple[slice, Values]]:
        """Yield the parts that are not empty: the slice of the numbers of their samples, and their values."""
        return zip(self.rows, self.parts)

    def whole(self) -> Samples:
        """Return the samples in one array. Only k-means++ and exchanges of clusters in fits that are not large, and callable
        inits, need it."""
        if self._whole is None:
            values: AnyArray = np.concatenate(self.parts)
            self._whole = Samples(values, self.sample_weight, self.description)
        return self._whole


class _PartedSums:
    """Sums over all parts, with the attributes of ClusterSums that engines read."""

    def __init__(self, parts: list[ClusterSums]) -> None:
        self._parts = parts
        self.grid = parts[0].grid
        self.forget()

    def forget(self) -> None:
        self._sums: Floats | None = None
        self._labels: Labels | None = None

    @property
    def sums(self) -> Floats:
        if self._sums is None:
            self._sums = sum((part.sums for part in self._parts[1:]), self._parts[0].sums.copy())
        return self._sums

    @property
    def labels(self) -> Labels:
        if self._labels is None:
            self._labels = np.concatenate([part.labels for part in self._parts])
        return self._labels

    def move(
        self, centers: Floats, origin: Floats, moved: Floats, terms: Floats, digits: float = 0.0
    ) -> tuple[float, float, int, int]:
        return self._parts[0].move_by(self.sums, centers, origin, moved, terms, digits)


class _PartedState:
    """A state of an algorithm for each part."""

    def __init__(self, states: list[State[ClusterSums]]) -> None:
        self._states = states
        self.clusters = _PartedSums([state.clusters for state in states])

    @property
    def stepped_by(self) -> str:
        return self._states[0].stepped_by

    def step(self, centers: Floats) -> int:
        self.clusters.forget()
        return sum(state.step(centers) for state in self._states)


class PartitionedEngine(LocalEngine):
    """Samples in several parts, and the state of one run over them."""

    def _make_state(self, samples: Samples, algorithm: Algorithm, max_weight: float, n_clusters: int) -> _PartedState:
        return _PartedState([
            self._state_over(
                values, None if self.sample_weight is None else self.sample_weight[rows], algorithm, max_weight, n_clusters,
                n_grid_samples=len(samples.values),
            )
            for rows, values in samples.arrays()
        ])  # fmt: skip


class PartitionedSphericalEngine(PartitionedEngine, SphericalEngine):
    """A PartitionedEngine over rows of length 1, whose centers have length 1 too."""

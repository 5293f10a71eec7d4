"""The engine for samples on workers. Centers go out, sums of clusters come back; both are small.

A step is one task per worker. Its results are added up without rounding, so that labels, centers and inertia have the bits that
one array would give. Workers keep states of algorithms as a cache (kept.py).
"""

from __future__ import annotations

from os import urandom
from typing import Any

import numpy as np

from .._core.exchange import Exchange
from .._core.sums import ClusterSums
from ..algorithms.table import ALGORITHMS, Algorithm
from ..engines.local import LocalEngine
from ..engines.spherical import SphericalEngine
from ..samples import Samples
from ..types import Flags, Floats, Indices, Values
from . import label_tasks, running, step_tasks
from .labels import RemoteLabels
from .samples import RemoteSamples

EACH = {"with_number": True, "with_first": True}
"""What tasks about labels are told of each part."""


class _RemoteSums:
    """Sums over all parts, with the attributes of ClusterSums that engines read.   mover : a ClusterSums on the same grid."""

    labels: RemoteLabels

    def __init__(self, mover: ClusterSums) -> None:
        self._mover, self.grid, self.sums = mover, mover.grid, mover.sums

    def move(
        self, centers: Floats, origin: Floats, moved: Floats, terms: Floats, digits: float = 0.0
    ) -> tuple[float, float, int, int]:
        return self._mover.move_by(self.sums, centers, origin, moved, terms, digits)


class _RemoteState:
    """The states of an algorithm that workers keep, and how they go on."""

    def __init__(self, samples: RemoteSamples, setup: step_tasks.Setup, mover: ClusterSums) -> None:
        self.clusters = _RemoteSums(mover)
        self.stepped_by = setup.algorithm
        self._parted, self._setup = samples.parted, setup
        self._iteration = 0
        self._previous: Floats | None = None

    def step(self, centers: Floats) -> int:
        shared = self._setup, self._iteration, self._previous, centers
        found: step_tasks.Stepped = self._parted.reduce(
            step_tasks.step, step_tasks.merge_steps, shared, with_number=True
        )
        self._previous = own = centers.copy()
        self.clusters.sums, self.stepped_by = found.sums, found.stepped_by
        ref = label_tasks.LabelsRef(own, self._setup, self._iteration)
        self.clusters.labels = RemoteLabels(self._parted, ref)
        self._iteration += 1
        return int(found.n_changed)


class RemoteEngine(LocalEngine):
    """Samples on workers, and the state of one run over them."""

    _samples: RemoteSamples
    sample_weight: Any
    labels: Any

    def _make_state(self, samples: Samples, algorithm: Algorithm, max_weight: float, n_clusters: int) -> Any:
        assert isinstance(samples, RemoteSamples)
        name = next(name for name, row in ALGORITHMS.items() if row is algorithm)
        max_abs, (n_samples, n_features) = samples.description.max_abs, samples.values.shape
        setup = step_tasks.Setup(
            samples.parted.name, urandom(16).hex(), name, max_abs, max_weight, self._divisors, n_clusters, n_samples
        )
        one_row: Values = np.zeros((1, n_features), dtype=samples.values.dtype)
        weights = None if self.sample_weight is None else np.ones(1)
        mover = ClusterSums(one_row, weights, max_abs, max_weight, n_clusters, self.n_threads, n_samples)
        return _RemoteState(samples, setup, mover)

    @property
    def _divisors(self) -> tuple[float, ...] | None:
        return None if self.sample_weight is None else self.sample_weight.divisors

    def _trust_some(self, doubtful: Flags, losses: Floats) -> None:
        """As LocalEngine's: sums of absolute values show which doubtful clusters keep enough digits."""
        sums, lossy = self._clusters.sums, np.flatnonzero(losses)
        n_rows = sums[:, 0, -1] if self.sample_weight is None else np.full(len(sums), float(len(self.labels)))
        needed = losses[lossy] * n_rows[:, None]
        lacking = ~(np.abs(sums[:, 0, lossy] + sums[:, 1, lossy]) >= needed)
        n_features = len(losses) - 1
        features = lossy[lossy < n_features]
        shared = self.labels.ref, doubtful, features, self._clusters.grid[0], self._divisors
        (sizes,) = self._samples.parted.reduce(label_tasks.sizes_on_grid, running.add, shared, **EACH)
        known = np.zeros(lacking.shape)
        known[:, lossy < n_features] = sizes
        lacking &= ~(needed - known <= 0.0) | (lossy == n_features)
        doubtful[~lacking.any(axis=1)] = 0

    def farthest(self, centers: Floats, count: int) -> Indices:
        """Return the numbers of the `count` samples farthest from the centers of their labels; see the contract."""
        shared = self.labels.ref, centers, self._divisors, self.kind, count
        rows: Indices = self._samples.parted.reduce(
            label_tasks.farthest_in, label_tasks.MergeFarthest(count), shared, **EACH
        )[0]
        return rows

    def count_rows(self) -> Indices:
        """Return the number of samples with weight in each cluster, (n_clusters,)."""
        return self._count(self._divisors)

    def _count(self, divisors: tuple[float, ...] | None) -> Indices:
        shared = self.labels.ref, divisors, len(self._terms)
        counts: Indices = self._samples.parted.reduce(label_tasks.count_part, running.add, shared, **EACH)[0]
        return counts

    def n_distinct(self) -> int:
        """Return the number of clusters that have samples."""
        return int(np.count_nonzero(self._count(None)))

    def exchange(
        self, moved: Floats, n_trial: int, n_iterations: int, n_rows: int, surplus: float
    ) -> tuple[int, float]:
        """Merge pairs of clusters and split others, over all samples in one array; see the contract."""
        weights = None if self.sample_weight is None else np.asarray(self.sample_weight)
        exchange = Exchange(
            self._samples.whole().values, weights, np.asarray(self.labels), self.weights.copy(), moved, n_trial, n_iterations,
            n_rows, self.n_threads,
        )  # fmt: skip
        return exchange.apply(surplus)


class RemoteSphericalEngine(RemoteEngine, SphericalEngine):
    """A RemoteEngine over rows of length 1, whose centers have length 1 too."""


ENGINES = {"euclidean": RemoteEngine, "cosine": RemoteSphericalEngine}
"""The row of engines/table.py."""

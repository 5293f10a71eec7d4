"""The engine for Euclidean distances and samples in this process's memory."""

from __future__ import annotations

from functools import cached_property
from math import isnan, nan
from typing import Any

import numpy as np

from .._core import distances
from .._core.doubtful import Trusted, move_anew
from .._core.exchange import Exchange
from .._core.sums import ClusterSums, explained_of
from ..algorithms.copies import copies_of
from ..algorithms.quantizing import LEAST_SIZE
from ..algorithms.table import ALGORITHMS, Algorithm, State, Sums
from ..runtime.blas import one_blas_thread
from ..runtime.threads import assignment_work, effective_n_threads
from ..samples import Samples, count_distinct, scatter_of, weight_unit
from ..stored import StoredSamples
from ..types import Flags, Floats, Indices, Labels, Values
from .contract import Served, count_rows_of, farthest_of, serve_by
from .rounding import HISTORY_ROUNDING, Bounds, fine_quanta, losses_of, plain_bound, rounding_of

MEAN_ROUNDING = 2.0**-50
"""Largest relative rounding error of the mean of equal values."""

ANCHORED_SHARE = 2.0**-5
"""An inertia below this share of the last one that was added up term by term is added up term by term, too: computed as that
one minus a difference, it would lose as many digits."""


class LocalEngine:
    """Samples in this process's memory, and the state of one run over them.

    n_threads : int or None; see runtime/threads.py.
    """

    kind = distances.EUCLIDEAN

    def __init__(self, samples: Samples, n_clusters: int, algorithm: str, n_threads: int | None) -> None:
        self._samples = samples
        X, description = self.X, self.description = samples.values, samples.description
        n_samples, n_features = X.shape
        self.n_threads = effective_n_threads(n_threads, assignment_work(n_samples, n_features, n_clusters))
        self._weight_unit, max_weight, sample_weight = weight_unit(samples.sample_weight)
        self.sample_weight = sample_weight
        self.largest_weight = self._weight_unit * max_weight
        if samples.scatter is None:
            samples.scatter = scatter_of(samples, sample_weight, self.n_threads)
        self.scatter = samples.scatter
        if algorithm != "lloyd" and description.largest < LEAST_SIZE:
            algorithm = "lloyd"  # squares of values so small have few digits: bounds cannot tell which are equal
        self._uses_blas = ALGORITHMS[algorithm].uses_blas
        self._state = self._make_state(samples, ALGORITHMS[algorithm], max_weight, n_clusters)
        self._clusters: Sums = self._state.clusters
        self._terms = np.empty((n_clusters, 4))
        shape = rounding_of(n_samples, n_features)
        self._digits = shape.digits
        self._inertia_unit = self._weight_unit * (0.5 if self.kind == distances.COSINE else 1.0)
        self._max_weight = max_weight
        if sample_weight is None:
            self._needed = plain_bound(shape, description.largest, self.scatter)
        else:
            self._needed = self._bounds.plain
        self._doubtful: Flags | None = None
        self._anew: tuple[Floats, Floats] | None = None
        self._anchor: tuple[float, float, float] | None = None
        self._deferred: list[tuple[float, float]] | None = None

    def _make_state(self, samples: Samples, algorithm: Algorithm, max_weight: float, n_clusters: int) -> State[Sums]:
        """Return the state of the algorithm."""
        return self._state_over(samples.values, self.sample_weight, algorithm, max_weight, n_clusters)

    def _state_over(
        self, values: Values, sample_weight: Floats | None, algorithm: Algorithm, max_weight: float, n_clusters: int,
        n_grid_samples: int = 0,
    ) -> State[ClusterSums]:  # fmt: skip
        """Return a state of the algorithm over one array, with the compact copies that the algorithm asks for.

        sample_weight : of the rows of `values`.   max_weight : of all samples.   n_grid_samples : as ClusterSums; the number of
        all samples if `values` are some of them.
        """
        samples, max_abs = self._samples, self.description.max_abs
        shared: dict[str, Any] = {}
        if algorithm.copies:
            # Several runs share the copies of samples in one array.
            is_all = values is samples.values
            copies = samples.copies(self.n_threads) if is_all else copies_of(values, max_abs, self.n_threads)
            shared["copies"] = getattr(copies, algorithm.copies)
        return algorithm.state(
            values,
            sample_weight,
            max_abs,
            max_weight,
            n_clusters,
            self.n_threads,
            n_grid_samples=n_grid_samples,
            **shared,
        )

    @cached_property
    def _losses(self) -> Floats | None:
        smallest = self.description.smallest.of(self._samples, self.n_threads)
        return losses_of(self._clusters.grid, self.sample_weight, smallest, len(self.labels))

    @cached_property
    def _bounds(self) -> Bounds:
        return Bounds(self.X, self.sample_weight, self._max_weight, self.description, self.scatter)

    @property
    def labels(self) -> Labels:
        """(n_samples,) int32: the labels of the last step; overwritten by the next."""
        return self._clusters.labels

    @property
    def stepped_by(self) -> str:
        """The algorithm of the last step. A filter that does not pay switches to Lloyd's steps."""
        return self._state.stepped_by

    def step(self, centers: Floats) -> int:
        """Label every sample with its nearest center; return the number of labels that changed.

        centers : (n_clusters, n_features) float64, the values of the stored centers.
        """
        if self._uses_blas:
            with one_blas_thread():
                return self._state.step(centers)
        return self._state.step(centers)

    def move(self, centers: Floats) -> tuple[Floats, float, float, int]:
        """Return moved centers, the sum of their squared shifts, the inertia of the last step, and the number of empty
        clusters. Per-cluster values: weights, sq_shifts."""
        moved = np.empty(centers.shape)
        center_shift, explained, n_empty, n_doubtful = self._clusters.move(
            centers, self.description.mean, moved, self._terms, self._digits
        )
        self._doubtful = None
        if n_doubtful:
            doubtful = self._find_doubtful()
            if doubtful is not None:
                center_shift, explained, n_empty = self._move_doubtful(doubtful, centers, moved)
        inertia = self.scatter - explained
        if not inertia > self._needed:
            inertia = self._careful_inertia(centers)
        return moved, center_shift, inertia * self._inertia_unit, n_empty

    def forget_history(self) -> None:
        """Declare that nobody reads the inertia of each iteration: it may have few digits."""
        self._needed = -np.inf

    def _careful_inertia(self, centers: Floats) -> float:
        """Return the inertia of the last step, if the plain difference of scatter and explained part has too few digits.

        The first such inertia is added up term by term. A later one is that sum minus the growth of the explained part, which
        is computed with twice the digits. Returns NaN if settle_history can compute the inertia at the end.
        """
        high, low = explained_of(self._clusters.sums, centers, self.description.mean, self.n_threads)
        if self._deferred is not None and self.scatter - high > self._bounds.careful + HISTORY_ROUNDING * self._needed:
            self._deferred.append((high, low))
            return nan
        if self._anchor is not None:
            summed, high_then, low_then = self._anchor
            inertia = summed - ((high - high_then) + (low - low_then))
            if inertia > self._bounds.careful and inertia > ANCHORED_SHARE * summed:
                return inertia
        inertia = self._inertia_of(centers, self.labels, distances.EUCLIDEAN)
        self._anchor = inertia, high, low
        return inertia

    def defer_history(self) -> None:
        """Declare that the inertia of each iteration is read only at the end: until then it may be NaN."""
        self._deferred = []

    def settle_history(self, history: list[dict[str, Any]], centers: Floats, inertia: float) -> None:
        """Replace the inertias in the history that are NaN.   inertia : of the last step, added up term by term."""
        if not self._deferred:
            return
        high, low = explained_of(self._clusters.sums, centers, self.description.mean, self.n_threads)
        put_off = [entry for entry in history if isnan(entry["inertia"])]
        for entry, (high_then, low_then) in zip(put_off, self._deferred, strict=True):
            entry["inertia"] = inertia + ((high - high_then) + (low - low_then)) * self._inertia_unit

    def _inertia_of(self, centers: Floats, labels: Labels, kind: int) -> float:
        """Return the sum of weight * distance to the center of the label, term by term, in the unit of the weights."""
        return self._samples.inertia(centers, labels, self.sample_weight, self.n_threads, kind)

    @property
    def weights(self) -> Floats:
        """(n_clusters,) float64: the weight of each cluster at the last move; overwritten by the next."""
        return self._terms[:, 0]

    @property
    def sq_shifts(self) -> Floats:
        """(n_clusters,) float64: the squared shift of each center at the last move; overwritten by the next."""
        return self._terms[:, 1]

    def _find_doubtful(self) -> Flags | None:
        """Find clusters whose sums may have lost digits to the grids, for example because another value is 1e18 times larger.

        Returns a flag per cluster; None if there is no such cluster.
        """
        losses = self._losses
        if losses is None:
            self._digits = 0.0  # no need to look again
            return None
        sums, lossy = self._clusters.sums, losses > 0.0
        n_rows = sums[:, 0, -1:] if self.sample_weight is None else float(len(self.labels))
        totals = sums[:, 0, lossy] + sums[:, 1, lossy]
        doubtful: Flags = np.any(np.abs(totals) < losses[lossy] * n_rows, axis=1).view(np.uint8)
        if doubtful.any():
            self._trust_some(doubtful, losses)
        self._doubtful = doubtful if doubtful.any() else None
        return self._doubtful

    def _move_doubtful(self, doubtful: Flags, centers: Floats, moved: Floats) -> tuple[float, float, int]:
        """Move the centers of doubtful clusters by new sums of their samples; return shift, explained part and empty clusters."""
        sums, units = self._anew = self._sum_anew(self.labels, doubtful)
        return move_anew(
            self.X, self.sample_weight is not None, sums, units, doubtful, centers, self.description.mean, moved,
            self._terms,
        )[:3]  # fmt: skip

    def _trust_some(self, doubtful: Flags, losses: Floats) -> None:
        labels, weights = self.labels, self.sample_weight
        trusted = Trusted(self._clusters.sums, self._clusters.grid, losses, weights is not None, len(labels), doubtful)
        for rows, values in self._samples.arrays():
            if not trusted.n_doubtful:
                break
            trusted.read(values, None if weights is None else weights[rows], labels[rows])

    def _sum_anew(self, labels: Labels, wanted: Flags) -> tuple[Floats, Floats]:
        return self._samples.sums_anew(labels, self.sample_weight, wanted, self.n_threads)

    def sums(self) -> Floats:
        """Return (n_clusters, 2, n_features + 1) float64: coarse and fine sums of weight * x over each cluster, and its weight.

        The sums of a cluster have a unit of their own if the grids may have lost digits of them.
        """
        doubtful = self._find_doubtful() if self._has_small(self._clusters.sums) else None
        if doubtful is None:
            return self._clusters.sums
        return self._mended_sums(doubtful, self._sum_anew(self.labels, doubtful)[0])

    def _has_small(self, sums: Floats) -> bool:
        """Is any of these sums so small that it may have lost digits to the grids?"""
        n_rows = sums[:, 0, -1:] if self.sample_weight is None else float(len(self.labels))
        needed = self._digits * fine_quanta(self._clusters.grid)
        return bool((np.abs(sums.sum(axis=1)) < needed * n_rows).any())

    def _mended_sums(self, doubtful: Flags, anew: Floats) -> Floats:
        return np.where(doubtful.view(bool)[:, None, None], anew, self._clusters.sums)

    def centers_without(self, taken: dict[int, list[int]], centers: Floats) -> Floats:
        """Return the best centers of clusters that lose samples; see the contract.

        The shares of these samples are subtracted from the sums without rounding.
        """
        donors = list(taken)
        sums, units = self._clusters.sums[donors], np.ones(len(donors))
        of_donor = np.repeat(np.arange(len(donors)), [len(rows) for rows in taken.values()])
        np.subtract.at(sums, of_donor, self._shares_of(np.concatenate([*taken.values()])))
        if self._has_small(sums) and self._losses is not None:
            labels, wanted = self.labels.copy(), np.zeros(len(self._terms), dtype=np.uint8)
            wanted[donors] = 1
            for rows in taken.values():
                labels[rows] = len(wanted)
            sums, units = (summed[donors] for summed in self._sum_anew(labels, wanted))
        return self._best_centers(sums, units, centers[donors])

    def _best_centers(self, sums: Floats, units: Floats, centers: Floats) -> Floats:
        """Return the best centers of some clusters.   units : of the sums.   centers : of these clusters so far."""
        moved, every = np.empty_like(centers), np.ones(len(centers), dtype=np.uint8)
        move_anew(
            self.X, self.sample_weight is not None, sums, units, every, centers, self.description.mean, moved,
            np.empty((len(centers), 4)),
        )  # fmt: skip
        return moved

    def _shares_of(self, rows: Indices) -> Floats:
        """Return what samples add to the sums of their clusters, (len(rows), 2, n_features + 1) float64, without rounding."""
        shares = np.ones((len(rows), self.description.mean.shape[0] + 1))
        shares[:, :-1] = self.take(rows)
        if self.sample_weight is not None:
            shares *= self.sample_weight[rows][:, None]
        coarse, fine = self._clusters.grid
        coarse_parts = (shares + coarse) - coarse
        return np.stack([coarse_parts, ((shares - coarse_parts) + fine) - fine], axis=1)

    def serve(self, rows: Indices, centers: Floats) -> Served:
        """Return how well the centers serve the samples with these numbers; see the contract."""
        return serve_by(self, rows, centers, MEAN_ROUNDING)

    def farthest(self, centers: Floats, count: int) -> Indices:
        """Return the numbers of the `count` samples farthest from the centers of their labels; see the contract."""
        return farthest_of(self, self._samples, centers, count)

    def count_rows(self) -> Indices:
        """Return the number of samples with weight in each cluster, (n_clusters,)."""
        if self.sample_weight is None:
            counts: Indices = self._clusters.sums[:, :, -1].sum(axis=1).astype(np.intp)
            return counts
        return count_rows_of(self.labels, self.sample_weight, len(self._terms))

    def take(self, rows: list[int] | Indices) -> Values:
        """Return the samples with these numbers, (len(rows), n_features)."""
        return self._samples.take(np.array(rows, dtype=np.intp))

    def exchange(
        self, moved: Floats, n_trial: int, n_iterations: int, n_rows: int, surplus: float
    ) -> tuple[int, float]:
        """Merge pairs of clusters and split others; see the contract."""
        is_stored = isinstance(self._samples, StoredSamples)
        values = self.X if is_stored else self._samples.whole().values
        exchange = Exchange(
            values, self.sample_weight, self.labels, self.weights.copy(), moved, n_trial, n_iterations, n_rows,
            self.n_threads,
        )  # fmt: skip
        return exchange.apply(surplus)

    def n_distinct(self) -> int:
        """Return the number of clusters that have samples."""
        if self.sample_weight is None:
            return int(np.count_nonzero(self._clusters.sums[:, 0, -1]))
        return count_distinct(self.labels, len(self._terms))

    def inertia(self, centers: Floats) -> float:
        """Return the sum of weight * distance to the center of the label (squared distance, or 1 - cos), term by term."""
        return self._weight_unit * self._inertia_of(centers, self.labels, self.kind)

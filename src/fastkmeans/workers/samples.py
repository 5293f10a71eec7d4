"""Samples that lie on workers: a Samples whose rows are read by tasks.

This process holds numbers of parts, of samples and of clusters, and few rows at a time; never an array as long as all samples,
unless a method that returns one is called.
"""

from __future__ import annotations

from collections.abc import Iterator
from os import urandom
from typing import Any

import numpy as np

from .._core import distances, totals
from .._core import samples as core_samples
from ..samples import LEAF, Description, Samples, Shape, Smallest, cut_at, describe_leaves
from ..types import AnyArray, Flags, Floats, Indices, Labels, Values
from . import label_tasks, part_tasks, running
from .labels import RemoteLabels
from .parts import Parted
from .transport import Handle, Transport
from .weights import RemoteWeighing, RemoteWeights

GATHERED_BYTES = 1 << 30
"""What needs all samples in one array, such as k-means++, gathers at most so many bytes here, and is refused above."""

KEPT_HERE_BYTES = 64 << 20
"""Rows drawn from all samples that take at most so much come here. More rows stay on their workers: a step over rows here costs
no messages, and 64 MB travel in a tenth of a second."""


_WITHOUT_GATHERING = (
    "k-means++ and the exchange of clusters read all samples at once: pass init='random' or an array of centers. init='auto' "
    "gathers nothing if there are at least 65 536 samples, and at least 512 per cluster."
)


class RemoteSmallest(Smallest):
    """As Smallest, of samples on workers."""

    __slots__ = ()

    def of(self, described: Samples, n_threads: int) -> Floats:
        """See Smallest."""
        if self._found is None:
            assert isinstance(described, RemoteSamples)
            (least,) = described.parted.reduce(part_tasks.smallest_of, running.maxima)
            self._found = -least
        return self._found


class RemoteSamples(Samples):
    """Samples on workers; as Samples, but `values` is a Shape, and sample_weight RemoteWeights.

    transport : to the workers.   parts : handles of Parts, in the order of the samples; some may be empty.
    n_features, dtype : of all parts.   weighted : whether the parts have weights.
    described : False if nobody will ask for the description.
    """

    __slots__ = ("parted", "_seams", "_whole", "__weakref__")

    about = "samples on workers"

    def __init__(
        self, transport: Transport, parts: list[Handle], n_features: int, dtype: Any, weighted: bool,
        described: bool = True,
    ) -> None:  # fmt: skip
        self.parted = Parted.measured(transport, parts, urandom(16).hex())
        n_samples = self.parted.n_samples
        self._whole: Samples | None = None
        self._seams = self.parted.seams()
        weights = RemoteWeights(self.parted) if weighted else None
        shape = Shape((n_samples, n_features), np.dtype(dtype))
        super().__init__(shape, weights, None)  # type: ignore[arg-type]  # no array, and no description yet
        if described:
            self.description = self._describe()

    def _describe(self) -> Description:
        """Describe the samples as samples.describe_pieces does."""
        n_samples, n_features = self.values.shape
        first = self.take(np.arange(min(n_samples, LEAF)))
        rows: Floats = describe_leaves(first, 1)[0]
        if n_samples > LEAF:
            origin = rows[1].copy()
            found = [self.parted.reduce(part_tasks.describe_part, running.merge_totals, (origin,), with_first=True)]
            if self._seams:
                found.append(self._over_seams(part_tasks.describe_seam, (origin,)))
            sums, largest = running.merge_totals(found)
            rows = np.zeros((3, n_features))
            rows[0] = largest
            totals.describe_from(sums, origin, n_samples, rows)
        max_abs, mean, variance = rows
        return Description(max_abs, mean, variance, *core_samples.sum_up(rows, n_samples), RemoteSmallest())

    def _over_seams(self, task: Any, shared: tuple[Any, ...]) -> Any:
        sources = [(seam,) for seam in self._seams]
        return self.parted.transport.reduce(task, sources, [()] * len(sources), shared, running.merge_totals)

    def close(self) -> None:
        """Let the workers forget what they keep for these samples."""
        self.parted.transport.close(self.parted.name)

    def arrays(self) -> Iterator[tuple[slice, Values]]:
        """Yield the parts that are not empty, one after the other: the slice of the numbers of their samples, and their values."""
        for i, rows in enumerate(self.parted.rows):
            yield rows, self.parted.slice_of(i, slice(None))[0]

    def pieces(self) -> Iterator[tuple[slice, Values]]:
        """Yield the samples cut where leaves begin."""
        return cut_at(self.arrays(), LEAF)

    def take(
        self,
        rows: Indices,
        origin: Floats | None = None,
        n_threads: int | None = None,
    ) -> Values:
        """Return the samples with these numbers, (len(rows), n_features), as Samples.take does."""
        rows = np.asarray(rows, dtype=np.intp)
        dtype = self.values.dtype if origin is None else np.float32
        taken: Values = np.empty((len(rows), self.values.shape[1]), dtype=dtype)
        for places, values in self.parted.at(part_tasks.take_rows, rows, (origin,)):
            taken[places] = values
        return taken

    def subset(
        self,
        rows: Indices,
        sample_weight: Floats | None,
        origin: Floats | None = None,
        n_threads: int | None = None,
    ) -> Samples:
        """Return the samples with these numbers. Many rows stay on their workers.   rows : ascending."""
        n_features, dtype = self.values.shape[1], self.values.dtype if origin is None else np.dtype(np.float32)
        if len(rows) * n_features * dtype.itemsize <= KEPT_HERE_BYTES:
            return super().subset(rows, sample_weight, origin, n_threads)
        parted, sources, arguments = self.parted, [], []
        for i, own, places in parted.divide(rows):
            sources.append((parted.handles[i],))
            arguments.append((own, None if sample_weight is None else sample_weight[places], origin))
        handles = parted.transport.map(part_tasks.subset_of, sources, arguments)
        return RemoteSamples(parted.transport, handles, n_features, dtype, sample_weight is not None)

    def nearest(self, centers: Floats, n_threads: int) -> Labels:
        """Return the label of the nearest center of each sample, gathered here."""
        return np.asarray(RemoteLabels(self.parted, label_tasks.LabelsRef(centers)))

    def weighing(self, weights: Any, centers: Floats, n_threads: int) -> Any:
        """Return a RemoteWeighing of the samples."""
        return RemoteWeighing(self.parted, weights, centers)

    def inertia(
        self, centers: Floats, labels: Any, sample_weight: Any, n_threads: int, kind: int = distances.EUCLIDEAN
    ) -> float:
        """Return inertia_of for all samples."""
        if len(centers) == 1 and not isinstance(labels, RemoteLabels):
            labels = RemoteLabels(self.parted, label_tasks.LabelsRef(centers))
        if not isinstance(labels, RemoteLabels):
            return super().inertia(centers, labels, sample_weight, n_threads, kind)
        divisors = None if sample_weight is None else sample_weight.divisors
        found = [
            self.parted.reduce(
                label_tasks.inertia_of_part, running.merge_totals, (labels.ref, centers, divisors, kind),
                with_number=True, with_first=True,
            )
        ]  # fmt: skip
        if self._seams:
            found.append(self._over_seams(label_tasks.inertia_of_seam, (labels.ref, centers, divisors, kind)))
        return float(running.merge_totals(found)[0].values()[0, 0])

    def sums_anew(self, labels: Any, sample_weight: Any, wanted: Flags, n_threads: int) -> tuple[Floats, Floats]:
        """Return sums of some clusters on grids of their own, and the unit of the weights of each; see Samples."""
        divisors = None if sample_weight is None else sample_weight.divisors
        shared = labels.ref, wanted, divisors
        each = {"with_number": True, "with_first": True}
        heaviest, counts = self.parted.reduce(label_tasks.weigh_clusters, label_tasks.merge_clusters, shared, **each)
        units = np.ones(len(wanted))
        if divisors is not None:
            units[wanted > 0] = np.ldexp(1.0, np.frexp(heaviest[wanted > 0])[1] - 1)
        (largest,) = self.parted.reduce(label_tasks.measure_clusters, running.maxima, (*shared, units), **each)
        (sums,) = self.parted.reduce(label_tasks.add_clusters, running.add, (*shared, units, counts, largest), **each)
        return sums, units

    def whole(self, what: str = "") -> Samples:
        """Return the samples in one array of this process.   what : what needs them; by default k-means++ or an exchange.

        Raises ValueError if they take more than GATHERED_BYTES.
        """
        if self._whole is None:
            n_samples, n_features = self.values.shape
            size = n_samples * n_features * self.values.dtype.itemsize
            if size > GATHERED_BYTES:
                way_out = "Pass some of the samples." if what else _WITHOUT_GATHERING
                raise ValueError(
                    f"X must fit into one process for {what or 'this fit'}, and takes {size / 2**30:.1f} GiB of the "
                    f"{GATHERED_BYTES / 2**30:.1f} GiB that may be gathered. {way_out}"
                )
            values: AnyArray = np.empty((n_samples, n_features), dtype=self.values.dtype)
            for rows, own in self.arrays():
                values[rows] = own
            weights = None if self.sample_weight is None else np.asarray(self.sample_weight)
            self._whole = Samples(values, weights, self.description)
        return self._whole

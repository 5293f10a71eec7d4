"""Labels of samples on workers. They are those of the nearest centers, so that nobody needs to hold them."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..types import AnyArray, Labels
from . import label_tasks, running
from .label_tasks import LabelsRef
from .parts import Parted, filled


class RemoteLabels:
    """Stands for (n_samples,) labels. Numpy functions, and indices, gather what they need."""

    def __init__(self, parted: Parted, ref: LabelsRef) -> None:
        self._parted, self.ref = parted, ref

    def __len__(self) -> int:
        return self._parted.n_samples

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> AnyArray:
        labels: Labels = np.empty(len(self), dtype=np.int32)
        found = self._parted.reduce(
            label_tasks.labels_of, running.listed, (self.ref,), with_number=True, with_first=True
        )
        for first, own in found:
            labels[first : first + len(own)] = own
        return labels if dtype is None else labels.astype(dtype, copy=False)

    def __getitem__(self, rows: Any) -> AnyArray:
        if isinstance(rows, slice):
            rows = np.arange(len(self))[rows]
        found = self._parted.at(label_tasks.labels_at, np.asarray(rows), (self.ref,), with_number=True)
        return filled(len(rows), np.int32, found)

    def copy(self) -> RemoteLabels:
        """Return labels that may be changed."""
        return RemoteLabels(self._parted, self.ref)

    def __setitem__(self, rows: Any, label: int) -> None:
        """Give samples another label, the same for all samples that have one."""
        before = () if self.ref.relabelled is None else self.ref.relabelled[0]
        numbers = np.sort(np.concatenate([before, np.asarray(rows)]).astype(np.int64))
        self.ref = self.ref._replace(relabelled=(numbers, label))

    def astype(self, dtype: Any, copy: bool = True) -> AnyArray:
        """Return all labels, gathered here."""
        return np.asarray(self).astype(dtype, copy=copy)

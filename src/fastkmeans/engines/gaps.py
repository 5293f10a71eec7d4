"""How far centers may move until the label of a row may change, in steps by codes."""

from __future__ import annotations

import numpy as np

from .._core.gaps import store_gaps
from ..types import Floats, Indices, Labels, Singles


class Gaps:
    """How far centers may move until labels may change: bounds after G. Hamerly, "Making k-means even faster", SDM 2010. Codes find them
    for the rows whose labels they prove (kernels/screen.h); for others they are found when the rows are read.

    until : (n_samples,) float32, of which no value matters yet.   centers : those of the step before.

    A row surely keeps its label as long as its `until` exceeds the way of its center, of `ways`.
    """

    def __init__(self, until: Singles, centers: Floats) -> None:
        self.until, self._before = until, centers.copy()
        self.until.fill(-np.inf)
        self.ways = np.zeros(len(centers))

    def follow(self, centers: Floats) -> None:
        """Take note of moved centers: add to the way of each what it and the farthest of the others have moved."""
        moved = np.sqrt(((centers - self._before) ** 2).sum(axis=1)) + LEAST_WAY
        own = int(moved.argmax())
        others = np.full(len(moved), moved[own])
        others[own] = np.delete(moved, own).max(initial=0.0)
        self.ways = (self.ways + (moved + others)) * WIDER
        self._before = centers.copy()

    def put(self, rows: Indices, labels: Labels, gaps: Floats) -> None:
        """Store the gaps of rows with these labels, as of now. They are stored with the way so far, and rounded down."""
        store_gaps(rows, labels, gaps, self.ways, self.until)

    def forget(self, rows: slice) -> None:
        """Store no gap of these rows."""
        self.until[rows] = -np.inf


WIDER = 1.0 + 2.0**-18
"""Ways are rounded up by more than all operations on them can round, and than 2^-20 of the way, which gaps count on
(kmeans_core/gaps.pyx, kernels/until.h)."""

LEAST_WAY = 2.0**-500
"""Added to each way, because squares of ways so short have few digits."""

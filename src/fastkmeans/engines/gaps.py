"""How far centers may move until the label of a row may change, for rows that steps by codes have read."""

from __future__ import annotations

import numpy as np

from ..types import Floats, Indices, Labels, Mask, Singles

KEPT_SHARE = 0.5
"""Gaps are not worth their cost if fewer of those that are stored spare a reading. A gap took as long as reading a row and
finding its label three times (100 features, 100 clusters, two cores of a Granite Rapids Xeon). Where centers share a group of samples they
move farther than gaps are wide, and few gaps are kept."""


class Gaps:
    """How far centers may move until labels of rows that were read may change: bounds after G. Hamerly, "Making k-means even faster",
    SDM 2010, of some rows.

    stored : (n_samples,) float32, of which no value matters yet.   centers : those of the step before.
    """

    def __init__(self, stored: Singles, centers: Floats) -> None:
        self._stored, self._before = stored, centers.copy()
        self._stored.fill(-np.inf)
        self._ways = np.zeros(len(centers))
        self._n_stored = self._n_put = self._n_kept = 0  # before this step, in this step, and how many spared a reading
        self._n_resting, self._next_rest = 0, 1

    def follow(self, centers: Floats) -> None:
        """Take note of moved centers: add to the way of each what it and the farthest of the others have moved."""
        moved = np.sqrt(((centers - self._before) ** 2).sum(axis=1)) + LEAST_WAY
        own = int(moved.argmax())
        others = np.full(len(moved), moved[own])
        others[own] = np.delete(moved, own).max()
        self._ways = (self._ways + (moved + others)) * WIDER
        self._before = centers.copy()
        self._n_resting = max(self._n_resting - 1, 0)
        if self._n_stored:
            if self._n_kept < KEPT_SHARE * self._n_stored:
                self._n_resting, self._next_rest = self._next_rest, 2 * self._next_rest
            else:
                self._next_rest = 1
        self._n_stored, self._n_put, self._n_kept = self._n_kept + self._n_put, 0, 0

    @property
    def pay(self) -> bool:
        """Whether gaps are worth their cost. Those of the step before did, or are tried anew after a rest that doubles."""
        return self._n_resting == 0

    def put(self, rows: Indices, labels: Labels, gaps: Floats) -> None:
        """Store the gaps of rows with these labels, as of now. They are stored with the way so far, and rounded down."""
        until = np.minimum((self._ways[labels] + gaps * NARROWER) * NARROWER, MOST_STORED)
        self._stored[rows] = np.where(gaps > 0.0, until, -np.inf)
        self._n_put += len(rows)

    def forget(self, rows: Indices | slice) -> None:
        """Store no gap of these rows."""
        self._stored[rows] = -np.inf

    def keep(self, rows: Indices, labels: Labels) -> Mask:
        """Say which rows surely keep their labels.   labels : so far."""
        kept: Mask = self._stored[rows] > self._ways[labels]
        self._n_kept += int(np.count_nonzero(kept))
        return kept


WIDER, NARROWER = 1.0 + 2.0**-18, 1.0 - 2.0**-20
"""Ways are rounded up by more, and gaps down by more, than all operations on them can round, float32 included, and than 2^-20 of the
way, which the decision counts on (kmeans_core/screened.pyx)."""

MOST_STORED = float(np.finfo(np.float32).max)
"""What is larger would be stored as infinite, and exceed every way."""

LEAST_WAY = 2.0**-500
"""Added to each way, because squares of ways so short have few digits."""

"""Which samples are coded for the prefix filter, and what steps over codes cost (kernels/prefix.h)."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import numpy as np

from .._core.codes import CodedRows
from .._core.runtime import both, code_format, tile
from .._core.stored import StoredRows, read_as
from ..types import Floats, Singles, Values
from .budget import SMALL_COPY, spare_directions
from .directions import (
    N_DIRECTIONS,
    TRIAL_ROWS,
    Trial,
    count_direction_rows,
    dense_cost,
    filter_cost,
    is_worth_a_trial,
    most_directions,
    principal_directions,
    skew_of,
    spanning,
)  # fmt: skip
from .quantizing import QuantizedCopies

OFFSET_ROWS = 512
"""Rows whose mean is the offset if there are no directions to find."""

MAX_FEATURES = 16_384
"""Most features that are coded as they are: the length of a row of codes is limited (vec.h, CODE_LENGTH), and rounding takes a
part of it."""

BYTES_BESIDE_SEEDING_CODES = 20
"""Beside samples that are read in place, codes for seeding may have SMALL_COPY bytes. Without them k-means++ of 12 000 x 384 float16 sentence
embeddings took 0.26 s instead of 0.13 s (k=256). Principal directions, of which there is room for 160, took 0.48 s: they leave too many
distances open."""

STEP_TRIALS = 64
"""The rows of a step are at least so many times those of a trial, or the filter is not tried again: of 2668 samples with 1157 features
and 114 clusters a trial took 3 ms, and a step 5 ms."""

MAX_DIRECTIONS = 512
"""More would make the codes coarse where their length is limited (vec.h, CODE_LENGTH)."""


class _Directions(NamedTuple):
    """Directions of some samples.   wanted : how many.   rows, offset, scale : of _some_rows.   found : (n_features, wanted)."""

    wanted: int
    rows: Singles
    offset: Floats
    scale: float
    found: Singles


class Codes:
    """The codes of an array, made when they are first asked for: several starts share them.

    X : (n_samples, n_features) float32 or float64, C order, finite; or StoredRows.   max_abs : (n_features,) float64, its largest |x|.
    n_threads : int >= 1.   quantized : copies of X for steps in which codes do not pay; None for Lloyd's steps.
    """

    def __init__(self, X: Values, max_abs: Floats, n_threads: int, quantized: QuantizedCopies | None = None):
        self.X, self.max_abs, self.n_threads, self.quantized = X, max_abs, n_threads, quantized
        self._whole: CodedRows | None = None
        self._turned: CodedRows | None = None
        self._directions: _Directions | None = None
        self._read_as = read_as(X)

    @property
    def may_pay_later(self) -> bool:
        """Have directions been found that did not pay for the centers of the last trial? They may pay for others.

        Not if samples are so few that a trial costs about as much as a step.
        """
        return self._directions is not None and len(self.X) >= STEP_TRIALS * TRIAL_ROWS

    def for_seeding(self) -> CodedRows | None:
        """CodedRows of X by its own features; None if float32 is too narrow, rows are too wide, or no instruction
        multiplies bytes.

        Seeds are samples, and fewer directions than features would leave too much of their distances open: of 12 000 x 384
        sentence embeddings 8 % of the pairs with 192 directions at 64 seeds, 1.8 % with all features.
        """
        n_bytes = len(self.X) * (self.X.shape[1] + BYTES_BESIDE_SEEDING_CODES)
        if isinstance(self.X, StoredRows) and n_bytes > SMALL_COPY:
            return None
        if self._whole is None and code_format()[0] > 1 and self.X.shape[1] <= MAX_FEATURES:
            n_rows = min(OFFSET_ROWS, len(self.X))
            rows, offset, scale = self._some_rows(n_rows)
            if np.isfinite(rows).all():
                self._whole = CodedRows(self.X, None, 0.0, offset, scale, self.n_threads)
        return self._whole

    def for_steps(self, centers: Floats, n_directions: int | None = None) -> CodedRows | None:
        """CodedRows of X along principal directions, for assigning it to such centers; None if they do not pay.

        Later centers may let them pay: then the directions are not looked for again.   n_directions : None for as many as cost least.
        """
        n_samples, n_features = self.X.shape
        if self._turned is None and (n_directions or is_worth_a_trial(n_samples, n_features, len(centers))):
            chosen = self._choose_directions(centers, n_directions)
            self._turned = None if chosen is None else CodedRows(self.X, *chosen, self.n_threads)
        return self._turned

    def pays(self, n_directions: int, kept: float, n_clusters: int) -> bool:
        """Does a step in which `kept` pairs per sample remain cost no more than one of Lloyd's algorithm?"""
        n_samples, n_features = self.X.shape
        cost = filter_cost(n_directions, kept, n_samples, n_features, n_clusters, code_format()[0], tile()[0])
        return not cost > dense_cost(n_features, n_clusters)

    def _choose_directions(
        self, centers: Floats, n_directions: int | None
    ) -> tuple[Singles, float, Floats, float] | None:
        """Find directions, and return those that cost least, their skew, the offset and the scale.

        The rows that tell the directions, and what is computed of them, are freed before codes take memory.
        """
        n_samples, n_features = self.X.shape
        wanted = min(n_directions or most_directions(n_features, len(centers)), n_features, MAX_DIRECTIONS)
        if isinstance(self.X, StoredRows):
            wanted = min(wanted, spare_directions(self.X))
            if wanted < N_DIRECTIONS[0]:
                return None
        known = self._directions
        if known is not None and known.wanted == wanted:
            directions, offset, scale = known.found, known.offset, known.scale
            trial = Trial(known.rows, np.asarray(centers), offset, scale)
            trial.score()
        else:
            rows, offset, scale = self._some_rows(count_direction_rows(n_samples, n_features, len(centers)))
            if not np.isfinite(rows).all():
                return None
            trial = Trial(rows, np.asarray(centers), offset, scale)
            span = spanning(rows, wanted, self.n_threads)
            directions, _ = both(self.n_threads, partial(principal_directions, rows, span, wanted), trial.score)
            self._directions = _Directions(wanted, rows, offset, scale, directions)
        choose = partial(trial.choose_n_directions, directions, n_samples, *code_format(), tile()[0])
        n_kept, skew = both(
            self.n_threads, partial(int, wanted) if n_directions else choose, partial(skew_of, directions)
        )
        if n_kept == 0:
            return None
        self._directions = None
        return np.ascontiguousarray(directions[:, :n_kept].T), skew, offset, scale

    def _some_rows(self, n_rows: int) -> tuple[Singles, Floats, float]:
        """Some rows about their mean and scaled, float32 (not finite if that is too narrow), the mean, and the scale."""
        X = self.X
        spread = X[:: len(X) // n_rows][:n_rows]
        offset = spread.mean(axis=0, dtype=np.float64).astype(self._read_as)
        largest = float((self.max_abs + np.abs(offset)).max())
        limit = 126 if self._read_as.itemsize == 4 else 1020
        scale = 2.0 ** min(max(1 - int(np.frexp(largest)[1]), -limit), limit) if largest > 0 else 1.0
        with np.errstate(over="ignore", invalid="ignore"):
            rows = spread - offset
            rows *= scale
            return rows.astype(np.float32, copy=False), offset.astype(np.float64), scale

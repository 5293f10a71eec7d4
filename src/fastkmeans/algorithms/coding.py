"""Which samples are coded for the prefix filter, and what steps over codes cost (kernels/prefix.h)."""

from __future__ import annotations

from functools import partial

import numpy as np

from .._core.codes import CodedRows
from .._core.runtime import both, code_format, tile
from ..types import Floats, Singles, Values
from .directions import (
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

OFFSET_ROWS = 512
"""Rows whose mean is the offset if there are no directions to find."""

MAX_FEATURES = 16_384
"""Most features that are coded as they are: the length of a row of codes is limited (vec.h, CODE_LENGTH), and rounding takes a
part of it."""

MAX_DIRECTIONS = 512
"""More would make the codes coarse where their length is limited (vec.h, CODE_LENGTH)."""


class Codes:
    """The codes of an array, made when they are first asked for: several starts share them.

    X : (n_samples, n_features) float32 or float64, C order, finite.   max_abs : (n_features,) float64, its largest |x|.
    n_threads : int >= 1.
    """

    def __init__(self, X: Values, max_abs: Floats, n_threads: int):
        self.X, self.max_abs, self.n_threads = X, max_abs, n_threads
        self._whole: CodedRows | None = None
        self._turned: CodedRows | None = None

    def for_seeding(self) -> CodedRows | None:
        """CodedRows of X by its own features; None if float32 is too narrow, rows are too wide, or no instruction
        multiplies bytes.

        Seeds are samples, and fewer directions than features would leave too much of their distances open: of 12 000 x 384
        sentence embeddings 8 % of the pairs with 192 directions at 64 seeds, 1.8 % with all features.
        """
        if self._whole is None and code_format()[0] > 1 and self.X.shape[1] <= MAX_FEATURES:
            n_rows = min(OFFSET_ROWS, len(self.X))
            rows, offset, scale = self._some_rows(n_rows)
            if np.isfinite(rows).all():
                self._whole = CodedRows(self.X, None, 0.0, offset, scale, self.n_threads)
        return self._whole

    def for_steps(self, centers: Floats, n_directions: int | None = None) -> CodedRows | None:
        """CodedRows of X along principal directions, for assigning it to such centers; None if they do not pay.

        n_directions : None for as many as cost least.
        """
        n_samples, n_features = self.X.shape
        if self._turned is None and (n_directions or is_worth_a_trial(n_samples, n_features, len(centers))):
            self._turned = self._turn(centers, n_directions)
        return self._turned

    def pays(self, n_directions: int, kept: float, n_clusters: int) -> bool:
        """Does a step in which `kept` pairs per sample remain cost no more than one of Lloyd's algorithm?"""
        n_samples, n_features = self.X.shape
        cost = filter_cost(n_directions, kept, n_samples, n_features, n_clusters, code_format()[0], tile()[0])
        return not cost > dense_cost(n_features, n_clusters)

    def _turn(self, centers: Floats, n_directions: int | None) -> CodedRows | None:
        n_samples, n_features = self.X.shape
        rows, offset, scale = self._some_rows(count_direction_rows(n_samples, n_features, len(centers)))
        if not np.isfinite(rows).all():
            return None
        wanted = min(n_directions or most_directions(n_features, len(centers)), n_features, MAX_DIRECTIONS)
        trial = Trial(rows, np.asarray(centers), offset, scale)
        span = spanning(rows, wanted, self.n_threads)
        directions, _ = both(self.n_threads, partial(principal_directions, rows, span, wanted), trial.score)
        choose = partial(trial.choose_n_directions, directions, n_samples, *code_format(), tile()[0])
        n_kept, skew = both(
            self.n_threads, partial(int, n_directions) if n_directions else choose, partial(skew_of, directions)
        )
        if n_kept == 0:
            return None
        return CodedRows(self.X, np.ascontiguousarray(directions[:, :n_kept].T), skew, offset, scale, self.n_threads)

    def _some_rows(self, n_rows: int) -> tuple[Singles, Floats, float]:
        """Some rows about their mean and scaled, float32 (not finite if that is too narrow), the mean, and the scale."""
        X = self.X
        spread = X[:: len(X) // n_rows][:n_rows]
        offset = spread.mean(axis=0, dtype=np.float64).astype(X.dtype)
        largest = float((self.max_abs + np.abs(offset)).max())
        limit = 126 if X.dtype.itemsize == 4 else 1020
        scale = 2.0 ** min(max(1 - int(np.frexp(largest)[1]), -limit), limit) if largest > 0 else 1.0
        with np.errstate(over="ignore", invalid="ignore"):
            rows = spread - offset
            rows *= scale
            return rows.astype(np.float32, copy=False), offset.astype(np.float64), scale

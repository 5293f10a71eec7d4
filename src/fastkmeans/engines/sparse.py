"""The threads of this machine, for sparse samples."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._core.sparse import SparseState
from ..algorithms.table import Algorithm
from ..samples import Samples
from ..sparse import SparseSamples
from ..types import Floats, Values
from .local import LocalEngine
from .spherical import SphericalEngine


class SparseEngine(LocalEngine):
    """Sparse samples, and the state of one run over them. Every step meets all pairs of sample and center."""

    def _make_state(self, samples: Samples, algorithm: Algorithm, max_weight: float, n_clusters: int) -> Any:
        assert isinstance(samples, SparseSamples)
        return SparseState(
            samples.rows, self.sample_weight, samples.description.max_abs, max_weight, n_clusters, self.n_threads
        )

    def take(self, rows: list[int]) -> Values:
        """(len(rows), n_features): some samples, made dense."""
        return self._samples.take(np.array(rows, dtype=np.intp))

    def exchange(self, moved: Floats, n_trial: int, n_iterations: int, n_rows: int, surplus: float) -> int:
        """None: splitting on trial reads dense samples."""
        return 0


class SparseSphericalEngine(SparseEngine, SphericalEngine):
    """The same over rows of length 1, whose centers have length 1 too."""

"""The threads of this machine, for sparse samples."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from .._core.sparse import SparseState
from ..algorithms.table import Algorithm
from ..samples import Samples
from ..sparse import SparseSamples
from ..types import Flags, Floats
from .local import LocalEngine
from .rounding import LEAST_BITS, fine_quanta, least_weight
from .spherical import SphericalEngine


class SparseEngine(LocalEngine):
    """Sparse samples, and the state of one run over them. Every step meets all pairs of sample and center."""

    def _make_state(self, samples: Samples, algorithm: Algorithm, max_weight: float, n_clusters: int) -> Any:
        assert isinstance(samples, SparseSamples)
        return SparseState(
            samples.rows, self.sample_weight, samples.description.max_abs, max_weight, n_clusters, self.n_threads
        )

    @cached_property
    def _losses(self) -> Floats | None:
        """As LocalEngine's, but sums keep LEAST_BITS: a feature of few stored values has a small sum in every cluster."""
        smallest = np.append(self.description.smallest.of(self._samples, self.n_threads), 1.0)
        needed = 2.0**LEAST_BITS * fine_quanta(self._clusters.grid)
        losses = np.where(smallest * least_weight(self.sample_weight) < needed, needed, 0.0)
        return losses if losses.any() else None

    def _trust_some(self, doubtful: Flags, losses: Floats) -> None:
        """No cluster is trusted: adding it up anew takes no longer than looking."""

    def exchange(
        self, moved: Floats, n_trial: int, n_iterations: int, n_rows: int, surplus: float
    ) -> tuple[int, float]:
        """None: splitting on trial reads dense samples."""
        return 0, 0.0


class SparseSphericalEngine(SparseEngine, SphericalEngine):
    """The same over rows of length 1, whose centers have length 1 too."""

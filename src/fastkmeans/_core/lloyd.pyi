from typing import overload

import numpy as np
from numpy.typing import NDArray

from .distances import Samples
from .sums import ClusterSums

class LloydState:
    clusters: ClusterSums
    n_decided: int
    stepped_by: str
    @overload
    def __init__(
        self,
        X: Samples,
        sample_weight: NDArray[np.float64] | None,
        max_abs: NDArray[np.float64],
        max_weight: float,
        n_clusters: int,
        n_threads: int,
    ) -> None: ...
    @overload
    def __init__(self, *, clusters: ClusterSums) -> None: ...
    def step(self, centers: NDArray[np.float64]) -> int: ...

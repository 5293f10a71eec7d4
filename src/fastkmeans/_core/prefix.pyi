import numpy as np
from numpy.typing import NDArray

from .codes import Codes
from .distances import Samples
from .sums import ClusterSums

class PrefixState:
    clusters: ClusterSums
    n_directions: int
    n_compared: int
    n_decided: int
    stepped_by: str
    def __init__(
        self,
        X: Samples,
        sample_weight: NDArray[np.float64] | None,
        max_abs: NDArray[np.float64],
        max_weight: float,
        n_clusters: int,
        n_threads: int,
        copies: Codes | None = None,
        n_directions: int | None = None,
    ) -> None: ...
    def step(self, centers: NDArray[np.float64]) -> int: ...

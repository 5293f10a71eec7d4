import numpy as np
from numpy.typing import NDArray

from .distances import Samples
from .quantized import QuantizedCopies
from .sums import ClusterSums

class YinyangState:
    clusters: ClusterSums
    n_decided: int
    stepped_by: str
    n_scored: int
    n_groups: int
    begins_from_quantized: bool
    def __init__(
        self,
        X: Samples,
        sample_weight: NDArray[np.float64] | None,
        max_abs: NDArray[np.float64],
        max_weight: float,
        n_clusters: int,
        n_threads: int,
        copies: QuantizedCopies | None = None,
    ) -> None: ...
    def step(self, centers: NDArray[np.float64]) -> int: ...
    def insist(self) -> None: ...
    def bounds(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]] | None: ...

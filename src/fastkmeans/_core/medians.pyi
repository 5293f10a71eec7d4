import numpy as np
from numpy.typing import NDArray

from .distances import Samples

class MediansState:
    labels: NDArray[np.int32]
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
    ) -> None: ...
    @property
    def cost(self) -> float: ...
    def step(self, centers: NDArray[np.float64]) -> int: ...
    def move(self, moved: NDArray[np.float64], weights: NDArray[np.float64]) -> None: ...

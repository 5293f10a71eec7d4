import numpy as np
from numpy.typing import NDArray

from .distances import Samples

def sum_anew(
    X: Samples,
    sample_weight: NDArray[np.float64] | None,
    labels: NDArray[np.int32],
    wanted: NDArray[np.uint8],
    sums: NDArray[np.float64],
    units: NDArray[np.float64],
    n_threads: int,
) -> None: ...

class LloydState:
    labels: NDArray[np.int32]
    sums: NDArray[np.float64]
    grid: NDArray[np.float64]
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
    def step(self, centers: NDArray[np.float64]) -> int: ...
    follower_address: int
    def take_followed(self) -> int: ...
    def follow(self, new_labels: NDArray[np.int32]) -> int: ...
    def move(
        self,
        centers: NDArray[np.float64],
        origin: NDArray[np.float64],
        moved: NDArray[np.float64],
        terms: NDArray[np.float64],
        digits: float = 0.0,
    ) -> tuple[float, float, int, int]: ...

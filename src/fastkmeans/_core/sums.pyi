import numpy as np
from numpy.typing import NDArray

from .distances import Samples

class ClusterSums:
    labels: NDArray[np.int32]
    sums: NDArray[np.float64]
    grid: NDArray[np.float64]
    def __init__(
        self,
        X: Samples,
        sample_weight: NDArray[np.float64] | None,
        max_abs: NDArray[np.float64],
        max_weight: float,
        n_clusters: int,
        n_threads: int,
        n_grid_samples: int = 0,
    ) -> None: ...
    def follow(self, new_labels: NDArray[np.int32]) -> int: ...
    def move(
        self,
        centers: NDArray[np.float64],
        origin: NDArray[np.float64],
        moved: NDArray[np.float64],
        terms: NDArray[np.float64],
        digits: float = 0.0,
    ) -> tuple[float, float, int, int]: ...

    def move_by(
        self,
        sums: NDArray[np.float64],
        centers: NDArray[np.float64],
        origin: NDArray[np.float64],
        moved: NDArray[np.float64],
        terms: NDArray[np.float64],
        digits: float = 0.0,
    ) -> tuple[float, float, int, int]: ...

def totals_of(terms: NDArray[np.float64]) -> tuple[float, float, int, int]: ...
def explained_of(
    sums: NDArray[np.float64], centers: NDArray[np.float64], origin: NDArray[np.float64], n_threads: int
) -> tuple[float, float]: ...

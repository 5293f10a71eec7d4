import numpy as np
from numpy.typing import NDArray

from .distances import Samples

DIRECTION_ROWS: int
TRIAL_PAIRS: int
EXPECTED_STEPS: int
MAX_DIRECTIONS: int
N_DIRECTIONS: tuple[int, ...]

def principal_directions(rows: NDArray[np.float32], n_directions: int) -> NDArray[np.float32]: ...
def orthonormal(span: NDArray[np.float32]) -> NDArray[np.float64]: ...
def filter_cost(
    n_directions: int,
    kept: float,
    n_samples: int,
    n_features: int,
    n_clusters: int,
    code_features: int,
    lanes: int,
) -> float: ...
def dense_cost(n_features: int, n_clusters: int) -> float: ...
def choose_n_directions(
    rows: NDArray[np.float32],
    centers: NDArray[np.float32],
    directions: NDArray[np.float32],
    n_samples: int,
    code_features: int,
    code_limit: int,
    code_length: int,
    lanes: int,
) -> int: ...

class PrefixState:
    labels: NDArray[np.int32]
    sums: NDArray[np.float64]
    grid: NDArray[np.float64]
    n_directions: int
    n_compared: int
    n_decided: int
    def __init__(
        self,
        X: Samples,
        sample_weight: NDArray[np.float64] | None,
        max_abs: NDArray[np.float64],
        max_weight: float,
        n_clusters: int,
        n_threads: int,
        n_directions: int | None = None,
    ) -> None: ...
    def step(self, centers: NDArray[np.float64]) -> int: ...
    def move(
        self,
        centers: NDArray[np.float64],
        origin: NDArray[np.float64],
        moved: NDArray[np.float64],
        terms: NDArray[np.float64],
    ) -> tuple[float, float, int]: ...

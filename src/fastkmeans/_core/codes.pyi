import numpy as np
from numpy.typing import NDArray

from .distances import Samples

DIRECTION_ROWS: int
TRIAL_PAIRS: int
TRIAL_ROWS: int
TRIAL_CENTERS: int
EXPECTED_STEPS: int
OFFSET_ROWS: int
MAX_FEATURES: int
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

def most_directions(n_features: int, n_clusters: int) -> int: ...
def count_direction_rows(n_samples: int, n_features: int, n_clusters: int) -> int: ...
def is_worth_a_trial(n_samples: int, n_features: int, n_clusters: int) -> bool: ...

class CodedRows:
    directions: NDArray[np.float32] | None
    offset: NDArray[np.float64]
    scale: float
    skew: float
    n_directions: int
    addresses: tuple[int, int, int]
    def __init__(
        self,
        X: Samples,
        directions: NDArray[np.float32] | None,
        offset: NDArray[np.float64],
        scale: float,
        n_threads: int,
    ) -> None: ...

class Codes:
    def __init__(self, X: Samples, max_abs: NDArray[np.float64], n_threads: int) -> None: ...
    def for_seeding(self) -> CodedRows | None: ...
    def for_steps(self, centers: NDArray[np.float64], n_directions: int | None = None) -> CodedRows | None: ...

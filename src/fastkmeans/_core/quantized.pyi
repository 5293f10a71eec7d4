import numpy as np
from numpy.typing import NDArray

from .distances import Samples
from .sums import ClusterSums

SIZE_ROWS: int
TRIAL_PAIRS: int
TWO_STEP_WORD: float
LARGEST_SHARE: float
ROOM_16: float

def dense_cost(n_features: int, n_clusters: int) -> float: ...
def quantized_cost(
    n_features: int, n_clusters: int, bits: int, undecided: float, has_dot8: int
) -> float: ...
def quantum(rows: NDArray[np.float64], offset: NDArray[np.float64], bits: int, limit: float) -> tuple[float, float]: ...
def share_undecided(
    rows: NDArray[np.float64], centers: NDArray[np.float64], offset: NDArray[np.float64], bits: int, limit: float
) -> float: ...
def choose_bits(
    rows: NDArray[np.float64], centers: NDArray[np.float64], offset: NDArray[np.float64], has_dot8: int
) -> int: ...

class QuantizedRows:
    bits: int
    share: float
    addresses: tuple[int, int, int]
    n_threads: int
    is_filled: bool
    def __init__(
        self, X: Samples, offset: NDArray[np.float64], largest: float, bits: int, n_threads: int, filled: bool = True
    ) -> None: ...
    def fill(self) -> None: ...

class QuantizedCopies:
    def __init__(self, X: Samples, n_threads: int) -> None: ...
    def choose_bits(self, centers: NDArray[np.float64]) -> int: ...
    def least_bits(self) -> int: ...
    def rows(self, bits: int, filled: bool = True) -> QuantizedRows: ...

class QuantizedState:
    clusters: ClusterSums
    n_decided: int
    stepped_by: str
    bits: int
    quantized: QuantizedRows | None
    share: float
    def __init__(
        self,
        X: Samples,
        sample_weight: NDArray[np.float64] | None,
        max_abs: NDArray[np.float64],
        max_weight: float,
        n_clusters: int,
        n_threads: int,
        copies: QuantizedCopies | None = None,
        bits: int | None = None,
    ) -> None: ...
    def step(self, centers: NDArray[np.float64]) -> int: ...

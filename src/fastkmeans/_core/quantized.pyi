from typing import Self

from ..types import Floats, Values
from .sums import ClusterSums

SIZE_ROWS: int
SIZE_VALUES: int
TRIAL_PAIRS: int
LATER_SHARE: float
CHECKED_STEP: int
SHARE_OF_16: float
TWO_STEP_WORD: float
LARGEST_SHARE: float
ROOM_16: float
LEAST_SIZE: float

def dense_cost(n_features: int, n_clusters: int) -> float: ...
def quantized_cost(n_features: int, n_clusters: int, bits: int, undecided: float, has_dot8: int) -> float: ...
def quantum(rows: Floats, offset: Floats, bits: int, limit: float) -> tuple[float, float]: ...
def share_undecided(rows: Floats, centers: Floats, offset: Floats, bits: int, limit: float) -> float: ...
def choose_bits(rows: Floats, centers: Floats, offset: Floats, has_dot8: int) -> int: ...

class QuantizedRows:
    bits: int
    share: float
    addresses: tuple[int, int, int]
    n_threads: int
    is_filled: bool
    @property
    def scale(self) -> float: ...
    def __new__(
        cls, X: Values, offset: Floats, largest: float, bits: int, n_threads: int, filled: bool = True
    ) -> Self: ...
    def fill(self) -> None: ...

class QuantizedCopies:
    def __init__(self, X: Values, n_threads: int) -> None: ...
    def choose_bits(self, centers: Floats) -> int: ...
    def least_bits(self) -> int: ...
    def rows(self, bits: int, filled: bool = True) -> QuantizedRows: ...

class QuantizedState:
    clusters: ClusterSums
    n_decided: int
    stepped_by: str
    bits: int
    quantized: QuantizedRows | None
    share: float
    def __new__(
        cls,
        X: Values,
        sample_weight: Floats | None,
        max_abs: Floats,
        max_weight: float,
        n_clusters: int,
        n_threads: int,
        copies: QuantizedCopies | None = None,
        bits: int | None = None,
        n_grid_samples: int = 0,
    ) -> Self: ...
    def step(self, centers: Floats) -> int: ...

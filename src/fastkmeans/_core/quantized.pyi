from typing import Protocol, Self

from ..types import Floats, Values
from .sums import ClusterSums

CHECKED_STEP: int

def exact_bytes(X: Values, bits: int) -> tuple[Floats, float] | None: ...

class QuantizedRows:
    bits: int
    share: float
    addresses: tuple[int, int, int]
    n_threads: int
    is_filled: bool
    @property
    def scale(self) -> float: ...
    def __new__(
        cls,
        X: Values,
        offset: Floats,
        largest: float,
        bits: int,
        n_threads: int,
        filled: bool = True,
        n_kept: int = 0,
    ) -> Self: ...
    def fill(self) -> None: ...

class _Copies(Protocol):
    """What a state asks of copies; see QuantizedCopies in algorithms/quantizing.py."""

    def choose_bits(self, centers: Floats) -> int: ...
    def share_of_dense(self, n_clusters: int, bits: int, undecided: float, crowded: float = ...) -> float: ...
    def prefers_16_bits(self, n_clusters: int, undecided: float, crowded: float = ...) -> bool: ...
    def rows(self, bits: int, filled: bool = True, keeps_stored: bool = False) -> QuantizedRows: ...

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
        copies: _Copies,
        bits: int | None = None,
        n_grid_samples: int = 0,
        keeps_stored: bool = True,
        clusters: ClusterSums | None = None,
    ) -> Self: ...
    def step(self, centers: Floats) -> int: ...

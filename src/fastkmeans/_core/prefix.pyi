from typing import Protocol, Self

from ..types import Floats, Values
from .codes import CodedRows
from .sums import ClusterSums

class _Copies(Protocol):
    """What a state asks of copies; see Codes in algorithms/coding.py."""

    def for_steps(self, centers: Floats, n_directions: int | None = None) -> CodedRows | None: ...
    def pays(self, n_directions: int, kept: float, n_clusters: int) -> bool: ...
    @property
    def may_pay_later(self) -> bool: ...

class PrefixState:
    clusters: ClusterSums
    n_directions: int
    n_compared: int
    n_decided: int
    stepped_by: str
    def __new__(
        cls,
        X: Values,
        sample_weight: Floats | None,
        max_abs: Floats,
        max_weight: float,
        n_clusters: int,
        n_threads: int,
        copies: _Copies,
        n_directions: int | None = None,
        n_grid_samples: int = 0,
    ) -> Self: ...
    def step(self, centers: Floats) -> int: ...

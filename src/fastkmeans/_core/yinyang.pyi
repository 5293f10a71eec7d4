from typing import Self

from ..types import Floats, Indices, Values
from .quantized import _Copies
from .sums import ClusterSums

class YinyangState:
    clusters: ClusterSums
    probe_cost: float
    n_decided: int
    stepped_by: str
    n_scored: int
    n_groups: int
    begins_from_quantized: bool
    def __new__(
        cls,
        X: Values,
        sample_weight: Floats | None,
        max_abs: Floats,
        max_weight: float,
        n_clusters: int,
        n_threads: int,
        copies: _Copies,
        n_grid_samples: int = 0,
    ) -> Self: ...
    def step(self, centers: Floats) -> int: ...
    def insist(self) -> None: ...
    def bounds(self) -> tuple[Floats, Floats, Indices] | None: ...

from typing import Self, overload

from ..types import Floats, Values
from .sums import ClusterSums

class LloydState:
    clusters: ClusterSums
    n_decided: int
    stepped_by: str
    @overload
    def __new__(
        cls,
        X: Values,
        sample_weight: Floats | None,
        max_abs: Floats,
        max_weight: float,
        n_clusters: int,
        n_threads: int,
        /,
        *,
        n_grid_samples: int = 0,
    ) -> Self: ...
    @overload
    def __new__(cls, *, clusters: ClusterSums) -> Self: ...
    def step(self, centers: Floats) -> int: ...

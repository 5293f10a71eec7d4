from typing import overload

from ..types import Floats, Values
from .sums import ClusterSums

class LloydState:
    clusters: ClusterSums
    n_decided: int
    stepped_by: str
    @overload
    def __init__(
        self,
        X: Values,
        sample_weight: Floats | None,
        max_abs: Floats,
        max_weight: float,
        n_clusters: int,
        n_threads: int,
    ) -> None: ...
    @overload
    def __init__(self, *, clusters: ClusterSums) -> None: ...
    def step(self, centers: Floats) -> int: ...

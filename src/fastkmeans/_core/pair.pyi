from ..types import Floats, Values
from .sums import ClusterSums

class PairState:
    clusters: ClusterSums
    n_decided: int
    n_read: int
    stepped_by: str
    def __new__(
        cls,
        X: Values,
        sample_weight: Floats | None,
        max_abs: Floats,
        max_weight: float,
        n_clusters: int,
        n_threads: int,
        n_grid_samples: int = 0,
    ) -> PairState: ...
    def step(self, centers: Floats) -> int: ...

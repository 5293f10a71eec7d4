from typing import Self

from ..types import Floats, Values
from .codes import Codes
from .sums import ClusterSums

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
        copies: Codes | None = None,
        n_directions: int | None = None,
        n_grid_samples: int = 0,
    ) -> Self: ...
    def step(self, centers: Floats) -> int: ...

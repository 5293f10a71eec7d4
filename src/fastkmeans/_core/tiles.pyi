from typing import Self

from ..types import Floats, Values
from .sums import ClusterSums

MIN_SAMPLES: int
MIN_TILE_ROWS: int
TILES_A_CLUSTER: int
SPLIT_FROM_CLUSTERS: int
DENSE_SAMPLE_WORK: float
MIXED_SAMPLE_WORK: float
SCORE_WORK: float
TEST_WORK: float
WORTH: float

class TileSums(ClusterSums): ...

class TilesState:
    clusters: ClusterSums
    n_decided: int
    stepped_by: str
    is_tiled: bool
    n_tested: int
    n_mixed: int
    n_scored: int
    def __new__(
        cls,
        X: Values,
        sample_weight: Floats | None,
        max_abs: Floats,
        max_weight: float,
        n_clusters: int,
        n_threads: int,
        n_grid_samples: int = 0,
    ) -> Self: ...
    def step(self, centers: Floats) -> int: ...

from typing import Self

from ..types import Floats, Labels, Values
from .files import CachedRows

class ClusterSums:
    labels: Labels
    sums: Floats
    grid: Floats
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
    def turn_to(self, X: Values | CachedRows, labels: Labels, sample_weight: Floats | None) -> None: ...
    def follow(self, new_labels: Labels) -> int: ...
    def move(
        self,
        centers: Floats,
        origin: Floats,
        moved: Floats,
        terms: Floats,
        digits: float = 0.0,
    ) -> tuple[float, float, int, int]: ...
    def move_by(
        self,
        sums: Floats,
        centers: Floats,
        origin: Floats,
        moved: Floats,
        terms: Floats,
        digits: float = 0.0,
    ) -> tuple[float, float, int, int]: ...

def totals_of(terms: Floats) -> tuple[float, float, int, int]: ...
def explained_of(sums: Floats, centers: Floats, origin: Floats, n_threads: int) -> tuple[float, float]: ...

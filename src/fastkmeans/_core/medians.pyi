from typing import Self

from ..types import Floats, Labels, Values

class MediansState:
    labels: Labels
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
    ) -> Self: ...
    @property
    def cost(self) -> float: ...
    def step(self, centers: Floats) -> int: ...
    def move(self, moved: Floats, weights: Floats) -> None: ...

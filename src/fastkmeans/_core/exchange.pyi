from typing import Self

from ..types import Floats, Labels, Values

class Exchange:
    def __new__(
        cls,
        X: Values,
        sample_weight: Floats | None,
        labels: Labels,
        weights: Floats,
        means: Floats,
        n_trial: int,
        n_iterations: int,
        most_rows: int,
        n_threads: int,
    ) -> Self: ...
    def apply(self, surplus: float) -> tuple[int, float]: ...

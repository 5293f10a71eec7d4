from ..types import Floats, Labels, Values

class Exchange:
    def __init__(
        self,
        X: Values,
        sample_weight: Floats | None,
        labels: Labels,
        weights: Floats,
        means: Floats,
        n_trial: int,
        n_iterations: int,
        most_rows: int,
        n_threads: int,
    ) -> None: ...
    def apply(self, surplus: float) -> int: ...

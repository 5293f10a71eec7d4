import numpy as np
from numpy.typing import NDArray

from .distances import Samples

class Exchange:
    def __init__(
        self,
        X: Samples,
        sample_weight: NDArray[np.float64] | None,
        labels: NDArray[np.int32],
        weights: NDArray[np.float64],
        means: NDArray[np.float64],
        n_trial: int,
        n_iterations: int,
        most_rows: int,
        n_threads: int,
    ) -> None: ...
    def apply(self, surplus: float) -> int: ...

import numpy as np
from numpy.typing import NDArray

from .distances import Samples

class TileOrder:
    X: Samples
    weights: NDArray[np.float64] | None
    def __init__(
        self, X: Samples, sample_weight: NDArray[np.float64] | None, tile_rows: int, split: bool, n_threads: int
    ) -> None: ...

import numpy as np
from numpy.typing import NDArray

from .distances import Samples

OFFSET_ROWS: int
MAX_FEATURES: int
MAX_DIRECTIONS: int

class CodedRows:
    directions: NDArray[np.float32] | None
    offset: NDArray[np.float64]
    scale: float
    skew: float
    n_directions: int
    addresses: tuple[int, int, int]
    def __init__(
        self,
        X: Samples,
        directions: NDArray[np.float32] | None,
        skew: float,
        offset: NDArray[np.float64],
        scale: float,
        n_threads: int,
    ) -> None: ...

class Codes:
    def __init__(self, X: Samples, max_abs: NDArray[np.float64], n_threads: int) -> None: ...
    def for_seeding(self) -> CodedRows | None: ...
    def for_steps(self, centers: NDArray[np.float64], n_directions: int | None = None) -> CodedRows | None: ...

import numpy as np
from numpy.typing import NDArray

from .codes import CodedRows
from .distances import Samples
from .quantized import QuantizedRows

DENSE_SHARE: float

class PlusPlus:
    def __init__(
        self,
        X: Samples,
        sample_weight: NDArray[np.float64] | None,
        scale: float,
        n_trials: int,
        n_threads: int,
        first: int,
        random: int,
        n_pool: int = 0,
        rows: QuantizedRows | CodedRows | None = None,
        manhattan: bool = False,
        dense_share: float = DENSE_SHARE,
    ) -> None: ...
    def choose(self, rows: NDArray[np.intp]) -> int: ...
    @property
    def min_sq_distances(self) -> NDArray[np.float64]: ...
    @property
    def n_passes_done(self) -> int: ...

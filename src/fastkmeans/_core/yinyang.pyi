import numpy as np
from numpy.typing import NDArray

from .lloyd import LloydState

class YinyangState(LloydState):  # by its methods alone: it holds one
    n_scored: int
    n_groups: int
    begins_from_quantized: bool
    def insist(self) -> None: ...
    def bounds(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]] | None: ...

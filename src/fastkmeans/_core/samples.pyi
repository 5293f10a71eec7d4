import numpy as np
from numpy.typing import NDArray

from .distances import Samples

def has_unusable(X: Samples, limit: float, n_threads: int) -> bool: ...
def describe_blocks(X: Samples, block: int, described: NDArray[np.float64], n_threads: int) -> None: ...

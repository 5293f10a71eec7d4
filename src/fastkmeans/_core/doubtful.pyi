import numpy as np
from numpy.typing import NDArray

from .distances import Samples

def trust_some(
    X: Samples,
    sample_weight: NDArray[np.float64] | None,
    labels: NDArray[np.int32],
    sums: NDArray[np.float64],
    grid: NDArray[np.float64],
    losses: NDArray[np.float64],
    doubtful: NDArray[np.uint8],
    n_samples: int = 0,
) -> None: ...
def sum_anew(
    X: Samples,
    sample_weight: NDArray[np.float64] | None,
    labels: NDArray[np.int32],
    wanted: NDArray[np.uint8],
    sums: NDArray[np.float64],
    units: NDArray[np.float64],
    n_threads: int,
) -> None: ...
def move_anew(
    X: Samples,
    weighted: bool,
    sums: NDArray[np.float64],
    units: NDArray[np.float64],
    wanted: NDArray[np.uint8],
    centers: NDArray[np.float64],
    origin: NDArray[np.float64],
    moved: NDArray[np.float64],
    terms: NDArray[np.float64],
) -> tuple[float, float, int, int]: ...

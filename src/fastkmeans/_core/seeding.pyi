import numpy as np
from numpy.typing import NDArray

from .distances import Samples

BLOCK_SAMPLES: int

def candidate_potentials(
    X: Samples,
    candidates: Samples,
    scale: float,
    min_sq_distances: NDArray[np.float64],
    sample_weight: NDArray[np.float64] | None,
    potentials: NDArray[np.float64],
    n_threads: int,
) -> None: ...
def accept_candidate(
    X: Samples,
    candidate: Samples,
    scale: float,
    sample_weight: NDArray[np.float64] | None,
    min_sq_distances: NDArray[np.float64],
    potentials: NDArray[np.float64],
    n_threads: int,
) -> None: ...

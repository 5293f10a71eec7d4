import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32] | NDArray[np.float64]

EUCLIDEAN: int
MANHATTAN: int
COSINE: int

def nearest(
    X: Samples, centers: NDArray[np.float64], labels: NDArray[np.int32], n_threads: int, kind: int = 0
) -> int: ...
def own_sq_distances(
    X: Samples,
    centers: NDArray[np.float64],
    labels: NDArray[np.int32],
    sq_distances: NDArray[np.float64],
    n_threads: int,
    kind: int = 0,
) -> None: ...
def inertia_of_blocks(
    X: Samples,
    centers: NDArray[np.float64],
    labels: NDArray[np.int32],
    sample_weight: NDArray[np.float64] | None,
    inertias: NDArray[np.float64],
    n_threads: int,
    kind: int = 0,
) -> None: ...
def pairwise(
    X: Samples, centers: NDArray[np.float64], distances: Samples, n_threads: int, kind: int = 0
) -> int: ...

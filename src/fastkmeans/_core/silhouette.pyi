import numpy as np
from numpy.typing import NDArray

from .distances import Samples

def mean_distances(
    X: Samples,
    rows: NDArray[np.int64],
    labels: NDArray[np.int64],
    others: Samples,
    order: NDArray[np.int64],
    runs: NDArray[np.int32],
    per_sum: NDArray[np.float64],
    offset: NDArray[np.float64],
    metric: str,
    own: NDArray[np.float64],
    nearest: NDArray[np.float64],
    n_threads: int,
) -> None: ...
def labelled_sums(
    X: Samples,
    rows: NDArray[np.int64],
    others: NDArray[np.int64],
    labels: NDArray[np.int32],
    metric: str,
    sums: NDArray[np.float64],
    n_threads: int,
) -> None: ...
def lay_eights(X: Samples, rows: NDArray[np.int64], eights: NDArray[np.float64], n_threads: int) -> None: ...
def judge_blocks(
    X: Samples,
    eights: NDArray[np.float64],
    labels: NDArray[np.int32],
    sample_weight: NDArray[np.float64] | None,
    centers: NDArray[np.float64],
    means: NDArray[np.float64],
    block: int,
    sums: NDArray[np.float64],
    n_threads: int,
) -> None: ...
def pair_mean_distances(
    X: Samples,
    order: NDArray[np.int64],
    runs: NDArray[np.int32],
    per_sum: NDArray[np.float64],
    metric: str,
    own: NDArray[np.float64],
    nearest: NDArray[np.float64],
    n_threads: int,
) -> None: ...

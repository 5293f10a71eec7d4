from typing import Self

from ..types import Floats, Labels
from .csr import CsrRows
from .sums import ClusterSums

CANCELS: float

class SparseState:
    clusters: ClusterSums
    n_decided: int
    stepped_by: str
    def __new__(
        cls,
        rows: CsrRows,
        sample_weight: Floats | None,
        max_abs: Floats,
        max_weight: float,
        n_clusters: int,
        n_threads: int,
        n_grid_samples: int = 0,
    ) -> Self: ...
    def step(self, centers: Floats) -> int: ...

def nearest(rows: CsrRows, centers: Floats, labels: Labels, n_threads: int) -> int: ...
def sq_norms(centers: Floats) -> Floats: ...
def own_sq_distances(
    rows: CsrRows, centers: Floats, labels: Labels, sq_distances: Floats, n_threads: int, as_dense: bool = False
) -> None: ...
def eight_sq_distances(rows: CsrRows, columns: Floats, norms: Floats, sq_distances: Floats, n_threads: int) -> None: ...

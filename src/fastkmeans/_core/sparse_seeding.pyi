from typing import Self

from ..types import Floats, Indices
from .csr import CsrRows

class SparseSeeding:
    min_sq_distances: Floats
    def __new__(cls, rows: CsrRows, sample_weight: Floats | None, most_candidates: int, n_threads: int) -> Self: ...
    def gains(self, candidates: Indices) -> Floats: ...
    def take(self, place: int) -> None: ...

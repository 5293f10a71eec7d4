from typing import Self

from ..types import Floats, Indices, Values
from .codes import CodedRows
from .quantized import QuantizedRows

DENSE_SHARE: float

class PlusPlus:
    def __new__(
        cls,
        X: Values,
        sample_weight: Floats | None,
        scale: float,
        n_trials: int,
        n_threads: int,
        first: int,
        random: int,
        n_pool: int = 0,
        rows: QuantizedRows | CodedRows | None = None,
        manhattan: bool = False,
        dense_share: float = DENSE_SHARE,
    ) -> Self: ...
    def choose(self, rows: Indices) -> int: ...
    @property
    def min_sq_distances(self) -> Floats: ...
    @property
    def n_passes_done(self) -> int: ...

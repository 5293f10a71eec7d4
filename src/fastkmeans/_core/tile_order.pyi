from typing import Self

from ..types import Floats, Values
from .stored import StoredRows

CELL_BITS: int
SPREAD_SAMPLES: int

class TileOrder:
    X: Values
    weights: Floats | None
    def __new__(cls, X: Values, sample_weight: Floats | None, tile_rows: int, split: bool, n_threads: int) -> Self: ...

def can_be_ordered(X: StoredRows) -> bool: ...

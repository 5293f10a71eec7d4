from typing import Self

from ..types import Floats, Values

class TileOrder:
    X: Values
    weights: Floats | None
    def __new__(
        cls, X: Values, sample_weight: Floats | None, tile_rows: int, split: bool, n_threads: int
    ) -> Self: ...

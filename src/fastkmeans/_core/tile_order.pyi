from ..types import Floats, Values

class TileOrder:
    X: Values
    weights: Floats | None
    def __init__(
        self, X: Values, sample_weight: Floats | None, tile_rows: int, split: bool, n_threads: int
    ) -> None: ...

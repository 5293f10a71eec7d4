from typing import Self

from ..types import Floats, Indices, Labels, Singles, Values

class ScreenedRows:
    bits: int
    n_threads: int
    def __new__(
        cls,
        n_samples: int,
        n_features: int,
        is_float32: bool,
        offset: Floats,
        largest: float,
        bits: int,
        n_threads: int,
    ) -> Self: ...
    def put(self, X: Values, first: int) -> None: ...
    def begin(self, centers: Floats) -> bool: ...
    def screen(
        self, first: int, before: Labels, until: Singles, ways: Floats, places: Indices, labels: Labels
    ) -> int: ...

def find_places(among: Indices, places: Indices, found: Indices) -> int: ...

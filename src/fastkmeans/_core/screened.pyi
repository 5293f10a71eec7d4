from typing import Self

from ..types import Floats, Labels, Values

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
    def screen(self, first: int, labels: Labels) -> int: ...

def decide(X: Values, centers: Floats, labels: Labels, gaps: Floats, n_threads: int) -> None: ...

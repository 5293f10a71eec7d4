from typing import Self

from ..types import Floats, Indices, Labels, Values

class GapFinder:
    def __new__(cls, centers: Floats, is_float32: bool, n_threads: int) -> Self: ...
    def label(self, X: Values, rows: Indices, labels: Labels, gaps: Floats) -> None: ...

from typing import Self

from ..types import Floats, Singles, Values

class CodedRows:
    directions: Singles | None
    offset: Floats
    scale: float
    skew: float
    n_directions: int
    addresses: tuple[int, int, int]
    def __new__(
        cls,
        X: Values,
        directions: Singles | None,
        skew: float,
        offset: Floats,
        scale: float,
        n_threads: int,
    ) -> Self: ...

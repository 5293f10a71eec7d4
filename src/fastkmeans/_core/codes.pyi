from typing import Self

from ..types import Floats, Singles, Values

OFFSET_ROWS: int
MAX_FEATURES: int
MAX_DIRECTIONS: int

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

class Codes:
    def __init__(self, X: Values, max_abs: Floats, n_threads: int) -> None: ...
    def for_seeding(self) -> CodedRows | None: ...
    def for_steps(self, centers: Floats, n_directions: int | None = None) -> CodedRows | None: ...

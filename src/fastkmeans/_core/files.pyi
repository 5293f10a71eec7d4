from typing import Any, Self

import numpy as np

from ..types import Flags, Indices, Labels

def read_rows(fd: int, offset: int, rows: Indices, out: Flags, n_threads: int, waits: bool = True) -> int: ...
def read_cached(fd: int, offset: int, out: Flags, n_threads: int) -> bool: ...

class CachedRows:
    shape: tuple[int, int]
    dtype: np.dtype[Any]
    n_threads: int
    is_missing: bool
    def __new__(
        cls,
        files: Labels,
        offsets: Indices,
        counts: Indices,
        n_features: int,
        raw: np.dtype[Any],
        dtype: np.dtype[Any],
        n_threads: int,
    ) -> Self: ...
    def turn_to(self, first: int, count: int) -> None: ...

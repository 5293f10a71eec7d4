from typing import Self

from ..types import Floats, Values

class Breathing:
    def __new__(
        cls, X: Values, sample_weight: Floats | None, centers: Floats, most_added: int, n_threads: int
    ) -> Self: ...
    def search(self, centers: Floats, added: int, n_iterations: int, most_work: float) -> float: ...
    @property
    def spent(self) -> float: ...

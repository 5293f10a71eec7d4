from typing import Self

from ..types import Floats, Labels, Values
from .sums import ClusterSums

def check_and_measure(X: Values, limit: float, max_abs: Floats) -> bool: ...
def rounds_to(values: Floats, rounded: Values) -> bool: ...

class BatchStep:
    clusters: ClusterSums
    def __new__(
        cls,
        X: Values,
        sample_weight: Floats | None,
        max_abs: Floats,
        max_weight: float,
        n_clusters: int,
        n_threads: int,
    ) -> Self: ...
    def label(self, centers: Floats) -> None: ...
    def relabel(self, centers: Floats) -> Labels: ...
    def move(
        self,
        centers: Floats,
        counts: Floats,
        sample_weight: Floats | None,
        moved: Floats,
        grown: Floats,
        needed: Floats,
    ) -> bool: ...

from typing import Self

from ..types import Flags, Floats, Indices, Labels, Values

class ByLabel:
    def __new__(cls, labels: Labels, n_clusters: int) -> Self: ...

class Trusted:
    n_doubtful: int
    def __new__(
        cls, sums: Floats, grid: Floats, losses: Floats, weighted: bool, n_samples: int, doubtful: Flags
    ) -> Self: ...
    def read(self, X: Values, sample_weight: Floats | None, labels: Labels) -> None: ...

class SumsAnew:
    sums: Floats
    units: Floats
    heaviest: Floats
    counts: Indices
    largest: Floats
    def __new__(cls, wanted: Flags, n_features: int, n_threads: int) -> Self: ...
    def weigh(self, sample_weight: Floats | None, order: ByLabel) -> None: ...
    def measure(self, X: Values, sample_weight: Floats | None, order: ByLabel) -> Floats | None: ...
    def add(self, X: Values, scaled: Floats | None, order: ByLabel) -> None: ...

def move_anew(
    X: Values,
    weighted: bool,
    sums: Floats,
    units: Floats,
    wanted: Flags,
    centers: Floats,
    origin: Floats,
    moved: Floats,
    terms: Floats,
) -> tuple[float, float, int, int]: ...

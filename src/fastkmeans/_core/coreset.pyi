from typing import Final

from ..types import Floats, Indices, Labels, Masses

ROWS_TOGETHER: Final[int]

def largest_weighed(sq_distances: Floats, sample_weight: Floats | None, n_threads: int) -> float: ...
def weigh(
    labels: Labels,
    sq_distances: Floats,
    sample_weight: Floats | None,
    unit: float,
    per_weight: float,
    per_distance: float,
    sizes: Masses,
    n_threads: int,
) -> int: ...
def set_masses(
    labels: Labels,
    sq_distances: Floats,
    sample_weight: Floats | None,
    of_cluster: Floats,
    unit: float,
    of_distance: float,
    per_mass: float,
    n_threads: int,
) -> Masses: ...
def rows_at(mass: Masses, sums: Masses, places: Masses, rows: Indices, n_threads: int) -> None: ...

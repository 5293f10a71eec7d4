from ..types import Flags, Floats, Labels, Values

def trust_some(
    X: Values,
    sample_weight: Floats | None,
    labels: Labels,
    sums: Floats,
    grid: Floats,
    losses: Floats,
    doubtful: Flags,
    n_samples: int = 0,
) -> None: ...
def sum_anew(
    X: Values,
    sample_weight: Floats | None,
    labels: Labels,
    wanted: Flags,
    sums: Floats,
    units: Floats,
    n_threads: int,
) -> None: ...
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

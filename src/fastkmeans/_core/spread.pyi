from ..types import Floats, Indices, Labels

def spread(
    values: Floats,
    weights: Floats,
    labels: Labels,
    distances: Floats,
    rows_left: Indices,
    chosen: Indices,
    kind: int,
) -> int: ...

from ..types import Floats, Labels, Values

EUCLIDEAN: int
MANHATTAN: int
COSINE: int

def nearest(X: Values, centers: Floats, labels: Labels, n_threads: int, kind: int = 0) -> int: ...
def own_sq_distances(
    X: Values,
    centers: Floats,
    labels: Labels,
    sq_distances: Floats,
    n_threads: int,
    kind: int = 0,
) -> None: ...
def inertia_of_blocks(
    X: Values,
    centers: Floats,
    labels: Labels,
    sample_weight: Floats | None,
    inertias: Floats,
    n_threads: int,
    kind: int = 0,
) -> None: ...
def pairwise(X: Values, centers: Floats, distances: Values, n_threads: int, kind: int = 0) -> int: ...

from ..types import Floats, Indices, Labels, Values

def mean_distances(
    X: Values,
    rows: Indices,
    labels: Indices,
    others: Values,
    order: Indices,
    runs: Labels,
    per_sum: Floats,
    offset: Floats,
    metric: str,
    own: Floats,
    nearest: Floats,
    n_threads: int,
) -> None: ...
def labelled_sums(
    X: Values,
    rows: Indices,
    others: Indices,
    labels: Labels,
    metric: str,
    sums: Floats,
    n_threads: int,
) -> None: ...
def lay_eights(X: Values, rows: Indices, eights: Floats, n_threads: int) -> None: ...
def judge_blocks(
    X: Values,
    eights: Floats,
    labels: Labels,
    sample_weight: Floats | None,
    centers: Floats,
    means: Floats,
    block: int,
    sums: Floats,
    n_threads: int,
) -> None: ...
def pair_mean_distances(
    X: Values,
    order: Indices,
    runs: Labels,
    per_sum: Floats,
    metric: str,
    own: Floats,
    nearest: Floats,
    n_threads: int,
) -> None: ...

"""The table of metrics: name -> distance, best center, and how rows and centers are prepared.

k-means alternates between nearest centers and best centers, so a metric is more than a distance: each row names both.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from .._core import distances
from ..algorithms.table import ALGORITHMS, SKLEARN_NAMES
from ..engines.spherical import unit_centers, unit_rows
from ..input.parameters import check_name
from ..types import Values


class Metric(NamedTuple):
    """A row of the table.

    kind : the number of the metric in kmeans_core/distances.pyx.
    algorithms : names that `algorithm` accepts besides "auto".
    best_center, inertia : in words: the best center of a cluster, and the terms of the inertia.
    prepare_rows : (rows, dtype, name, n_threads) -> rows as they are measured; None if they stay as they are.
    prepare_centers : (centers) -> given centers as they are stored; None if they stay as they are.
    seeds_by_manhattan : whether k-means++ draws by Manhattan distances, else by squared Euclidean ones.
    """

    kind: int
    algorithms: tuple[str, ...]
    best_center: str
    inertia: str
    prepare_rows: Callable[..., Values] | None = None
    prepare_centers: Callable[[Values], Values] | None = None
    seeds_by_manhattan: bool = False


METRICS = {
    "euclidean": Metric(distances.EUCLIDEAN, tuple(ALGORITHMS), "mean", "squared distances"),
    # The bounds and sums of the other algorithms hold for means only.
    "manhattan": Metric(distances.MANHATTAN, ("lloyd",), "median", "absolute differences", seeds_by_manhattan=True),
    # For unit rows half the squared Euclidean distance is 1 - cos, so all algorithms that are exact for "euclidean" are exact.
    "cosine": Metric(distances.COSINE, tuple(ALGORITHMS), "unit mean", "1 - cos", unit_rows, unit_centers),
}


def check_metric(name: Any) -> Metric:
    """Return the row of a metric. Raises TypeError if the name is not a str, ValueError if there is no such metric."""
    if isinstance(name, str) and name in METRICS:
        return METRICS[name]
    known = ", ".join(map(repr, METRICS))
    if not isinstance(name, str):
        raise TypeError(f"metric must be one of {known}; got {name!r} ({type(name).__name__}).")
    raise ValueError(
        f"metric must be one of {known}; got {name!r}. Another distance needs another best center: means minimise squared "
        "Euclidean distances only. For an arbitrary distance use k-medoids."
    )


_ALGORITHM_NAMES = ("auto", *ALGORITHMS, *SKLEARN_NAMES)


def check_algorithm(name: Any) -> None:
    """Raise TypeError if the name is not a str, ValueError if there is no such algorithm."""
    check_name("algorithm", name, _ALGORITHM_NAMES)


def check_algorithm_for(metric: str, algorithm: str) -> None:
    """Raise ValueError if an algorithm does not work with the best centers of a metric."""
    allowed = METRICS[metric].algorithms
    if SKLEARN_NAMES.get(algorithm, algorithm) not in ("auto", *allowed):
        raise ValueError(
            f"algorithm={algorithm!r} needs centers that are means, but metric={metric!r} moves centers to the "
            f"{METRICS[metric].best_center}; pass algorithm='auto' or {' or '.join(map(repr, allowed))}."
        )

"""What a fit is to do: the parameters of an estimator at one moment, checked and unchangeable."""

from __future__ import annotations

from collections.abc import Callable
from operator import itemgetter
from typing import Any, NamedTuple

from .input.parameters import check_params
from .metrics.table import check_algorithm, check_algorithm_for, check_metric

Callback = Callable[[dict[str, Any]], Any]
"""Called with the numbers of each iteration. If it returns True, this start ends."""


class Settings(NamedTuple):
    """The parameters of :class:`KMeans` that fitting reads; each is documented there."""

    n_clusters: Any
    init: Any
    n_init: Any
    max_iter: int
    tol: float
    verbose: int
    random_state: Any
    algorithm: str
    metric: str
    n_threads: int | None
    callback: Callback | None

    @property
    def searches(self) -> bool:
        """Does init leave the choice of the start to us?"""
        return isinstance(self.init, str) and self.init == "auto"


_read = itemgetter(*Settings._fields)


def settings_of(estimator: Any) -> Settings:
    """Read the parameters of an estimator, all at one moment, and check them by its `_parameter_checks`.

    A callback, or another thread, may set those of the estimator while it fits.
    Raises TypeError for a value of the wrong type, ValueError for one out of range.
    """
    params = vars(estimator).copy()
    check_metric(params["metric"])
    check_params(params, estimator._parameter_checks)
    check_algorithm(params["algorithm"])
    check_algorithm_for(params["metric"], params["algorithm"])
    return Settings(*_read(params))

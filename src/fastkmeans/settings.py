"""The parameters of one fit: copied from the estimator, checked, immutable."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from operator import itemgetter
from typing import Any, NamedTuple

from .input.parameters import Check, check_params
from .metrics.table import check_algorithm, check_algorithm_for, check_metric
from .types import Values

Callback = Callable[[dict[str, Any]], Any]
"""Called after each iteration with its entry of history_. If it returns True, this start ends."""


class Watcher:
    """A callback of this package, which is told the centers of each iteration, too."""

    def sees(self, entry: dict[str, Any], centers: Values) -> bool:
        """Take notice of an iteration: its entry of history_, and its centers in the type of X. True ends this start."""
        raise NotImplementedError


class Settings(NamedTuple):
    """The parameters of :class:`KMeans` that fitting reads; each is documented there.

    checkpoint : the path; in a fit, the Keeper of fitting/going.py that keeps it.
    """

    n_clusters: Any
    init: Any
    n_init: Any
    max_iter: int
    tol: float
    verbose: int
    random_state: Any
    algorithm: str
    metric: str
    standardize: bool | str
    n_threads: int | None
    callback: Callback | Watcher | None
    checkpoint: Any
    inertia_tol: float | None
    max_time: float | None

    @property
    def searches(self) -> bool:
        """Is init "auto", so that the fit may search for a good start?"""
        return isinstance(self.init, str) and self.init == "auto"


class MiniBatchSettings(NamedTuple):
    """The parameters of :class:`MiniBatchKMeans` that fitting reads; each is documented there.

    base : those that it shares with :class:`KMeans`.
    """

    base: Settings
    batch_size: int
    compute_labels: bool
    max_no_improvement: int | None
    init_size: int | None
    reassignment_ratio: float


class BisectingSettings(NamedTuple):
    """The parameters of :class:`BisectingKMeans` that fitting reads; each is documented there.

    base : those that it shares with :class:`KMeans`.
    """

    base: Settings
    bisecting_strategy: str


_read = itemgetter(*Settings._fields)

_WITHOUT = {
    "n_init": 1,
    "algorithm": "lloyd",
    "metric": "euclidean",
    "standardize": False,
    "callback": None,
    "checkpoint": None,
    "inertia_tol": None,
    "max_time": None,
}
"""What parameters are where an estimator does not have them."""


_PLAIN = frozenset([type(None), bool, int, float, str])
"""Types of values that do not change."""


def settings_of(estimator: Any) -> Settings:
    """Copy the parameters of an estimator, and check the copies by its `_parameter_checks`.

    They are copied because a callback, or another thread, may change those of the estimator during the fit.
    Raises TypeError for a value of the wrong type, ValueError for one out of range.
    """
    params = vars(estimator).copy()
    check_metric(params["metric"])
    check_params(params, estimator._parameter_checks)
    check_algorithm(params["algorithm"])
    check_algorithm_for(params["metric"], params["algorithm"])
    return Settings(*_read(params))


def mini_batch_settings_of(estimator: Any) -> MiniBatchSettings:
    """As settings_of, for :class:`MiniBatchKMeans`."""
    values = tuple(map(vars(estimator).__getitem__, estimator._parameter_checks))
    if all(type(value) in _PLAIN for value in values):
        cls: Any = type(estimator)
        return _plain_mini_batch_settings(cls, *values)
    return _mini_batch_settings(vars(estimator), estimator._parameter_checks)


def _mini_batch_settings(params: Mapping[str, Any], checks: Mapping[str, Check]) -> MiniBatchSettings:
    base, params = _shared_settings(params, checks)
    return MiniBatchSettings(base, *(params[name] for name in MiniBatchSettings._fields[1:]))


@lru_cache(maxsize=16, typed=True)
def _plain_mini_batch_settings(estimator: Any, *values: Any) -> MiniBatchSettings:
    """The settings by the values of the parameters, in the order of their checks.

    They are kept, because looking them up takes 2 us instead of 6, of the 35 us of a step over 100 rows of 2 features (one
    core of a Zen 4).
    """
    checks = estimator._parameter_checks
    return _mini_batch_settings(dict(zip(checks, values, strict=True)), checks)


def bisecting_settings_of(estimator: Any) -> BisectingSettings:
    """As settings_of, for :class:`BisectingKMeans`."""
    base, params = _shared_settings(vars(estimator), estimator._parameter_checks)
    check_algorithm(base.algorithm)
    return BisectingSettings(base, params["bisecting_strategy"])


def _shared_settings(params: Mapping[str, Any], checks: Mapping[str, Check]) -> tuple[Settings, dict[str, Any]]:
    """Return the checked parameters that an estimator shares with :class:`KMeans`, and all that it has."""
    params = {**_WITHOUT, **params}
    check_params(params, checks)
    return Settings(*_read(params)), params

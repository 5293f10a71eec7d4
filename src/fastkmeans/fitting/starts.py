"""How many starts there are, their initial centers, and their engines."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from ..engines.contract import Engine
from ..engines.table import engine_for
from ..errors import ConvergenceWarning, warn
from ..input.matrix import Matrix
from ..input.parameters import check_random_state, drawing_from
from ..metrics.table import METRICS
from ..samples import Samples
from ..scaling import warn_of_dominant_feature
from ..settings import Settings
from ..types import Values
from .seeding import initial_centers

# Starts if n_init="auto", as in scikit-learn: results of random starts vary most.
_AUTO_STARTS = {"random": 10, "random-partition": 10, "k-means++": 1, "auto": 1}


def n_starts(init: Any, n_init: Any, auto: dict[str, int] = _AUTO_STARTS) -> int:
    """Return the number of starts that these parameters ask for; from given centers there is one.

    auto : name of an init -> starts if n_init="auto"; a callable init has those of "random".
    """
    if not (isinstance(init, str) or callable(init)):
        return 1
    if n_init != "auto":
        return int(n_init)
    return auto[init if isinstance(init, str) else "random"]


def count_starts(settings: Settings, auto: dict[str, int] = _AUTO_STARTS, estimator: str = "KMeans") -> int:
    """Return the number of starts; warn if several were asked for from the same given centers.

    auto : see n_starts.   estimator : its name.
    """
    has_centers = not (isinstance(settings.init, str) or callable(settings.init))
    if has_centers and settings.n_init != "auto" and settings.n_init != 1:
        warn(
            f"Explicit initial center position passed: performing only one init in {estimator} instead of "
            f"n_init={settings.n_init}.",
            RuntimeWarning,
        )
    return n_starts(settings.init, settings.n_init, auto)


def from_own_centers(settings: Settings, centers: Any, n_features: int) -> Settings:
    """Return settings that start from the centers of the fit before: what warm_start=True asks for.

    centers : cluster_centers_ of that fit; None if there was none, which leaves the settings as they are.
    Raises ValueError if this fit needs centers of another shape, or does not know how many.
    """
    if settings.n_clusters == "auto":
        raise ValueError(
            "warm_start must be False with n_clusters='auto', because each number of clusters needs other centers; pass a "
            "number for n_clusters."
        )
    if centers is None:
        return settings
    found, needed = np.shape(centers), (settings.n_clusters, n_features)
    if found != needed:
        raise ValueError(
            f"warm_start must be False for this fit: it needs centers of shape {needed}, and cluster_centers_ of the fit "
            f"before has shape {found}. Set warm_start=False, or keep n_clusters and the features."
        )
    return settings._replace(init=centers, n_init=1)


def source_of(settings: Settings, random_state: Any) -> AbstractContextManager[np.random.RandomState]:
    """Return a context that gives a RandomState to draw from. A callable init gets one that it may keep."""
    if callable(settings.init):
        return nullcontext(check_random_state(random_state))
    return drawing_from(random_state)


def draw_centers(
    settings: Settings, samples: Samples, n_clusters: int, random_state: np.random.RandomState, n_threads: int | None
) -> Values:
    """Return initial centers by settings.init, as the metric stores them."""
    metric = METRICS[settings.metric]
    centers = initial_centers(settings.init, samples, n_clusters, random_state, n_threads, metric.seeds_by_manhattan)
    return centers if metric.prepare_centers is None else metric.prepare_centers(centers)


def make_engine(settings: Settings, samples: Samples, n_clusters: int, algorithm: str, n_threads: int | None) -> Engine:
    """Return the engine of one start."""
    engine: Engine = engine_for(samples, settings.metric)(samples, n_clusters, algorithm, n_threads)
    return engine


def algorithm_of(settings: Settings, samples: Samples, n_clusters: int, max_iter: int, n_runs: int = 1) -> str:
    """Return the algorithm of a run; see choose_algorithm."""
    if len(METRICS[settings.metric].algorithms) == 1 or not samples.has_filters:
        return "lloyd"
    return samples.choose_algorithm(settings.algorithm, n_clusters, max_iter, n_runs)


def warn_of_units(settings: Settings, matrix: Matrix, samples: Samples) -> None:
    """Warn if X is a table with named features and one of them outweighs all others.

    Who passes an array has often scaled it, or knows its units. Cosine distances compare directions, and variances of
    features say little about these.
    """
    if matrix.feature_names is not None and not settings.standardize and settings.metric != "cosine":
        warn_of_dominant_feature(samples.description, matrix.feature_names)


def warn_of_one_cluster(settings: Settings) -> None:
    """Warn as scikit-learn does if "elkan" is asked for and there is one cluster."""
    if settings.algorithm == "elkan" and settings.n_clusters == 1:
        warn(
            "algorithm='elkan' doesn't make sense for a single cluster. Using 'lloyd' instead.",
            RuntimeWarning,
        )


def warn_of_missing_clusters(n_distinct: int, n_clusters: int) -> None:
    """Warn of empty clusters. Call it before the estimator takes over the result, because warnings may be errors."""
    if n_distinct < n_clusters:
        warn(
            f"Number of distinct clusters ({n_distinct}) found smaller than n_clusters ({n_clusters}). "
            "Possibly due to duplicate points in X.",
            ConvergenceWarning,
        )

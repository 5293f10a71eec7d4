"""Exact k-means on large arrays: compiled kernels, scikit-learn's interface, the elbow, labelled tables and pictures.

>>> import numpy as np
>>> from fastkmeans import KMeans
>>> X = np.random.default_rng(8).normal(size=(1000, 2))
>>> KMeans(n_clusters=3, random_state=8).fit(X).labels_.shape
(1000,)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .errors import ConvergenceWarning, FeatureScaleWarning, NotFittedError
from .estimators.bisecting import BisectingKMeans
from .estimators.elbow import elbow
from .estimators.functions import k_means, kmeans_plusplus
from .estimators.kmeans import KMeans
from .estimators.minibatch import MiniBatchKMeans
from .estimators.summary import ClusterSummary
from .plotting.centers import plot_centers
from .plotting.clusters import plot_clusters
from .plotting.elbow import plot_elbow
from .plotting.pairs import plot_pairs
from .plotting.silhouettes import plot_silhouette
from .quality.scatter import calinski_harabasz_score, davies_bouldin_score, within_cluster_variation
from .quality.silhouettes import silhouette_samples, silhouette_score
from .quality.simplified import simplified_silhouette_samples, simplified_silhouette_score
from .selection.result import ElbowResult
from .tables import ClusteredTable, cluster

if TYPE_CHECKING:
    from .surfaces.fast_kmeans import FastKMeans

__version__ = "0.1.0"

__all__ = [
    "BisectingKMeans",
    "ClusterSummary",
    "ClusteredTable",
    "ConvergenceWarning",
    "ElbowResult",
    "FastKMeans",
    "FeatureScaleWarning",
    "KMeans",
    "MiniBatchKMeans",
    "NotFittedError",
    "calinski_harabasz_score",
    "cluster",
    "davies_bouldin_score",
    "elbow",
    "k_means",
    "kmeans_plusplus",
    "plot_centers",
    "plot_clusters",
    "plot_elbow",
    "plot_pairs",
    "plot_silhouette",
    "silhouette_samples",
    "silhouette_score",
    "simplified_silhouette_samples",
    "simplified_silhouette_score",
    "within_cluster_variation",
]


def __getattr__(name: str) -> Any:
    """Import what few programs use when it is asked for."""
    if name == "FastKMeans":
        from .surfaces.fast_kmeans import FastKMeans

        return FastKMeans
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

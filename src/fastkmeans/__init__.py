"""Exact k-means on large arrays: compiled kernels, scikit-learn's interface, the elbow, labelled tables and pictures.

>>> import numpy as np
>>> from fastkmeans import KMeans
>>> X = np.random.default_rng(8).normal(size=(1000, 2))
>>> KMeans(n_clusters=3, random_state=8).fit(X).labels_.shape
(1000,)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .errors import ConvergenceWarning, FeatureScaleWarning, NotFittedError
from .estimators.kmeans import KMeans

if TYPE_CHECKING:
    from .estimators.bisecting import BisectingKMeans
    from .estimators.elbow import elbow
    from .estimators.functions import k_means, kmeans_plusplus
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
    from .sources.rows import open_rows
    from .surfaces.fast_kmeans import FastKMeans
    from .tables import ClusteredTable, cluster

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
    "open_rows",
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


_LATE = {  # name -> module that has it: imported when the name is asked for, so that `import fastkmeans` stays short
    "BisectingKMeans": "estimators.bisecting",
    "elbow": "estimators.elbow",
    "k_means": "estimators.functions",
    "kmeans_plusplus": "estimators.functions",
    "MiniBatchKMeans": "estimators.minibatch",
    "ClusterSummary": "estimators.summary",
    "plot_centers": "plotting.centers",
    "plot_clusters": "plotting.clusters",
    "plot_elbow": "plotting.elbow",
    "plot_pairs": "plotting.pairs",
    "plot_silhouette": "plotting.silhouettes",
    "calinski_harabasz_score": "quality.scatter",
    "davies_bouldin_score": "quality.scatter",
    "within_cluster_variation": "quality.scatter",
    "silhouette_samples": "quality.silhouettes",
    "silhouette_score": "quality.silhouettes",
    "simplified_silhouette_samples": "quality.simplified",
    "simplified_silhouette_score": "quality.simplified",
    "ElbowResult": "selection.result",
    "open_rows": "sources.rows",
    "FastKMeans": "surfaces.fast_kmeans",
    "ClusteredTable": "tables",
    "cluster": "tables",
}


def __getattr__(name: str) -> Any:
    """Import what not every program uses when it is asked for."""
    if name not in _LATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_LATE[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

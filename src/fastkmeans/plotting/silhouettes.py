"""The silhouette picture: how well each sample sits in its cluster, the clusters stacked and sorted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..input.finite import check_finite
from ..input.matrix import as_matrix
from ..quality.silhouettes import silhouette_samples
from ..types import Floats, Indices, Integers
from .parts import (
    ACCENT,
    INK,
    axes_or_new,
    cluster_colors,
    declutter,
    draw_lots,
    labels_of,
    require_matplotlib,
    some_clusters,
)  # fmt: skip

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LEAST_DRAWN = 30
"""When samples are left out, so many of every cluster are kept: fewer say little about their mean distance."""

NAMED_CLUSTERS = 40
"""With more clusters only every second, third, ... is named."""

LEAST_HEIGHT = 0.4
"""Height of the smallest band, as a part of the mean one: a name fits beside it."""


def plot_silhouette(
    X: Any,
    labels: Any,
    *,
    metric: str = "euclidean",
    silhouettes: Any = None,
    max_samples: int = 10_000,
    ax: Axes | None = None,
) -> Axes:
    """Draw the silhouette of each sample, the samples sorted and stacked by cluster.

    A band reaches far to the right where samples are much nearer to their own cluster than to the next, and left
    of 0 where another cluster is nearer. Bands are as high as their clusters are large, small ones a little higher
    so that they can be seen; beside each stand its name, its size and its mean. The dashed line is the mean of all
    samples.

    Parameters
    ----------
    X : array-like or DataFrame of shape (n_samples, n_features)
        The samples. May be None if `silhouettes` are given.
    labels : array-like of shape (n_samples,) or KMeans
        The cluster of each sample, 0 or above; or a fitted model.
    metric : {"euclidean", "manhattan", "cosine"}, default="euclidean"
        The distance; see :func:`silhouette_samples`. A model brings its own, if it has one.
    silhouettes : array-like of shape (n_samples,), optional
        What :func:`silhouette_samples` returned, to save its time. Then no samples are left out.
    max_samples : int, default=10000
        If X has more samples, so many are drawn by lot (always the same ones, 30 of every cluster or all it has
        among them) and the silhouettes are those among the drawn; the title says so. The means weigh clusters
        by their true sizes.
    ax : matplotlib.axes.Axes, optional
        Where to draw. By default a new figure, reachable as ``ax.figure`` of the result.

    Returns
    -------
    matplotlib.axes.Axes
        Save the picture with ``ax.figure.savefig("silhouettes.png")``.

    Raises
    ------
    ValueError
        If the arguments do not fit together, if a label is negative, or if there is only one cluster.
    ImportError
        If matplotlib is missing.

    Notes
    -----
    P. J. Rousseeuw, "Silhouettes: a graphical aid to the interpretation and validation of cluster analysis",
    Journal of Computational and Applied Mathematics 20, 1987.

    Examples
    --------
    >>> from fastkmeans import plot_silhouette
    >>> ax = plot_silhouette([[0.0], [1.0], [9.0], [11.0]], [0, 0, 1, 1])
    >>> ax.get_legend().get_texts()[0].get_text()
    'mean 0.84'
    >>> [tick.get_text() for tick in ax.get_yticklabels()]
    ['cluster 0 (2)', 'cluster 1 (2)']
    """
    require_matplotlib()
    metric = getattr(labels, "metric", metric)
    labels, drawn, widths = _silhouettes(X, labels, metric, silhouettes, max_samples)
    sizes = np.bincount(labels)
    bands = [np.sort(widths[labels[drawn] == label])[::-1] for label in range(len(sizes))]
    means = np.array([band.mean() if len(band) else 0.0 for band in bands])
    mean = float(means @ sizes / sizes.sum())

    ax = axes_or_new(ax, size=(7.5, float(np.clip(1.2 + 0.3 * len(sizes), 4.2, 12))))
    edges = _band_edges(sizes)
    lowest = min(float(widths.min()), 0.0)
    _draw_bands(ax, bands, edges)
    ax.axvline(0, color=INK, linewidth=0.8)
    ax.axvline(mean, color=ACCENT, linestyle="--", linewidth=1.5, label=f"mean {mean:.2f}")
    ax.set_xlim(lowest - 0.03 if lowest < 0 else -0.03, 1.0)
    ax.set_ylim(1, 0)
    _name_bands(ax, edges, sizes, means)
    meaning = "1 well inside its cluster, 0 between two, below 0 nearer to another"
    ax.set_xlabel(f"silhouette ({metric})\n{meaning}", fontsize=9)
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1.0), frameon=False, borderaxespad=0.2)
    if len(drawn) < len(labels):
        ax.set_title(f"{len(drawn):,} of {len(labels):,} samples drawn", fontsize=10, color=INK)
    declutter(ax)
    return ax


def _silhouettes(X: Any, labels: Any, metric: str, given: Any, max_samples: int) -> tuple[Integers, Indices, Floats]:
    """Return the labels of all samples, the rows that are drawn, and the silhouettes of those."""
    if given is not None:
        widths = np.asarray(given, dtype=np.float64)
        if widths.ndim != 1 or not (np.abs(widths) <= 1).all():
            raise ValueError(
                f"silhouettes must be one number from -1 to 1 per sample; got shape {widths.shape}. "
                "Pass silhouette_samples(X, labels)."
            )
        return labels_of(labels, X, len(widths)), np.arange(len(widths)), widths
    matrix = as_matrix(X)
    labels = labels_of(labels, X, len(matrix.values))
    drawn = draw_lots(labels, max_samples, "max_samples", LEAST_DRAWN)
    check_finite(matrix.values, "X", matrix.feature_names)
    return labels, drawn, silhouette_samples(matrix.values[drawn], labels[drawn], metric=metric)


def _band_edges(sizes: Indices) -> Floats:
    """Return top and bottom of each band, (n_clusters, 2), in parts of the whole height."""
    n_clusters = len(sizes)
    shares = np.maximum(sizes / sizes.sum(), LEAST_HEIGHT / n_clusters)
    heights = shares / shares.sum()
    ends = np.cumsum(heights)
    gap = min(0.12 / n_clusters, 0.5 * heights.min())
    return np.column_stack([ends - heights + gap / 2, ends - gap / 2])


def _draw_bands(ax: Axes, bands: list[Floats], edges: Floats) -> None:
    for band, (top, bottom), color in zip(bands, edges, cluster_colors(len(bands)), strict=True):
        if len(band):
            heights = np.linspace(top, bottom, len(band) + 1)
            ax.stairs(band, heights, orientation="horizontal", fill=True, color=color)


def _name_bands(ax: Axes, edges: Floats, sizes: Indices, means: Floats) -> None:
    """Write name and size of each cluster on the left, its mean on the right."""
    named = some_clusters(len(sizes), NAMED_CLUSTERS)
    middles = edges.mean(axis=1)[named]
    fontsize = 10 if len(named) <= 12 else 7.5
    ax.set_yticks(middles, [f"cluster {label} ({sizes[label]:,})" for label in named], fontsize=fontsize)
    ax.tick_params(axis="y", length=0)
    style: dict[str, Any] = {"transform": ax.get_yaxis_transform(), "va": "center", "fontsize": fontsize, "color": INK}
    for label, middle in zip(named, middles, strict=True):
        if sizes[label]:
            ax.text(1.01, middle, f"mean {means[label]:.2f}", **style)

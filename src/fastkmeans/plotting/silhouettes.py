"""The silhouette picture: how well each sample sits in its cluster, the clusters stacked and sorted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..quality.silhouettes import silhouette_samples
from ..types import Floats, Indices, Integers
from .colors import ACCENT, COLORS, ink_of, on_background
from .parts import (
    axes_or_new,
    check_cluster_names,
    declutter,
    draw_lots,
    require_matplotlib,
    some_clusters,
    width_of,
    write_title,
)
from .subject import Subject, check_labels, estimator_of, is_model, labels_and_rest, labels_of, read_subject

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LEAST_DRAWN = 30
"""When samples are left out, so many of every cluster are kept: fewer say little about their mean distance."""

NAMED_CLUSTERS = 40
"""With more clusters only every second, third, ... is named."""

NARROW = 4.0
"""Inches. Narrower axes have smaller texts."""

LEAST_HEIGHT = 0.4
"""Height of the smallest band, as a part of the mean one: a name fits beside it."""


def plot_silhouette(
    X: Any,
    labels: Any = None,
    *,
    metric: str = "euclidean",
    silhouettes: Any = None,
    names: Sequence[str] | None = None,
    title: str | None = None,
    max_samples: int = 10_000,
    ax: Axes | None = None,
) -> Axes:
    """Draw the silhouette of each sample, the samples sorted and stacked by cluster.

    A silhouette near 1 belongs to a sample that is much nearer to its own cluster than to the next. Below 0 another cluster
    is nearer. Each cluster is a band. The more samples a cluster has, the higher is its band; the bands of small
    clusters are made high enough to be seen. Beside each band are the name, the size and the mean of the cluster. The dashed
    line is the mean of all samples. With more than ten clusters the bands alternate between two colours.

    Parameters
    ----------
    X : array-like or DataFrame of shape (n_samples, n_features)
        The samples. If a model knows the names of its features, the columns of a DataFrame are taken by name.
        Without a model, text, identifiers and labels are left out as :func:`cluster` does. May be
        None if `silhouettes` are given.
    labels : KMeans, Pipeline, array-like of shape (n_samples,) or str, optional
        A fitted model, or a fitted scikit-learn Pipeline that ends in one, whose other steps are applied to X first. Or
        the cluster of each sample, 0 or above, or the name of the column of X that holds it. By default the column
        "labels", which :func:`cluster` writes.
    metric : {"euclidean", "manhattan", "cosine"}, default="euclidean"
        The distance; see :func:`silhouette_samples`. If a model has a metric, that of the model is taken.
    silhouettes : array-like of shape (n_samples,), optional
        What :func:`silhouette_samples` returned, to save its time. Then no samples are left out.
    names : sequence of str, optional
        Names of the clusters, in the order of their labels. By default "cluster 0", "cluster 1", ...
    title : str, optional
        The title. The mean, and how many samples are drawn, follow in smaller lines.
    max_samples : int, default=10000
        If X has more samples, so many are drawn at random, always the same ones, and the title says so. At least 30 of
        every cluster are among them, or all it has. The silhouettes are those among the drawn samples. The means weigh
        clusters by their true sizes.
    ax : matplotlib.axes.Axes, optional
        Where to draw. By default a new figure, reachable as ``ax.figure`` of the result.

    Returns
    -------
    matplotlib.axes.Axes
        Save the picture with ``ax.figure.savefig("silhouettes.png")``.

    Raises
    ------
    ValueError
        If the arguments do not fit together, if X lacks a column of the fit, if a label is negative, or if there is only
        one cluster.
    NotFittedError
        If the model is not fitted.
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
    >>> ax.get_title()
    'mean 0.84 (dashed line)'
    >>> [tick.get_text() for tick in ax.get_yticklabels()]
    ['cluster 0 (2)', 'cluster 1 (2)']
    """
    require_matplotlib()
    if is_model(labels):
        metric = getattr(estimator_of(labels, "plot_silhouette"), "metric", metric)
    labels, drawn, widths, left_out = _silhouettes(X, labels, metric, silhouettes, max_samples)
    sizes = np.bincount(labels)
    cluster_names = check_cluster_names(names, len(sizes))
    bands = [np.sort(widths[labels[drawn] == label])[::-1] for label in range(len(sizes))]
    means = np.array([band.mean() if len(band) else 0.0 for band in bands])
    mean = float(means @ sizes / sizes.sum())

    ax = axes_or_new(ax, size=(7.5, float(np.clip(1.2 + 0.3 * len(sizes), 4.2, 12))))
    edges = _band_edges(sizes)
    lowest = min(float(widths.min()), 0.0)
    _draw_bands(ax, bands, edges)
    ax.axvline(0, color=ink_of(ax), linewidth=0.8)
    ax.axvline(mean, color=on_background((ACCENT,), ax)[0], linestyle="--", linewidth=1.5, label=f"mean {mean:.2f}")
    ax.set_xlim(lowest - 0.03 if lowest < 0 else -0.03, 1.0)
    ax.set_ylim(1, 0)
    _name_bands(ax, edges, cluster_names, sizes, means)
    few = width_of(ax) < NARROW
    meaning = "0 between two clusters, below 0 nearer to another" if not few else "below 0: nearer to another cluster"
    ax.set_xlabel(f"silhouette ({metric})\n{meaning}", fontsize="small")
    notes = [f"mean {mean:.2f} (dashed line)"]
    if len(drawn) < len(labels):
        notes.append(f"{len(drawn):,} of {len(labels):,} samples drawn")
    write_title(ax, title, [*notes, *left_out])
    declutter(ax)
    return ax


class _Widths(NamedTuple):
    """The labels of all samples, the rows that are drawn, the silhouettes of those, and what was left out, in words."""

    labels: Integers
    drawn: Indices
    silhouettes: Floats
    notes: tuple[str, ...]


def _silhouettes(X: Any, labels: Any, metric: str, given: Any, max_samples: int) -> _Widths:
    if given is not None:
        widths = np.asarray(given, dtype=np.float64)
        if widths.ndim != 1 or not (np.abs(widths) <= 1).all():
            raise ValueError(
                f"silhouettes must be one number from -1 to 1 per sample; got shape {widths.shape}. "
                "Pass silhouette_samples(X, labels)."
            )
        if X is None and is_model(labels):
            labels = estimator_of(labels, "plot_silhouette").labels_
        subject, found = _labels_of(X, labels) if X is not None else (None, labels)
        notes = subject.notes if subject is not None else ()
        return _Widths(check_labels(found, len(widths)), np.arange(len(widths)), widths, notes)
    subject, found = _labels_of(X, labels)
    drawn = draw_lots(found, max_samples, "max_samples", LEAST_DRAWN)
    rows = subject.values[drawn] if metric == "cosine" else subject.measured(subject.values[drawn])
    return _Widths(found, drawn, silhouette_samples(rows, found[drawn], metric=metric), subject.notes)


def _labels_of(X: Any, labels: Any) -> tuple[Subject, Integers]:
    """Return the samples and their labels."""
    rows, labels = labels_and_rest(X, labels)
    subject = read_subject(rows.table, labels if is_model(labels) else None, None, "plot_silhouette")
    subject = subject._replace(notes=rows.notes)
    return subject, labels_of(subject) if is_model(labels) else check_labels(labels, len(subject.values))


def _band_edges(sizes: Indices) -> Floats:
    """Return top and bottom of each band, (n_clusters, 2), in parts of the whole height."""
    n_clusters = len(sizes)
    shares = np.maximum(sizes / sizes.sum(), LEAST_HEIGHT / n_clusters)
    heights = shares / shares.sum()
    ends = np.cumsum(heights)
    gap = min(0.12 / n_clusters, 0.5 * heights.min())
    return np.column_stack([ends - heights + gap / 2, ends - gap / 2])


def _draw_bands(ax: Axes, bands: list[Floats], edges: Floats) -> None:
    colors = on_background(COLORS, ax)
    if len(bands) > len(colors):  # a colour cannot name a cluster any more
        colors = [colors[0], colors[8]]
    for label, (band, (top, bottom)) in enumerate(zip(bands, edges, strict=True)):
        if len(band):
            heights = np.linspace(top, bottom, len(band) + 1)
            color = colors[label % len(colors)]
            ax.stairs(band, heights, orientation="horizontal", fill=True, color=color, rasterized=len(band) > 2_000)


def _name_bands(ax: Axes, edges: Floats, names: list[str], sizes: Indices, means: Floats) -> None:
    """Write name and size of each cluster on the left, its mean on the right."""
    named = some_clusters(len(sizes), NAMED_CLUSTERS)
    middles = edges.mean(axis=1)[named]
    fontsize = "medium" if len(named) <= 12 and width_of(ax) >= NARROW else "x-small"
    ax.set_yticks(middles, [f"{names[label]} ({sizes[label]:,})" for label in named], fontsize=fontsize)
    ax.tick_params(axis="y", length=0)
    style: dict[str, Any] = {"transform": ax.get_yaxis_transform(), "va": "center", "fontsize": fontsize}
    for label, middle in zip(named, middles, strict=True):
        if sizes[label]:
            ax.text(1.01, middle, f"mean {means[label]:.2f}", **style)

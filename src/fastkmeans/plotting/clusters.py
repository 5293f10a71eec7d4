"""The picture of the clusters: the samples in their colours, and the centers as stars."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..engines.spherical import unit_rows
from ..errors import check_is_fitted
from ..input.finite import check_finite
from ..input.matrix import as_matrix
from ..types import AnyArray, Floats, Indices, Integers
from .parts import (
    INK,
    axes_or_new,
    check_names,
    cluster_colors,
    declutter,
    draw_lots,
    is_model,
    labels_of,
    require_matplotlib,
)
from .plane import flatten

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.typing import ColorType

LEGEND_CLUSTERS = 12
"""With more clusters than this a colour bar takes the place of the legend."""

NUMBERED_CLUSTERS = 50
"""With more clusters than this the stars have no numbers, which would cover each other."""

LEAST_DRAWN = 5
"""When samples are left out, so many of every cluster are drawn, so that no small one is lost."""


def plot_clusters(
    X: Any,
    labels: Any,
    centers: Any = None,
    *,
    feature_names: Sequence[str] | None = None,
    ax: Axes | None = None,
    max_points: int = 20_000,
) -> Axes:
    """Draw the samples coloured by cluster, with the centers as stars.

    Two features are drawn as they are (rows of a model with ``metric="cosine"`` divided by their lengths); one feature
    is drawn along a line, at random heights; more are projected on the plane through their two leading principal axes,
    and the axis names say how much of the variance each shows.

    Parameters
    ----------
    X : array-like or DataFrame of shape (n_samples, n_features)
        The samples.
    labels : array-like of shape (n_samples,) or KMeans
        The cluster of each sample, 0 or above; or a fitted model, which also gives the centers.
    centers : array-like of shape (n_clusters, n_features), optional
        The centers; ``KMeans.cluster_centers_``. Without it, and without a model, there are no stars.
    feature_names : sequence of str, optional
        Names for the axes. By default the column names of X, or "feature 0", "feature 1", ...
    ax : matplotlib.axes.Axes, optional
        Where to draw. By default a new figure, reachable as ``ax.figure`` of the result.
    max_points : int, default=20000
        If X has more samples, so many are drawn at random (always the same ones, a few of every cluster among
        them) and the title says so.

    Returns
    -------
    matplotlib.axes.Axes
        Save the picture with ``ax.figure.savefig("clusters.png")``.

    Raises
    ------
    ValueError
        If the shapes of the arguments do not fit together, or if a label is negative.
    ImportError
        If matplotlib is missing.

    Examples
    --------
    >>> from fastkmeans import KMeans, plot_clusters
    >>> X = [[0.0, 0.0], [1.0, 0.0], [9.0, 5.0], [9.0, 6.0]]
    >>> model = KMeans(2, random_state=3).fit(X)
    >>> ax = plot_clusters(X, model, feature_names=["width", "height"])
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('width', 'height')
    """
    require_matplotlib()
    matrix = as_matrix(X)
    n_samples, n_features = matrix.values.shape
    on_sphere = False
    if is_model(labels):
        check_is_fitted(labels, "plot_clusters")
        centers = labels.cluster_centers_ if centers is None else centers
        on_sphere = getattr(labels, "metric", "") == "cosine"
    labels = labels_of(labels, X, n_samples)
    names = check_names(feature_names if feature_names is not None else matrix.feature_names, n_features)
    stars = np.empty((0, n_features)) if centers is None else _check_centers(centers, n_features)
    n_clusters = max(int(labels.max()) + 1, len(stars))

    drawn = draw_lots(labels, max_points, "max_points", LEAST_DRAWN)
    check_finite(matrix.values, "X", matrix.feature_names)
    samples: AnyArray = matrix.values[drawn].astype(np.float64)
    if on_sphere:  # where the distances and the centers of the model are
        samples, names = unit_rows(samples, np.float64), [f"{name} / length" for name in names]
    xy, star_xy, axis_names = flatten(samples, stars, names)

    ax = axes_or_new(ax, size=(7.5, 5.2))
    colors = cluster_colors(n_clusters)
    _scatter(ax, xy, labels[drawn], colors)
    if len(stars):
        _draw_stars(ax, star_xy)
    _describe_axes(ax, axis_names, one_feature=n_features == 1)
    if len(drawn) < n_samples:
        ax.set_title(f"{len(drawn):,} of {n_samples:,} samples drawn", fontsize=10, color=INK)
    if n_clusters <= LEGEND_CLUSTERS:
        _add_legend(ax, colors, np.bincount(labels, minlength=n_clusters), with_star=len(stars) > 0)
    else:
        _add_color_bar(ax, colors)
    return ax


def _check_centers(centers: Any, n_features: int) -> Floats:
    values = as_matrix(centers, name="centers").values
    if values.shape[1] != n_features:
        raise ValueError(f"centers must have the {n_features} features of X; got shape {values.shape}.")
    return values.astype(np.float64)


def _scatter(ax: Axes, xy: Floats, labels: Integers, colors: list[ColorType]) -> None:
    from matplotlib.colors import to_rgba_array

    n_drawn = len(xy)
    many = n_drawn > 2_000
    if many:  # In random order no cluster covers another, however the table is sorted.
        order = np.random.default_rng(0).permutation(n_drawn)
        xy, labels = xy[order], labels[order]
    # The ink stays about the same: small dots that let others through where there are many.
    ax.scatter(
        xy[:, 0], xy[:, 1], c=to_rgba_array(colors)[labels], s=float(np.clip(9_000 / n_drawn, 4, 36)),
        alpha=0.5 if many else 0.85, linewidths=0, rasterized=many, label="samples",
    )  # fmt: skip


def _draw_stars(ax: Axes, star_xy: Floats) -> None:
    from matplotlib.patheffects import withStroke

    n_stars = len(star_xy)
    few = n_stars <= LEGEND_CLUSTERS
    size = 320 if few else 120 if n_stars <= NUMBERED_CLUSTERS else 45
    # White with a dark edge stands out from every cluster's colour, its own included.
    ax.scatter(
        star_xy[:, 0], star_xy[:, 1], c="white", marker="*", s=size, edgecolors=INK,
        linewidths=1.4 if few else 0.8, zorder=3, label="centers",
    )  # fmt: skip
    if n_stars <= NUMBERED_CLUSTERS:  # the number beside the star tells clusters apart without any colour
        style: dict[str, Any] = {"color": INK, "fontweight": "bold", "fontsize": 11 if few else 8, "zorder": 4}
        halo = [withStroke(linewidth=3 if few else 2, foreground="white")]
        for label, place in enumerate(star_xy):
            ax.annotate(
                str(label), place, xytext=(9, 7) if few else (4, 4), textcoords="offset points",
                path_effects=halo, **style,
            )  # fmt: skip


def _add_legend(ax: Axes, colors: list[ColorType], sizes: Indices, with_star: bool) -> None:
    from matplotlib.lines import Line2D

    style: dict[str, Any] = {"linestyle": "none", "markeredgecolor": "none", "markersize": 8}
    handles = [
        Line2D([], [], marker="o", markerfacecolor=color, label=f"cluster {label} ({size:,})", **style)
        for label, (color, size) in enumerate(zip(colors, sizes.tolist(), strict=True))
    ]
    if with_star:
        star: dict[str, Any] = {**style, "markeredgecolor": INK, "markersize": 13}
        handles.append(Line2D([], [], marker="*", markerfacecolor="white", label="center", **star))
    ax.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.01, 1.0), frameon=False)


def _add_color_bar(ax: Axes, colors: list[ColorType]) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import BoundaryNorm, ListedColormap

    n_clusters = len(colors)
    norm = BoundaryNorm(np.arange(n_clusters + 1) - 0.5, n_clusters)
    bar = ax.figure.colorbar(ScalarMappable(norm, ListedColormap(colors)), ax=ax, label="cluster")
    bar.set_ticks(np.unique(np.linspace(0, n_clusters - 1, 9).round().astype(int)).tolist())
    bar.minorticks_off()


def _describe_axes(ax: Axes, axis_names: list[str], one_feature: bool) -> None:
    ax.set_xlabel(axis_names[0])
    ax.set_ylabel(axis_names[1])
    if one_feature:
        ax.set_yticks([])
        ax.set_ylim(-1.6, 1.6)
    declutter(ax)

"""Samples in the marks of their clusters, centers as stars, and the legend that names them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..types import Floats, Indices, Integers
from .colors import Mark, background_of, ink_of
from .parts import width_of
from .texts import write_beside

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

LEGEND_CLUSTERS = 24
"""With more clusters than this there is no legend: the numbers beside the stars name them."""

INNER_CLUSTERS = 6
"""A legend within the axes has at most so many clusters."""

NUMBERED_CLUSTERS = 200
"""With more clusters than this the stars have no numbers, which would cover each other."""

MANY = 2_000
"""More dots than this let others through, and have one shape."""

FEW = 12
"""The samples of a cluster of at most so many are drawn above the stars, which would cover most of them."""

USUAL_WIDTH = 5.0
"""Inches. In narrower axes all marks are smaller."""


def scatter(ax: Axes, xy: Floats, labels: Integers, marks: list[Mark]) -> None:
    """Draw the samples of the picture.

    xy : (n_drawn, 2).   labels : (n_drawn,).   marks : one per cluster.
    """
    from matplotlib.colors import to_rgba_array

    n_drawn = len(xy)
    many = n_drawn > MANY
    # The ink stays about the same: small dots that let others through where there are many.
    style: dict[str, Any] = {
        "s": float(np.clip(9_000 / max(n_drawn, 1) * scale_of(ax), 4, 36)),
        "alpha": 0.5 if many else 0.9,
        "linewidths": 0,
        "rasterized": many,
        "label": "samples",
    }
    colors = to_rgba_array([mark.color for mark in marks])
    markers = np.array([mark.marker for mark in marks])[labels]
    few = (np.bincount(labels, minlength=len(marks)) <= FEW)[labels]
    # In random order no cluster covers another, however the table is sorted.
    order = np.random.default_rng(0).permutation(n_drawn) if many else np.arange(n_drawn)
    for zorder, layer in ((2.0, ~few), (3.2, few)):
        if zorder > 3:  # a rim, because the star below has the same colour
            style |= {"linewidths": 0.8, "edgecolors": [background_of(ax)]}
        for marker in ["o"] if many else sorted(set(markers[layer].tolist())):
            rows = order[(layer if many else layer & (markers == marker))[order]]
            if len(rows):
                ax.scatter(xy[rows, 0], xy[rows, 1], c=colors[labels[rows]], marker=marker, zorder=zorder, **style)


def draw_stars(ax: Axes, star_xy: Floats, marks: list[Mark], names: list[str], spared: Floats) -> None:
    """Draw the centers as stars, each in the colour of its cluster, with its name or number beside it.

    names : of the clusters; numbers are enough for those that a legend names.
    """
    from matplotlib.patheffects import Normal, withStroke

    n_stars = len(star_xy)
    size = float(np.interp(n_stars, [10, 50, 200, 1000], [230, 110, 30, 8])) * scale_of(ax) ** 2
    edge = float(np.interp(size, [8, 60, 230], [0.3, 0.8, 1.0]))
    # A rim of each of the two extremes stands out from every colour, that of the own cluster included.
    rim = [withStroke(linewidth=3.2 * edge, foreground=background_of(ax)), Normal()]
    ax.scatter(
        star_xy[:, 0], star_xy[:, 1], c=[mark.color for mark in marks[:n_stars]], marker="*", s=size,
        edgecolors=ink_of(ax), linewidths=edge, zorder=3, label="centers", path_effects=rim,
    )  # fmt: skip
    if n_stars <= NUMBERED_CLUSTERS:
        radius = 0.62 * float(np.sqrt(size))
        sizes = ("medium", "small", "x-small") if scale_of(ax) == 1 else ("small", "xx-small", "xx-small")
        fontsize = sizes[int(np.searchsorted([12, 50], n_stars))]
        write_beside(ax, star_xy, names, radius, spared=spared, fontsize=fontsize, fontweight="bold")


def add_legend(ax: Axes, marks: list[Mark], names: list[str], sizes: Indices, with_star: bool, many: bool) -> None:
    """Name each cluster and its size, right of the axes; or within, where a figure without a layout has other axes.

    Within, a legend of many clusters would cover them: their numbers must do.
    """
    handles = legend_handles(ax, marks, names, sizes, with_star, many)
    small = len(handles) > 13 or scale_of(ax) < 1
    style: dict[str, Any] = {"fontsize": "x-small" if len(handles) > 16 else "small" if small else "medium"}
    root = ax.get_figure(root=True)
    if root is None or len(root.axes) == 1 or root.get_layout_engine() is not None:
        ax.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.01, 1.0), frameon=False, **style)
    elif len(marks) <= INNER_CLUSTERS:
        ax.legend(handles=handles, loc="best", framealpha=0.8, fontsize="x-small")


def legend_handles(
    ax: Axes, marks: list[Mark], names: list[str], sizes: Indices, with_star: bool, many: bool
) -> list[Line2D]:
    """Return what a legend shows: a mark, name and size per cluster, and the star."""
    from matplotlib.lines import Line2D

    style: dict[str, Any] = {"linestyle": "none", "markeredgecolor": "none", "markersize": 7}
    handles = [
        Line2D([], [], marker="o" if many else mark.marker, markerfacecolor=mark.color, label=f"{name} ({size:,})",
               **style)
        for mark, name, size in zip(marks, names, sizes.tolist(), strict=True)
    ]  # fmt: skip
    if with_star:
        star: dict[str, Any] = {**style, "markeredgecolor": ink_of(ax), "markersize": 12}
        handles.append(Line2D([], [], marker="*", markerfacecolor="none", label="center", **star))
    return handles


def scale_of(ax: Axes) -> float:
    """Return how large marks are: 1 in axes of the usual width, less in narrow ones."""
    return float(np.clip(width_of(ax) / USUAL_WIDTH, 0.5, 1.0))

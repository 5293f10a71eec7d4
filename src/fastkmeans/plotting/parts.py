"""What all pictures share: axes, titles, the samples that are drawn, and the checks of their arguments.

matplotlib is imported when a picture is asked for. Its global state stays as it was: no pyplot (unless the
caller has imported it), no rcParams, no backend, no show().
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..input.parameters import check_integer
from ..types import Indices, Integers, Names

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LONGEST_NAME = 30
"""Characters of a column name that an axis shows; the middle of a longer one is left out."""

CHARACTER = 0.55
"""Width of a character of matplotlib's default font, in its size: the mean over English text."""


def require_matplotlib() -> None:
    """Raise ImportError, saying how to install it, if matplotlib is missing."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise ImportError('Pictures need matplotlib: pip install "fastkmeans-core[plot]"') from error


def check_names(names: Sequence[str] | Names | None, n_features: int) -> list[str]:
    """Return a name for each feature."""
    if names is None:
        return [f"feature {f}" for f in range(n_features)]
    if len(names) != n_features:
        raise ValueError(f"feature_names must name the {n_features} features of X; got {len(names)} names.")
    return [str(name) for name in names]


def check_cluster_names(names: Sequence[str] | None, n_clusters: int) -> list[str]:
    """Return a name for each cluster."""
    if names is None:
        return [f"cluster {label}" for label in range(n_clusters)]
    if isinstance(names, str) or len(names) != n_clusters:
        got = repr(names) if isinstance(names, str) else f"{len(names)} names"
        raise ValueError(f"names must be a list of names for the {n_clusters} clusters; got {got}.")
    return [str(name) for name in names]


def feature_index(feature: str | int, names: Sequence[str], parameter: str) -> int:
    """Return the position of a feature that is given by its name or its position."""
    if isinstance(feature, str):
        if feature in names:
            return list(names).index(feature)
    elif isinstance(feature, (int, np.integer)) and 0 <= feature < len(names):
        return int(feature)
    raise ValueError(
        f"{parameter} must be the name of a feature or its number, 0 to {len(names) - 1}; got {feature!r}. "
        f"The features are {', '.join(map(repr, names[:20]))}{', ...' if len(names) > 20 else ''}."
    )


def draw_lots(labels: Integers, limit: int, name: str, at_least: int) -> Indices:
    """Return the rows to draw: all, or `limit` of them in random order, the same on every call.

    name : what messages call the limit.
    at_least : so many rows of every cluster are among them, or all it has, if the limit allows.
    """
    check_integer(name, limit, 1)
    if len(labels) <= limit:
        return np.arange(len(labels))
    shuffled = np.random.default_rng(0).permutation(len(labels))
    sizes = np.bincount(labels)
    at_least = min(at_least, limit // len(sizes))
    # A row's place among those of its cluster, in the shuffled order; a stable sort by the label finds it.
    codes = labels[shuffled].astype(np.min_scalar_type(len(sizes)))
    place = np.empty(len(labels), dtype=np.int64)
    place[np.argsort(codes, kind="stable")] = np.arange(len(labels)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    first = place < at_least
    first[np.flatnonzero(~first)[: limit - int(first.sum())]] = True
    return shuffled[first]


def some_clusters(n_clusters: int, limit: int) -> Indices:
    """Return the clusters that an axis names: all, or evenly spaced ones."""
    return np.arange(0, n_clusters, -(-n_clusters // limit))


def axes_or_new(ax: Axes | None, size: tuple[float, float]) -> Axes:
    """Return `ax`, or the axes of a new figure."""
    return new_figure(size).add_subplot() if ax is None else ax


def new_figure(size: tuple[float, float]) -> Figure:
    """Return a new figure: pyplot's if that is loaded, so that notebooks show it."""
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is not None:
        shown: Figure = pyplot.figure(figsize=size, layout="constrained")
        return shown
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def declutter(ax: Axes) -> None:
    """Take away the two edges of the frame that carry no ticks."""
    ax.spines[["top", "right"]].set_visible(False)


def width_of(ax: Axes) -> float:
    """Return the width of the axes in inches, as it is before a layout."""
    root = ax.get_figure(root=True)
    return ax.get_window_extent().width / (100.0 if root is None else root.dpi)


def height_of(ax: Axes) -> float:
    """Return the height of the axes in inches, as it is before a layout."""
    root = ax.get_figure(root=True)
    return ax.get_window_extent().height / (100.0 if root is None else root.dpi)


def wrapped(text: str, inches: float, size: str = "medium") -> str:
    """Return a text in lines that are at most so long; "k = 3" stays in one line."""
    widest = max(int(inches / text_width("n", size)), 16)
    return "\n".join(textwrap.wrap(text.replace(" = ", "\0=\0"), widest)).replace("\0", " ")


def text_width(text: str, size: str = "medium") -> float:
    """Return about how wide a text is, in inches."""
    from matplotlib.font_manager import FontProperties

    return len(text) * CHARACTER * FontProperties(size=size).get_size_in_points() / 72


def write_title(ax: Axes, title: str | None, notes: Iterable[str] = ()) -> None:
    """Write the title, and below it what the reader of the picture must know, in lines no wider than the axes."""
    from matplotlib import rcParams

    given = [] if title is None else [title]
    size = "medium" if notes or title is None else rcParams["axes.titlesize"]
    lines = [wrapped(text, width_of(ax), size) for text in (*given, *notes)]
    if lines:
        ax.set_title("\n".join(lines), fontsize=size)


def shortened(name: str) -> str:
    """Return a name that fits on an axis: the middle of a long one is left out."""
    if len(name) <= LONGEST_NAME:
        return name
    half = (LONGEST_NAME - 1) // 2
    return f"{name[:half]}\N{HORIZONTAL ELLIPSIS}{name[-half:]}"

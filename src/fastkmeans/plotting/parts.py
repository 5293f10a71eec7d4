"""What all pictures share: colours, axes, the samples that are drawn, and the checks of their arguments.

matplotlib is imported when a picture is asked for. Its global state stays as it was: no pyplot (unless the
caller has imported it), no rcParams, no backend, no show().
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..input.parameters import check_integer
from ..types import Indices, Integers, Names

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.typing import ColorType

# Ten colours that stay apart with the common kinds of colour blindness.
# Petroff, "Accessible color sequences for data visualization", 2021, arXiv:2107.02270.
COLORS = (
    "#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6",
    "#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd",
)  # fmt: skip
INK = "#1a1a1a"
ACCENT = "#bd1f01"

LONGEST_NAME = 30
"""Characters of a column name that an axis shows; the middle of a longer one is left out."""


def require_matplotlib() -> None:
    """Raise ImportError, saying how to install it, if matplotlib is missing."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise ImportError('Pictures need matplotlib: pip install "fastkmeans-core[plot]"') from error


def is_model(value: Any) -> bool:
    """Is it an estimator, fitted or not, rather than labels or centers?"""
    return hasattr(value, "fit") and hasattr(value, "predict")


def labels_of(labels: Any, X: Any, n_samples: int) -> Integers:
    """Return the labels of X as an int array of shape (n_samples,): as given, or what a fitted model says.

    Raises ValueError if they do not fit, or if one is negative.
    """
    if is_model(labels):
        fitted = getattr(labels, "labels_", ())
        labels = fitted if len(fitted) == n_samples else labels.predict(X)
    array = np.asarray(labels)
    if array.shape != (n_samples,):
        raise ValueError(
            f"labels must hold one label per sample, shape ({n_samples},); got shape {array.shape}. "
            "Pass the labels_ of a model fitted on this X, or model.predict(X)."
        )
    if array.dtype.kind not in "iu":
        raise ValueError(f"labels must be whole numbers; got dtype {array.dtype}. Pass a model's labels_.")
    if array.min() < 0:
        raise ValueError(f"labels must be 0 or above; got {array.min()}. Leave such samples out of X.")
    return array


def check_names(names: Sequence[str] | Names | None, n_features: int) -> list[str]:
    """Return a name for each feature, shortened to fit on an axis."""
    if names is None:
        return [f"feature {f}" for f in range(n_features)]
    if len(names) != n_features:
        raise ValueError(f"feature_names must name the {n_features} features of X; got {len(names)} names.")
    return [_shortened(str(name)) for name in names]


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


def cluster_colors(n_clusters: int) -> list[ColorType]:
    """Return a colour per cluster: up to ten from the list, more from a perceptually even map."""
    if n_clusters <= len(COLORS):
        return list(COLORS[:n_clusters])
    from matplotlib import colormaps

    return list(colormaps["viridis"](np.linspace(0, 1, n_clusters)))


def some_clusters(n_clusters: int, limit: int) -> Indices:
    """Return the clusters that an axis names: all, or evenly spaced ones."""
    return np.arange(0, n_clusters, -(-n_clusters // limit))


def axes_or_new(ax: Axes | None, size: tuple[float, float]) -> Axes:
    """Return `ax`, or the axes of a new figure: pyplot's if that is loaded, so that notebooks show it."""
    if ax is not None:
        return ax
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is not None:
        axes: Axes = pyplot.figure(figsize=size, layout="constrained").add_subplot()
        return axes
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    return figure.add_subplot()


def declutter(ax: Axes) -> None:
    """Take away the two edges of the frame that carry no ticks."""
    ax.spines[["top", "right"]].set_visible(False)


def _shortened(name: str) -> str:
    if len(name) <= LONGEST_NAME:
        return name
    half = (LONGEST_NAME - 1) // 2
    return f"{name[:half]}\N{HORIZONTAL ELLIPSIS}{name[-half:]}"

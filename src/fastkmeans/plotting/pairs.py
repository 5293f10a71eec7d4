"""The picture of all pairs of a few features: every two of them as a plane, each alone as a histogram."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..types import AnyArray, Floats, Indices, Integers
from .clusters import LEAST_DRAWN, read_clusters
from .colors import COLORS, Mark, marks_of_clusters
from .parts import (
    check_cluster_names,
    declutter,
    draw_lots,
    feature_index,
    height_of,
    new_figure,
    require_matplotlib,
    shortened,
    width_of,
    wrapped,
)
from .plane import PLANE_SAMPLES, flatten, ordinary, padded
from .scatter import LEGEND_CLUSTERS, MANY, draw_stars, legend_handles, scatter

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure
    from matplotlib.lines import Line2D

MOST_FEATURES = 6
"""Panels of more features would be too small to read."""

COMPARED_SAMPLES = 100_000
"""So many samples decide which features tell the clusters apart."""

LINE_INCHES = 0.19
"""Height of a line of the legend."""

BINS = (10, 40)
"""Of a histogram: the square root of the number of samples, within these limits."""


def plot_pairs(
    X: Any,
    labels: Any = None,
    centers: Any = None,
    *,
    features: Sequence[str | int] | None = None,
    feature_names: Sequence[str] | None = None,
    names: Sequence[str] | None = None,
    title: str | None = None,
    figure: Figure | SubFigure | None = None,
    max_points: int = 5_000,
) -> Figure | SubFigure:
    """Draw every pair of two to six features as a plane with the clusters in it, and each feature as a histogram.

    Unlike the principal plane of :func:`plot_clusters`, these are the features themselves, in their own units. Of more than
    six features those are drawn that tell the clusters apart best: whose variance between the clusters is the
    largest part of all their variance. `features` chooses others.

    Parameters
    ----------
    X : array-like or DataFrame of shape (n_samples, n_features)
        The samples. If a model knows the names of its features, the columns of a DataFrame are taken by name.
        Without a model, text, identifiers and labels are left out as :func:`cluster` does.
    labels : KMeans, Pipeline, array-like of shape (n_samples,) or str, optional
        As in :func:`plot_clusters`.
    centers : array-like or DataFrame of shape (n_clusters, n_features), optional
        The centers; ``KMeans.cluster_centers_``. Without centers, and without a model, there are no stars.
    features : sequence of str or int, optional
        Two to six features, by name or by number. By default all, or the six that tell the clusters apart best.
    feature_names : sequence of str, optional
        Names of all features. By default those of the model, the column names of X, or "feature 0", "feature 1", ...
    names : sequence of str, optional
        Names of the clusters, in the order of their labels. By default "cluster 0", "cluster 1", ...
    title : str, optional
        The title of the figure.
    figure : matplotlib.figure.Figure or SubFigure, optional
        Where to draw. By default a new figure.
    max_points : int, default=5000
        If X has more samples, so many are drawn at random in each plane (always the same ones, a few of every cluster
        among them), and the figure says so. Histograms count all samples.

    Returns
    -------
    matplotlib.figure.Figure or SubFigure
        Save the picture with ``plot_pairs(...).savefig("pairs.png")``.

    Raises
    ------
    ValueError
        If the shapes of the arguments do not fit together, if X lacks a column of the fit, or if there are not two to
        six features.
    NotFittedError
        If the model is not fitted.
    ImportError
        If matplotlib is missing.

    Examples
    --------
    >>> from fastkmeans import KMeans, plot_pairs
    >>> X = [[0.0, 0.0, 1.0], [1.0, 0.0, 2.0], [9.0, 5.0, 3.0], [9.0, 6.0, 1.0]]
    >>> figure = plot_pairs(X, KMeans(2, random_state=3).fit(X), feature_names=["width", "height", "depth"])
    >>> [ax.get_xlabel() for ax in figure.axes if ax.get_xlabel()]
    ['width', 'height', 'depth']
    """
    require_matplotlib()
    subject, labels, stars = read_clusters(X, labels, centers, feature_names, "plot_pairs")
    values: Any = subject.measured(subject.values) if subject.on_sphere else subject.values
    sizes = np.bincount(labels, minlength=len(stars))
    cluster_names = check_cluster_names(names, len(sizes))
    chosen = _choose_features(features, subject.names, values, labels)
    values, stars = values[:, chosen].astype(np.float64), stars[:, chosen]
    drawn = draw_lots(labels, max_points, "max_points", LEAST_DRAWN)
    inside = ordinary(values[drawn])
    n_features = len(chosen)
    if figure is None:
        figure = new_figure((2.1 * n_features + 1.6, 2.1 * n_features + 0.4))
    grid = figure.subplots(n_features, n_features, squeeze=False)
    marks = marks_of_clusters(_positions(values, labels, stars, len(sizes)), grid[0, 0])
    limits = np.array(padded(values[drawn][inside].min(axis=0), values[drawn][inside].max(axis=0)))
    _draw_panels(grid, _Panels(values, labels, stars, drawn, marks, limits))
    of_length = " / length" if subject.on_sphere else ""
    _name_axes(grid, [shortened(subject.names[f]) + of_length for f in chosen])
    figure.align_ylabels()
    if names is not None:  # what the numbers beside the stars mean
        cluster_names = [f"{label}: {name}" for label, name in enumerate(cluster_names)]
    notes = [] if title is None else [title]
    notes += [f"features{subject.after}"] if subject.after else []
    if len(sizes) <= LEGEND_CLUSTERS:
        handles = legend_handles(grid[0, 0], marks, cluster_names, sizes, len(stars) > 0, len(drawn) > MANY)
        _add_legend(figure, handles, n_features)
    else:
        notes.append(f"{len(sizes):,} clusters")
    if n_features < len(subject.names) and features is None:
        notes.append(f"the {n_features} of {len(subject.names)} features that tell the clusters apart best")
    notes += subject.notes
    notes += _what_is_left_out(len(drawn), len(labels), int(np.count_nonzero(~inside)))
    if notes:
        figure.suptitle("\n".join(notes), fontsize="medium" if title is None else "large")
    return figure


class _Panels(NamedTuple):
    """What is drawn in the panels.

    values : (n_samples, n_features).
    stars : (n_clusters, n_features), or (0, n_features) for none.
    drawn : which samples the planes show.
    limits : (2, n_features), of the axes.
    """

    values: Floats
    labels: Integers
    stars: Floats
    drawn: Indices
    marks: list[Mark]
    limits: Floats


def _draw_panels(grid: AnyArray, panels: _Panels) -> None:
    """Draw histograms on the diagonal and planes below it; there is nothing above it."""
    shown, labels = panels.values[panels.drawn], panels.labels[panels.drawn]
    numbers = [str(label) for label in range(len(panels.stars))]
    for (row, column), ax in np.ndenumerate(grid):
        if column > row:
            ax.remove()
            continue
        if row == column:
            _draw_histogram(ax, panels.values[:, row], panels.labels, panels.marks, panels.limits[:, row])
        else:
            pair = [column, row]
            scatter(ax, shown[:, pair], labels, panels.marks)
            if numbers:
                draw_stars(ax, panels.stars[:, pair], panels.marks, numbers, spared=shown[:, pair])
            ax.set_ylim(panels.limits[:, row])
        ax.set_xlim(panels.limits[:, column])


def _what_is_left_out(n_drawn: int, n_samples: int, n_outside: int) -> list[str]:
    notes = []
    if n_drawn < n_samples:
        notes.append(f"{n_drawn:,} of {n_samples:,} samples drawn")
    if n_outside:
        among = " among these" if n_drawn < n_samples else ""
        notes.append(
            f"{n_outside:,} outlier{'s' if n_outside > 1 else ''}{among} lie{'' if n_outside > 1 else 's'} outside of the frames"
        )
    return notes


def _choose_features(given: Sequence[str | int] | None, names: list[str], values: Any, labels: Integers) -> list[int]:
    """Return the positions of the features to draw."""
    if given is not None:
        if isinstance(given, str):
            raise TypeError(f"features must be a list; got the text {given!r}. Pass [{given!r}, ...].")
        chosen = [feature_index(feature, names, "features") for feature in given]
    elif len(names) <= MOST_FEATURES:
        chosen = list(range(len(names)))
    else:
        every = -(-len(values) // COMPARED_SAMPLES)
        parts = between_clusters(values[::every], labels[::every])
        chosen = sorted(np.argsort(-parts, kind="stable")[:MOST_FEATURES].tolist())
    if not 2 <= len(chosen) <= MOST_FEATURES or len(set(chosen)) < len(chosen):
        raise ValueError(f"features must be 2 to {MOST_FEATURES} different ones; got {len(chosen)}: {given or names}.")
    return chosen


def between_clusters(values: Any, labels: Integers) -> Floats:
    """Return, for each feature, which part of its variance is that between the clusters; 0 for a constant one."""
    sizes = np.bincount(labels)
    parts = np.zeros(values.shape[1])
    for f in range(values.shape[1]):
        column = values[:, f].astype(np.float64)
        column -= column.mean()
        sums = np.bincount(labels, weights=column, minlength=len(sizes))
        total = float(column @ column)
        if total > 0:
            parts[f] = float((sums**2 / np.maximum(sizes, 1)).sum()) / total
    return parts


def _positions(values: Floats, labels: Integers, stars: Floats, n_clusters: int) -> Floats:
    """Return where the clusters are on the principal plane, by which neighbours differ in colour."""
    if n_clusters <= len(COLORS):
        return np.zeros((n_clusters, 2))
    if len(stars) < n_clusters:
        sizes = np.maximum(np.bincount(labels, minlength=n_clusters), 1)[:, None]
        sums = [np.bincount(labels, weights=column, minlength=n_clusters) for column in values.T]
        stars = np.column_stack(sums) / sizes
    every = -(-len(values) // PLANE_SAMPLES)
    return flatten(values[::every], stars, [""] * values.shape[1], "")[1]


def _draw_histogram(ax: Axes, values: Floats, labels: Integers, marks: list[Mark], limits: Floats) -> None:
    """Draw how many samples of each cluster have a value; of more than ten clusters, all samples together."""
    n_bins = int(np.clip(np.sqrt(len(values)), *BINS))
    inside = (limits[0] <= values) & (values < limits[1])
    places = ((values[inside] - limits[0]) * (n_bins / (limits[1] - limits[0]))).astype(np.int64)
    places = np.minimum(places, n_bins - 1)  # rounding may reach the end
    if len(marks) > len(COLORS):
        marks, rows = [Mark("gray", "o")], places
    else:
        rows = labels[inside] * n_bins + places
    counts = np.bincount(rows, minlength=len(marks) * n_bins).reshape(len(marks), n_bins)
    edges = np.linspace(limits[0], limits[1], n_bins + 1)
    for mark, heights in zip(marks, counts, strict=True):
        ax.stairs(heights, edges, fill=True, color=mark.color, alpha=0.45)
        ax.stairs(heights, edges, color=mark.color, linewidth=1.2)
    ax.set_ylim(bottom=0)


def _add_legend(figure: Figure | SubFigure, handles: list[Line2D], n_features: int) -> None:
    """Put the legend into the free upper right of the panels if it fits there, else right of them."""
    style: dict[str, Any] = {"handles": handles, "frameon": False, "fontsize": "small"}
    root = figure.get_figure(root=True)
    height = figure.bbox.height / (100.0 if root is None else root.dpi)
    fits = LINE_INCHES * (len(handles) + 1) < height * (n_features - 1) / n_features
    has_layout = root is not None and root.get_layout_engine() is not None
    figure.legend(loc="upper right" if fits or not has_layout else "outside right upper", **style)


def _name_axes(grid: AnyArray, names: list[str]) -> None:
    """Name the axes at the left and at the bottom; the others share theirs."""
    for row, column in zip(*np.tril_indices(len(names)), strict=True):
        ax = grid[row, column]
        declutter(ax)
        ax.tick_params(labelsize="small")
        ax.locator_params(nbins=5)
        if row == column:
            ax.set_yticks([])
            ax.spines["left"].set_visible(False)
        elif column == 0:
            ax.set_ylabel(wrapped(names[row], height_of(ax)))
        else:
            ax.set_yticklabels([])
        if row == len(names) - 1:
            ax.set_xlabel(wrapped(names[column], width_of(ax)))
        else:
            ax.set_xticklabels([])

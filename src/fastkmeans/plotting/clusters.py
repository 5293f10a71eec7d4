"""The picture of the clusters: the samples in their colours, and the centers as stars."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..input.columns import list_names
from ..input.finite import check_finite
from ..input.matrix import as_matrix
from ..input.tables import column_names, is_table, select_columns
from ..types import Floats, Integers, Mask
from .colors import COLORS, marks_of_clusters
from .parts import (
    axes_or_new,
    check_cluster_names,
    declutter,
    draw_lots,
    feature_index,
    height_of,
    require_matplotlib,
    shortened,
    width_of,
    wrapped,
    write_title,
)
from .plane import fences, flatten, ordinary, padded
from .scatter import LEGEND_CLUSTERS, MANY, NUMBERED_CLUSTERS, add_legend, draw_stars, scatter
from .subject import (
    Subject,
    check_labels,
    is_model,
    labels_and_rest,
    labels_of,
    read_subject,
)
from .texts import write_beside

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LEAST_DRAWN = 5
"""When samples are left out, so many of every cluster are drawn, so that no small one is lost."""


def plot_clusters(
    X: Any,
    labels: Any = None,
    centers: Any = None,
    *,
    x: str | int | None = None,
    y: str | int | None = None,
    feature_names: Sequence[str] | None = None,
    names: Sequence[str] | None = None,
    sample_names: Sequence[str] | str | None = None,
    title: str | None = None,
    ax: Axes | None = None,
    max_points: int = 20_000,
) -> Axes:
    """Draw the samples coloured by cluster, with the centers as stars.

    Two features are drawn as they are. One feature is drawn along a line, at random heights. More features are projected
    on the plane through their two leading principal axes; the axis names say how much of the variance each shows. `x`
    and `y` choose two features instead. Rows of a model with ``metric="cosine"`` are divided by their lengths.

    Up to ten clusters have a colour each. More clusters share ten colours, never two that are neighbours in the
    picture. Extreme outliers are left outside of the frame; the title says how many.

    Parameters
    ----------
    X : array-like or DataFrame of shape (n_samples, n_features)
        The samples. If a model knows the names of its features, the columns of a DataFrame are taken by name.
        Without a model, text, identifiers and labels are left out as :func:`cluster` does.
    labels : KMeans, Pipeline, array-like of shape (n_samples,) or str, optional
        A fitted model, which also gives the centers, or a fitted scikit-learn Pipeline that ends in one, whose other
        steps are applied to X first. Or the cluster of each sample, 0 or above, or the name of the column of X that
        holds it. By default the column "labels", which :func:`cluster` writes.
    centers : array-like or DataFrame of shape (n_clusters, n_features), optional
        The centers; ``KMeans.cluster_centers_``. Without centers, and without a model, there are no stars.
    x, y : str or int, optional
        The features of the two axes, by name or by number. `x` alone is drawn along a line.
    feature_names : sequence of str, optional
        Names of the features. By default those of the model, the column names of X, or "feature 0", "feature 1", ...
    names : sequence of str, optional
        Names of the clusters, in the order of their labels. By default "cluster 0", "cluster 1", ...
    sample_names : sequence of str, or str, optional
        A text beside each sample, or the name of the column of X that holds them. Texts that would cover another one are
        left out.
    title : str, optional
        The title. What else the title has to say follows in smaller lines.
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
        If the shapes of the arguments do not fit together, if X lacks a column of the fit, or if a label is negative.
    NotFittedError
        If the model is not fitted.
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
    subject, labels, stars = read_clusters(X, labels, centers, feature_names, "plot_clusters")
    n_samples = len(subject.values)
    sizes = np.bincount(labels, minlength=len(stars))
    cluster_names = check_cluster_names(names, len(sizes))
    beside = _texts_of_samples(sample_names, X, subject)
    drawn = draw_lots(labels, max_points, "max_points", LEAST_DRAWN)
    xy, star_xy, axis_names = _two_axes(subject, subject.values[drawn], stars, x, y)

    ax = axes_or_new(ax, size=(7.5, 5.2))
    frame_note = _frame(ax, xy, star_xy, axis_names[1] == "random height", thinned=len(drawn) < n_samples)
    marks = marks_of_clusters(star_xy if len(star_xy) == len(sizes) else _middles(xy, labels[drawn], len(sizes)), ax)
    scatter(ax, xy, labels[drawn], marks)
    has_legend = len(sizes) <= LEGEND_CLUSTERS
    short = [str(label) for label in range(len(sizes))] if names is None else cluster_names
    if len(stars) > 0:
        draw_stars(ax, star_xy, marks, short[: len(stars)], spared=xy)
    elif names is not None or len(sizes) > len(COLORS):
        _write_names(ax, _middles(xy, labels[drawn], len(sizes)), short)
    if beside is not None:
        texts = [str(beside[i]) for i in drawn]
        write_beside(ax, xy, texts, 4.0, spared=xy, fontsize="x-small")
    ax.set_xlabel(wrapped(axis_names[0], width_of(ax)))
    ax.set_ylabel(wrapped(axis_names[1], height_of(ax)))
    if axis_names[1] == "random height":
        ax.set_yticks([])
    declutter(ax)
    notes = [f"{len(drawn):,} of {n_samples:,} samples drawn"] if len(drawn) < n_samples else []
    notes += subject.notes
    if not has_legend:
        numbered = len(sizes) <= NUMBERED_CLUSTERS
        notes.append(
            f"{len(sizes):,} clusters" + (", their numbers beside their centers" if numbered and len(stars) else "")
        )
    write_title(ax, title, notes + frame_note)
    if has_legend:
        add_legend(ax, marks, cluster_names, sizes, with_star=len(stars) > 0, many=len(drawn) > MANY)
    return ax


def read_clusters(
    X: Any, labels: Any, centers: Any, feature_names: Sequence[str] | None, method: str
) -> tuple[Subject, Integers, Floats]:
    """Return the samples, their labels, and the centers, of shape (0, n_features) for none."""
    rows, labels = labels_and_rest(X, labels)
    model = labels if is_model(labels) else None
    subject = read_subject(rows.table, model, feature_names, method)._replace(kept=rows.kept, notes=rows.notes)
    n_samples, n_features = subject.values.shape
    found = check_labels(labels, n_samples) if model is None else labels_of(subject)
    if centers is not None:
        stars = _check_centers(centers, subject.rows, n_features)
    elif model is not None:
        stars = subject.model.cluster_centers_.astype(np.float64)
    else:
        stars = np.empty((0, n_features))
    return subject, found, stars


def _check_centers(centers: Any, X: Any, n_features: int) -> Floats:
    """Return given centers; the columns of a table of them are taken by the names that X has."""
    if is_table(centers) and is_table(X):
        centers = select_columns(centers, column_names(X))
    matrix = as_matrix(centers, name="centers")
    if matrix.values.shape[1] != n_features:
        raise ValueError(f"centers must have the {n_features} features of X; got shape {matrix.values.shape}.")
    check_finite(matrix.values, "centers", matrix.feature_names)
    return matrix.values.astype(np.float64)


def _texts_of_samples(sample_names: Sequence[str] | str | None, X: Any, subject: Subject) -> Sequence[Any] | None:
    """Return the text beside each sample that is drawn, None for none; rows that were left out have none."""
    if isinstance(sample_names, str):
        known = column_names(X) if is_table(X) else []
        if sample_names not in known:
            has = f"has the columns {list_names(known)}" if known else "has no columns with names"
            raise ValueError(
                f"sample_names must be a list of texts or the name of a column; got {sample_names!r}, and X {has}."
            )
        sample_names = np.asarray(X[sample_names]).tolist()
    n_samples, kept = len(subject.values), subject.kept
    if sample_names is None or (kept is None and len(sample_names) == n_samples):
        return sample_names
    if kept is not None and len(sample_names) == len(kept):
        return [name for name, there in zip(sample_names, kept.tolist(), strict=True) if there]
    if len(sample_names) != n_samples:
        raise ValueError(f"sample_names must be a list of texts for the {n_samples} samples; got {len(sample_names)}.")
    return sample_names


def _two_axes(
    subject: Subject, rows: Any, stars: Floats, x: str | int | None, y: str | int | None
) -> tuple[Floats, Floats, list[str]]:
    """Return samples and centers in the two dimensions of the picture, and the names of these."""
    if x is None and y is not None:
        raise ValueError("y chooses the second of two axes; pass x, too.")
    names = [f"{shortened(name)}{subject.unit}" for name in subject.names]
    if x is not None or rows.shape[1] <= 2:
        parts = [feature_index(part, subject.names, key) for key, part in (("x", x), ("y", y)) if part is not None]
        parts = parts or list(range(rows.shape[1]))
        samples = subject.measured(rows) if subject.on_sphere else rows.astype(np.float64)
        return flatten(samples[:, parts], stars[:, parts], [names[part] for part in parts], "")
    words = subject.after + (" of standardized features" if subject.rescales else "")
    return flatten(subject.measured(rows), subject.measured(stars) if subject.rescales else stars, names, words)


def _middles(xy: Floats, labels: Integers, n_clusters: int) -> Floats:
    """Return the median place of each cluster, NaN for one of which nothing is drawn."""
    places = np.full((n_clusters, 2), np.nan)
    for label in np.unique(labels).tolist():
        places[label] = np.median(xy[labels == label], axis=0)
    return places


def _write_names(ax: Axes, middles: Floats, names: list[str]) -> None:
    there: Mask = ~np.isnan(middles[:, 0])
    written = [name for name, known in zip(names, there, strict=True) if known]
    write_beside(ax, middles[there], written, 0.0, spared=np.empty((0, 2)), fontsize="small", fontweight="bold")


def _frame(ax: Axes, xy: Floats, star_xy: Floats, one_feature: bool, thinned: bool) -> list[str]:
    """Limit the axes to the samples that are no extreme outliers, and return what is to be said about the others."""
    if one_feature:
        ax.set_ylim(-1.6, 1.6)
    inside = ordinary(xy)
    if inside.all():
        return []
    (low, high), (first, last) = fences(xy), (xy[inside].min(axis=0), xy[inside].max(axis=0))
    # The center of an ordinary cluster is inside, the center of outliers is not.
    near = star_xy[((low <= star_xy) & (star_xy <= high)).all(axis=1)]
    first, last = (
        np.minimum(first, near.min(axis=0, initial=np.inf)),
        np.maximum(last, near.max(axis=0, initial=-np.inf)),
    )
    start, end = padded(first, last)
    ax.set_xlim(start[0], end[0])
    if not one_feature:
        ax.set_ylim(start[1], end[1])
    n_outside = int(np.count_nonzero(~inside))
    outliers = f"{n_outside:,} outlier{'s' if n_outside > 1 else ''}{' among these' if thinned else ''}"
    gone = [str(j) for j, star in enumerate(star_xy.tolist()) if not ((first <= star) & (star <= last)).all()]
    if gone:
        several, shown = "s" if len(gone) > 1 else "", ", ".join(gone[:5]) + (", ..." if len(gone) > 5 else "")
        outliers += f" and the center{several} of cluster{several} {shown}"
    return [f"{outliers} {'lies' if n_outside == 1 and not gone else 'lie'} outside of the frame"]

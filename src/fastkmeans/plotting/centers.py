"""The profile picture: what distinguishes each cluster, feature by feature."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..engines.spherical import unit_rows
from ..input.finite import check_finite
from ..input.labelled import labelled_rows
from ..input.matrix import as_matrix
from ..input.tables import column_names, is_table, select_columns
from ..types import Floats, Values
from .colors import DARK, background_of, luminance
from .parts import (
    CHARACTER,
    axes_or_new,
    check_cluster_names,
    check_names,
    require_matplotlib,
    shortened,
    some_clusters,
    text_width,
    width_of,
    write_title,
)
from .subject import columns_of_fit, estimator_of, is_model, names_of_features, read_subject

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

MOST_CELLS = 240
"""Cells that have room for their number: 20 clusters by 12 features."""

NAMED_CLUSTERS = 50
"""With more clusters only every second, third, ... is named."""

USED_WIDTH = 0.72
"""Part of the width of the axes that is left for the cells, beside the names of the clusters and the colour bar."""

LARGEST_DEVIATION = 3.0
"""Deviations beyond this share the strongest colour, so that one odd center does not pale all others."""


def plot_centers(
    centers: Any,
    X: Any = None,
    *,
    sizes: Any = None,
    feature_names: Sequence[str] | None = None,
    names: Sequence[str] | None = None,
    title: str | None = None,
    scale: str | None = "standard",
    ax: Axes | None = None,
) -> Axes:
    """Draw the profile of each cluster as a row of cells, one per feature.

    The number in a cell is the center, in the units of X. Where cells are too many, the numbers are left out. The colour
    says how unusual the center is: by default its distance from the mean of that feature, in standard deviations.

    Parameters
    ----------
    centers : KMeans, Pipeline, or array-like or DataFrame of shape (n_clusters, n_features)
        A fitted model, or its ``cluster_centers_``, or the table of centers that :func:`cluster` returns. Of a fitted
        scikit-learn Pipeline that ends in a model, the centers are shown in the units of its input where all its other
        steps have an ``inverse_transform``. Else they are shown as these steps leave the features, and the title says so.
        ``plot_centers(X, model)``, in the order of the other pictures, is the same as ``plot_centers(model, X)``.
    X : array-like or DataFrame of shape (n_samples, n_features), optional
        The samples. If the centers know the names of their features, the columns of a DataFrame are taken by name. With
        samples, mean and standard deviation are those of the samples, and a feature that hardly tells clusters apart
        stays pale. Without samples, mean and standard deviation are those of the centers.
    sizes : array-like of shape (n_clusters,), optional
        Number of samples of each cluster, to be shown beside its name. By default those that the fit found.
    feature_names : sequence of str, optional
        Names of the features. By default those of the model, of centers or of X, or "feature 0", "feature 1", ...
    names : sequence of str, optional
        Names of the clusters, in the order of their labels. By default "cluster 0", "cluster 1", ...
    title : str, optional
        The title.
    scale : {"standard", None}, default="standard"
        None colours the centers as they are, by one scale for all features: for features that share a unit, or
        are standardized already.
    ax : matplotlib.axes.Axes, optional
        Where to draw. By default a new figure, reachable as ``ax.figure`` of the result.

    Returns
    -------
    matplotlib.axes.Axes
        Save the picture with ``ax.figure.savefig("centers.png")``.

    Raises
    ------
    ValueError
        If the shapes of the arguments do not fit together, if X lacks a column of the fit, or if scale is neither
        "standard" nor None.
    NotFittedError
        If the model is not fitted.
    ImportError
        If matplotlib is missing.

    Examples
    --------
    >>> from fastkmeans import plot_centers
    >>> ax = plot_centers([[1.0, 20.0], [3.0, 10.0]], feature_names=["width", "height"])
    >>> [text.get_text() for text in ax.texts]
    ['1', '20', '3', '10']
    >>> [tick.get_text() for tick in ax.get_xticklabels()]
    ['width', 'height']
    """
    require_matplotlib()
    if scale not in ("standard", None):
        raise ValueError(f"scale must be 'standard' or None; got {scale!r}.")
    if is_model(X) and not is_model(centers):
        centers, X = X, centers
    profile = _read_profile(centers, X, feature_names, sizes)
    values, samples, feature_words = profile.values, profile.samples, [shortened(name) for name in profile.names]
    n_clusters, n_features = values.shape
    cluster_names = _with_sizes(check_cluster_names(names, n_clusters), profile.sizes)
    shown, unit = (values, f"center{profile.after}") if scale is None else _standardized(values, samples)

    ax = axes_or_new(ax, size=_figure_size(n_clusters, feature_words))
    image = _draw_cells(ax, shown, unit, symmetric=scale is not None)
    if values.size <= MOST_CELLS:
        _write_numbers(ax, values, image)
    _name_rows(ax, cluster_names)
    _name_columns(ax, feature_words)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.grid(False)  # some styles would draw it over the cells
    write_title(ax, title, [*([f"scaled features:{profile.after}"] if profile.after else []), *profile.notes])
    return ax


class _Profile(NamedTuple):
    """Centers, and what is known of them: samples, names of features, sizes, the steps of a Pipeline before, what was left out."""

    values: Floats
    samples: Values | None
    names: list[str]
    sizes: Any
    after: str
    notes: tuple[str, ...] = ()


def _read_profile(centers: Any, X: Any, feature_names: Any, sizes: Any) -> _Profile:
    if is_model(centers):
        return _profile_of_model(centers, X, feature_names, sizes)
    notes: tuple[str, ...] = ()
    if is_table(centers):
        names = column_names(centers)
        if len(names) > 2 and names[1] == "size" and np.array_equal(centers[names[0]], np.arange(len(centers))):
            # The table of centers that cluster() returns: label, size, features.
            sizes = np.asarray(centers["size"]) if sizes is None else sizes
            centers = select_columns(centers, names[2:])
        if X is not None and is_table(X):
            X, _, notes = labelled_rows(X)
            X = select_columns(X, column_names(centers))
    matrix = as_matrix(centers, name="centers")
    check_finite(matrix.values, "centers", matrix.feature_names)
    samples = None if X is None else read_subject(X, None, None, "plot_centers")
    n_features = matrix.values.shape[1]
    found = feature_names if feature_names is not None else matrix.feature_names
    if samples is not None and samples.values.shape[1] != n_features:
        raise ValueError(f"X must have the {n_features} features of centers; got shape {samples.values.shape}.")
    if found is None and samples is not None:
        found = samples.names
    values = None if samples is None else samples.values
    return _Profile(matrix.values.astype(np.float64), values, check_names(found, n_features), sizes, "", notes)


def _profile_of_model(model: Any, X: Any, feature_names: Any, sizes: Any) -> _Profile:
    estimator = estimator_of(model, "plot_centers")
    if _can_invert(model):
        return _profile_in_units(model, estimator, X, feature_names, sizes)
    centers: Floats = np.asarray(estimator.cluster_centers_, dtype=np.float64)
    sizes = _sizes_of(estimator, sizes)
    if X is None:
        found, after = names_of_features(model)
        names = check_names(feature_names if feature_names is not None else found, centers.shape[1])
        return _Profile(centers, None, names, sizes, after)
    rows = labelled_rows(X, model)
    subject = read_subject(rows.table, model, feature_names, "plot_centers")
    samples: Values = subject.values
    if getattr(estimator, "metric", "") == "cosine":
        samples = unit_rows(samples, np.float64)  # as the model measures them
    return _Profile(centers, samples, subject.names, sizes, subject.after, rows.notes)


def _sizes_of(estimator: Any, sizes: Any) -> Any:
    if sizes is None and getattr(estimator, "labels_", None) is not None:
        return np.bincount(np.asarray(estimator.labels_), minlength=len(estimator.cluster_centers_))
    return sizes


def _can_invert(model: Any) -> bool:
    """Can the steps before the model be undone? A FunctionTransformer without inverse_func only says that it can."""
    steps = [step for _, step in getattr(model, "steps", ())[:-1]]
    one_way = any(getattr(step, "func", None) is not None and step.inverse_func is None for step in steps)
    return bool(steps) and not one_way and hasattr(model[:-1], "inverse_transform")


def _profile_in_units(model: Any, estimator: Any, X: Any, feature_names: Any, sizes: Any) -> _Profile:
    """Return the centers of a Pipeline in the units of its input."""
    centers: Floats = np.asarray(model[:-1].inverse_transform(estimator.cluster_centers_), dtype=np.float64)
    names, samples = getattr(model, "feature_names_in_", None), None
    notes: tuple[str, ...] = ()
    if X is not None:
        rows = labelled_rows(X)
        matrix = as_matrix(columns_of_fit(rows.table, model))
        check_finite(matrix.values, "X", matrix.feature_names)
        samples, notes = matrix.values, rows.notes
        names = matrix.feature_names if names is None else names
        if samples.shape[1] != centers.shape[1]:
            raise ValueError(f"X has {samples.shape[1]} features, but the Pipeline was fitted with {centers.shape[1]}.")
    found = check_names(feature_names if feature_names is not None else names, centers.shape[1])
    return _Profile(centers, samples, found, _sizes_of(estimator, sizes), "", notes)


def _with_sizes(names: list[str], sizes: Any) -> list[str]:
    """Return the name of each cluster, with its size if that is known."""
    if sizes is None:
        return names
    sizes = np.asarray(sizes)
    if sizes.shape != (len(names),):
        raise ValueError(f"sizes must have one number for each of {len(names)} clusters; got shape {sizes.shape}.")
    return [f"{name} ({size:,})" for name, size in zip(names, sizes.tolist(), strict=True)]


def _standardized(values: Floats, samples: Values | None) -> tuple[Floats, str]:
    """Return the centers as deviations from the mean, and the words for the colour bar."""
    population, whose = (values, "centers") if samples is None else (samples, "samples")
    mean = population.mean(axis=0, dtype=np.float64)
    deviation = population.std(axis=0, dtype=np.float64)
    # A constant feature deviates by rounding alone.
    constant = deviation <= 1e-12 * np.abs(mean)
    standardized = np.where(constant, 0.0, (values - mean) / np.where(constant, 1.0, deviation))
    return standardized, f"standard deviations\nof the {whose}\nfrom their mean"


def _figure_size(n_clusters: int, names: list[str]) -> tuple[float, float]:
    width = 3.4 + 0.62 * len(names)
    height = 1.2 + 0.36 * n_clusters + 0.05 * max(map(len, names))
    return float(np.clip(width, 5.5, 14)), float(np.clip(height, 3.6, 12))


def _draw_cells(ax: Axes, shown: Floats, unit: str, symmetric: bool) -> AxesImage:
    """Colour the cells, blue below the mean and red above, or light to dark."""
    from matplotlib.colors import LinearSegmentedColormap, to_hex

    style: dict[str, Any] = {"cmap": "cividis"}
    extend = "neither"
    if symmetric:
        largest = float(np.abs(shown).max())
        limit = min(max(largest, 1e-9), LARGEST_DEVIATION)
        behind = background_of(ax)
        # What is usual has the colour of the background, dark or light.
        dark = LinearSegmentedColormap.from_list("deviation", ["#7cc0ff", to_hex(behind), "#ff8a70"])
        style = {"cmap": dark if luminance(behind) <= DARK else "RdBu_r", "vmin": -limit, "vmax": limit}
        extend = "both" if largest > LARGEST_DEVIATION else "neither"
    image = ax.imshow(shown, aspect="auto", interpolation="nearest", **style)
    # Within the axes' own space, so that a layout keeps the bar beside the cells.
    bar = ax.inset_axes((1.02, 0.0, min(0.2 / width_of(ax), 0.1), 1.0))
    ax.figure.colorbar(image, cax=bar, label=unit, extend=extend)
    return image


def _write_numbers(ax: Axes, values: Floats, image: AxesImage) -> None:
    """Write each center into its cell, in the largest size in which all fit; nothing if none fits."""
    largest = np.abs(values).max(axis=0)
    texts = {place: _short_number(float(value), float(largest[place[1]])) for place, value in np.ndenumerate(values)}
    room = USED_WIDTH * width_of(ax) / values.shape[1]
    sizes = ("small", "x-small", "xx-small")
    fontsize = next((size for size in sizes if max(text_width(text, size) for text in texts.values()) < room), None)
    if fontsize is None:
        return
    red_green_blue = image.to_rgba(np.asarray(image.get_array()))[..., :3]
    dark = red_green_blue @ [0.299, 0.587, 0.114] < 0.5
    for (j, f), text in texts.items():
        ax.text(f, j, text, ha="center", va="center", fontsize=fontsize, color="white" if dark[j, f] else "black")


def _short_number(value: float, largest: float) -> str:
    """Write a number with three digits of the largest of its column, so that a column lines up."""
    if largest == 0 or not 1e-3 <= largest < 1e6:
        return f"{value:.3g}"
    decimals = max(2 - int(np.floor(np.log10(largest))), 0)
    text = f"{value:,.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _name_rows(ax: Axes, names: list[str]) -> None:
    named = some_clusters(len(names), NAMED_CLUSTERS)
    fontsize = "medium" if len(named) <= 20 else "x-small"
    ax.set_yticks(named, [names[label] for label in named], fontsize=fontsize)


def _name_columns(ax: Axes, names: list[str]) -> None:
    """Write the names of the features below the cells: level if they fit, else aslant, else upright and not all."""
    room = USED_WIDTH * width_of(ax) / len(names)
    line = 1.3 * text_width("n", "medium") / CHARACTER  # the height of a line, aslant too, is above its font's
    if max(map(text_width, names)) < room:
        ax.set_xticks(range(len(names)), names)
    elif 1.4 * line < room:
        ax.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor")
    else:
        named = some_clusters(len(names), max(int(USED_WIDTH * width_of(ax) / (0.7 * line)), 1))
        ax.set_xticks(named, [names[f] for f in named], rotation=90, fontsize="x-small")

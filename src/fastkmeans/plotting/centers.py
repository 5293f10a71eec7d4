"""The profile picture: what distinguishes each cluster, feature by feature."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..engines.spherical import unit_rows
from ..errors import check_is_fitted
from ..input.finite import check_finite
from ..input.matrix import Matrix, as_matrix
from ..types import Floats, Indices, Values
from .parts import INK, axes_or_new, check_names, is_model, require_matplotlib, some_clusters

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

MOST_CELLS = 240
"""Cells that have room for their number: 20 clusters by 12 features."""

NAMED_CLUSTERS = 50
"""With more clusters only every second, third, ... is named."""

LARGEST_DEVIATION = 3.0
"""Deviations beyond this share the strongest colour, so that one odd center does not pale all others."""


def plot_centers(
    centers: Any,
    *,
    X: Any = None,
    sizes: Any = None,
    feature_names: Sequence[str] | None = None,
    scale: str | None = "standard",
    ax: Axes | None = None,
) -> Axes:
    """Draw the profile of each cluster as a row of cells, one a feature.

    The number in a cell is the center, in the units of X; it is left out where cells are too many. The colour says how
    unusual it is: by default how far the center is from the mean of that feature, in standard deviations.

    Parameters
    ----------
    centers : KMeans, or array-like or DataFrame of shape (n_clusters, n_features)
        A fitted model, or its ``cluster_centers_``.
    X : array-like or DataFrame of shape (n_samples, n_features), optional
        The samples. With them mean and standard deviation are those of the samples, and a feature that tells clusters
        apart poorly stays pale; without, those of the centers.
    sizes : array-like of shape (n_clusters,), optional
        Number of samples of each cluster, to be shown beside its name. By default what the model's fit found.
    feature_names : sequence of str, optional
        Names of the columns. By default those of the model, of X or of centers, or "feature 0", "feature 1", ...
    scale : {"standard", None}, default="standard"
        None colours the centers as they are, by one scale for all features: for features that share a unit, or
        are standardised already.
    ax : matplotlib.axes.Axes, optional
        Where to draw. By default a new figure, reachable as ``ax.figure`` of the result.

    Returns
    -------
    matplotlib.axes.Axes
        Save the picture with ``ax.figure.savefig("centers.png")``.

    Raises
    ------
    ValueError
        If the shapes of the arguments do not fit together, or if scale is neither "standard" nor None.
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
    samples = None if X is None else as_matrix(X)
    values, names = _centers_and_names(centers, feature_names, samples)
    n_clusters, n_features = values.shape
    counts = _check_sizes(_sizes_of(centers) if sizes is None else sizes, n_clusters)
    if samples is not None and is_model(centers) and getattr(centers, "metric", "") == "cosine":
        samples = samples._replace(values=unit_rows(samples.values, np.float64))  # as the model measures them
    shown, unit = (values, "center, in the units of the features") if scale is None else _standardised(values, samples)

    ax = axes_or_new(ax, size=_figure_size(n_clusters, names))
    image = _draw_cells(ax, shown, unit, symmetric=scale is not None)
    if values.size <= MOST_CELLS:
        _write_numbers(ax, values, image)
    _name_rows(ax, counts)
    turned = max(map(len, names)) > 8 or n_features > 12
    ax.set_xticks(range(n_features), names, rotation=45 if turned else 0, ha="right" if turned else "center")
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return ax


def _centers_and_names(centers: Any, feature_names: Any, samples: Matrix | None) -> tuple[Floats, list[str]]:
    found = None
    if is_model(centers):
        check_is_fitted(centers, "plot_centers")
        found = getattr(centers, "feature_names_in_", None)
        centers = centers.cluster_centers_
    matrix = as_matrix(centers, name="centers")
    check_finite(matrix.values, "centers", matrix.feature_names)
    for names in (feature_names, found, matrix.feature_names, getattr(samples, "feature_names", None)):
        if names is not None:
            break
    return matrix.values.astype(np.float64), check_names(names, matrix.values.shape[1])


def _sizes_of(centers: Any) -> Indices | None:
    labels = getattr(centers, "labels_", None) if is_model(centers) else None
    return None if labels is None else np.bincount(labels, minlength=len(centers.cluster_centers_))


def _check_sizes(sizes: Any, n_clusters: int) -> list[str]:
    """Return the name of each cluster, with its size if that is known."""
    if sizes is None:
        return [f"cluster {label}" for label in range(n_clusters)]
    sizes = np.asarray(sizes)
    if sizes.shape != (n_clusters,):
        raise ValueError(f"sizes must have one number for each of {n_clusters} clusters; got shape {sizes.shape}.")
    return [f"cluster {label} ({size:,})" for label, size in enumerate(sizes.tolist())]


def _standardised(values: Floats, samples: Matrix | None) -> tuple[Floats, str]:
    """Return the centers as deviations from the mean, and the words for the colour bar."""
    population: Values = values
    whose = "centers"
    if samples is not None:
        check_finite(samples.values, "X", samples.feature_names)
        population, whose = samples.values, "samples"
        if population.shape[1] != values.shape[1]:
            raise ValueError(f"X must have the {values.shape[1]} features of centers; got shape {population.shape}.")
    mean = population.mean(axis=0, dtype=np.float64)
    deviation = population.std(axis=0, dtype=np.float64)
    # A constant feature deviates by rounding alone.
    constant = deviation <= 1e-12 * np.abs(mean)
    standardised = np.where(constant, 0.0, (values - mean) / np.where(constant, 1.0, deviation))
    return standardised, f"standard deviations\nof the {whose}\nfrom their mean"


def _figure_size(n_clusters: int, names: list[str]) -> tuple[float, float]:
    width = 3.4 + 0.62 * len(names)
    height = 1.2 + 0.36 * n_clusters + 0.05 * max(map(len, names))
    return float(np.clip(width, 5.5, 14)), float(np.clip(height, 3.6, 12))


def _draw_cells(ax: Axes, shown: Floats, unit: str, symmetric: bool) -> AxesImage:
    """Colour the cells, blue below the mean and red above, or light to dark."""
    style: dict[str, Any] = {"cmap": "cividis"}
    extend = "neither"
    if symmetric:
        largest = float(np.abs(shown).max())
        limit = min(max(largest, 1e-9), LARGEST_DEVIATION)
        style = {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit}
        extend = "both" if largest > LARGEST_DEVIATION else "neither"
    image = ax.imshow(shown, aspect="auto", interpolation="nearest", **style)
    ax.figure.colorbar(image, ax=ax, label=unit, extend=extend, fraction=0.05, pad=0.02)
    return image


def _write_numbers(ax: Axes, values: Floats, image: AxesImage) -> None:
    red_green_blue = image.to_rgba(np.asarray(image.get_array()))[..., :3]
    dark = red_green_blue @ [0.299, 0.587, 0.114] < 0.5
    fontsize = 9 if values.shape[1] <= 8 else 7.5
    for (j, f), value in np.ndenumerate(values):
        text = _short_number(value, float(np.abs(values[:, f]).max()))
        ax.text(f, j, text, ha="center", va="center", fontsize=fontsize, color="white" if dark[j, f] else INK)


def _short_number(value: float, largest: float) -> str:
    """Write a number with three digits of the largest of its column, so that a column lines up."""
    if largest == 0 or not 1e-3 <= largest < 1e6:
        return f"{value:.3g}"
    decimals = max(2 - int(np.floor(np.log10(largest))), 0)
    text = f"{value:,.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _name_rows(ax: Axes, counts: list[str]) -> None:
    named = some_clusters(len(counts), NAMED_CLUSTERS)
    fontsize = 10 if len(named) <= 20 else 7.5
    ax.set_yticks(named, [counts[label] for label in named], fontsize=fontsize)

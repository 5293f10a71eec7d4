"""The picture of an elbow sweep: a column of its table, the chosen k, and where the curve bends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, overload

import numpy as np

from ..metrics.table import METRICS
from ..types import Floats, Indices
from .colors import ACCENT, COLORS, on_background
from .parts import axes_or_new, declutter, new_figure, require_matplotlib, width_of, write_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..selection.result import ElbowResult


class Words(NamedTuple):
    """What the picture says about a column: the name of its axis, and which of its values is best, if any is."""

    axis: str
    best: str


COLUMNS = {
    "inertia": Words("inertia", ""),
    "explained_variance": Words("explained part of the variance", ""),
    "calinski_harabasz": Words("Calinski-Harabasz score", "highest"),
    "davies_bouldin": Words("Davies-Bouldin score", "lowest"),
    "simplified_silhouette": Words("mean simplified silhouette", "highest"),
    "silhouette": Words("mean silhouette", "highest"),
    "separation": Words("separation of the closest clusters", ""),
    "typical_separation": Words("median separation of the clusters", ""),
    "bic": Words("Bayesian information criterion", "highest"),
    "bend": Words("bend: slope before k over slope after it", "largest"),
    "gap": Words("gap statistic", "by the one-error rule"),
    "n_iter": Words("iterations over all samples", ""),
    "seconds": Words("seconds", ""),
}

ERRORS = {"silhouette": "silhouette_se", "gap": "gap_se"}
"""Columns that have a standard error, and the column that holds it."""

FROM_ZERO = ("inertia", "n_iter", "seconds")
"""Columns whose axis begins at 0, because how high a value is means something."""

ZERO_INERTIA = 1e-12
"""An inertia at most this part of the first one is rounding error, and has no logarithm."""

ABOVE = 14
"""How far above a bend its triangle is, in 1/72 inch: it stays clear of the ring of a chosen k."""

NARROW = 3.5
"""Inches. Narrower axes have shorter texts."""

TICK_INCHES = 0.28
"""Two ticks are at least so far apart: the width of three digits."""


@overload
def plot_elbow(
    result: ElbowResult[Any], metric: str = ..., *, title: str | None = ..., ax: Axes | None = ...
) -> Axes: ...


@overload
def plot_elbow(
    result: ElbowResult[Any],
    metric: list[str] | tuple[str, ...],
    *,
    title: str | None = ...,
    ax: Sequence[Axes] | None = ...,
) -> list[Axes]: ...


def plot_elbow(
    result: ElbowResult[Any],
    metric: str | list[str] | tuple[str, ...] = "inertia",
    *,
    title: str | None = None,
    ax: Any = None,
) -> Axes | list[Axes]:
    """Draw what an elbow sweep measured against k, with the chosen k and the bend of the inertia curve marked.

    The chosen k, ``result.best_k``, has a ring and a dashed line. The bend is where the inertia falls much slower than
    before, ``result.knees``; triangles mark it. The two may differ: these bends do not ask whether the clusters are real.
    The title says in how many of 100 resamples the choice comes out, ``result.confidence``, if in fewer than 90. It names the
    second best k then, ``result.runner_up``.

    A dotted curve shows the inertia of samples without clusters. With ``elbow(..., gap=True)`` it is that of uniform samples
    in the box around X. Without, it is the power of k that goes through both ends of the curve.

    Parameters
    ----------
    result : ElbowResult
        What :func:`elbow` returned.
    metric : str or list of str, default="inertia"
        The column of the table to draw: "inertia", "explained_variance", "calinski_harabasz", "davies_bouldin",
        "simplified_silhouette", "silhouette", "separation", "typical_separation", "bic", "bend", "gap", "n_iter" or "seconds".
        Several are drawn side by
        side, for example ``["inertia", "silhouette", "seconds"]``.
    title : str, optional
        The title. Which k was chosen, and where the curve bends, follow in smaller lines.
    ax : matplotlib.axes.Axes or sequence of them, optional
        Where to draw: as many axes as there are metrics. By default a new figure, reachable as ``ax.figure`` of the
        result.

    Returns
    -------
    matplotlib.axes.Axes or list of them
        A list if `metric` is one.

    Raises
    ------
    TypeError
        If `result` is not what :func:`elbow` returned.
    ValueError
        If there is no such column, if the sweep has no values in it, or if there are not as many axes as metrics.
    ImportError
        If matplotlib is missing.

    Examples
    --------
    >>> from fastkmeans import elbow, plot_elbow
    >>> X = [[0.0], [1.0], [2.0], [20.0], [21.0], [22.0], [40.0], [41.0], [42.0]]
    >>> ax = plot_elbow(elbow(X, k=6, random_state=3))
    >>> ax.get_title()
    'chosen: k = 3 (in ... of 100 resamples); the curve bends at k = 3'
    """
    require_matplotlib()
    if not hasattr(result, "best_k"):
        raise TypeError(f"result must be what elbow() returned; got {type(result).__name__}.")
    several = not isinstance(metric, str)
    metrics: list[str] = list(metric) if several else [str(metric)]
    for name in metrics:
        _check_column(result, name)
    axes = _axes_for(metrics, ax) if several else [axes_or_new(ax, size=(6.4, 4.4))]
    for name, one in zip(metrics, axes, strict=True):
        _draw_column(one, result, name)
    write_title(axes[0], title, _verdict(result, bend="inertia" in metrics))
    return axes if several else axes[0]


def _check_column(result: ElbowResult[Any], name: str) -> None:
    if name not in COLUMNS:
        raise ValueError(f"metric must be one of {', '.join(map(repr, COLUMNS))}; got {name!r}.")
    values = getattr(result, name)
    if values is None:
        raise ValueError(f"metric={name!r} needs a sweep with it: call elbow(X, gap=True).")
    if np.isnan(values).all():
        raise ValueError(f"metric={name!r} has no values in this sweep; draw another column.")


def _axes_for(metrics: list[str], given: Sequence[Axes] | None) -> list[Axes]:
    if not metrics:
        raise ValueError("metric must name at least one column; got none.")
    if given is not None:
        axes = list(np.ravel(np.asarray(given, dtype=object)))
        if len(axes) != len(metrics):
            raise ValueError(f"ax must be one for each of {len(metrics)} metrics; got {len(axes)}.")
        return axes
    return list(new_figure((4.6 * len(metrics), 4.0)).subplots(1, len(metrics), squeeze=False)[0])


def _draw_column(ax: Axes, result: ElbowResult[Any], name: str) -> None:
    from matplotlib import rcParams

    k, values = result.k, getattr(result, name)
    color = on_background(COLORS, ax)[0]
    if name == "seconds":
        ax.bar(k, values, width=0.7 * float(np.diff(k).min(initial=1)), color=color, label="search and fit")
    else:
        ax.plot(k, values, color=color, marker="o", markersize=6, linewidth=2, label=COLUMNS[name].axis)
    if name in ERRORS and (errors := getattr(result, ERRORS[name])) is not None and np.nansum(errors) > 0:
        ax.fill_between(
            k, values - errors, values + errors, color=color, alpha=0.25, linewidth=0, label="standard error"
        )
    if name == "inertia":
        _draw_unclustered(ax, result)
        _mark_bends(ax, result)
    elif COLUMNS[name].best and result.agreement.get(name) is not None:
        _mark_best(ax, result, name)
    if result.best_k is not None:
        _mark_chosen(ax, result.best_k, float(values[np.searchsorted(k, result.best_k)]), ring=name != "seconds")
    words = COLUMNS[name].axis
    ax.set_xlabel("number of clusters k")
    ax.set_ylabel(f"{words} (sum of {METRICS[result.metric].inertia})" if name == "inertia" else words)
    ax.set_xticks(_ticks(ax, k, result))
    ax.minorticks_off()
    if name in FROM_ZERO:
        ax.set_ylim(bottom=0)
    ax.grid(False, axis="x")
    ax.grid(True, axis="y", color=rcParams["grid.color"], linewidth=0.8, alpha=0.5)
    ax.set_axisbelow(True)
    declutter(ax)
    if name != "seconds":
        style: dict[str, Any] = {"frameon": True, "framealpha": 0.8, "edgecolor": "none"}
        style["fontsize"] = "small" if width_of(ax) >= NARROW else "x-small"
        # An inertia curve falls, and leaves this corner free.
        ax.legend(loc="upper right" if name == "inertia" else "best", **style)


def _draw_unclustered(ax: Axes, result: ElbowResult[Any]) -> None:
    """Draw the inertia that samples without clusters would have."""
    from matplotlib import rcParams

    curve, words = unclustered(result.k, result.inertia, result.gap)
    if curve is not None:
        color = rcParams["text.color"]
        ax.plot(result.k, curve, color=color, linestyle=":", linewidth=1.5, label=f"no clusters: {words}")


def unclustered(k: Indices, inertia: Floats, gap: Floats | None) -> tuple[Floats | None, str]:
    """Return the inertia of samples without clusters for each k, NaN or None where unknown, and what these are.

    R. Tibshirani, G. Walther and T. Hastie, "Estimating the number of clusters in a data set via the gap statistic",
    Journal of the Royal Statistical Society B 63(2), 2001: the gap is the logarithm of their inertia over that of X.
    """
    if gap is not None:
        return inertia * np.exp(gap), "uniform samples"
    known = np.flatnonzero(inertia > ZERO_INERTIA * inertia[0])
    if len(known) < 3:
        return None, ""
    first, last = known[0], known[-1]
    power = np.log(inertia[last] / inertia[first]) / np.log(k[last] / k[first])
    curve: Floats = inertia[first] * (k / k[first]) ** power
    curve[last + 1 :] = np.nan
    return curve, "a power of k"


def _mark_bends(ax: Axes, result: ElbowResult[Any]) -> None:
    """Put a triangle just above the curve where a criterion says that it bends."""
    from matplotlib.transforms import ScaledTranslation

    color = on_background(COLORS, ax)[6]
    above = ax.transData + ScaledTranslation(0, ABOVE / 72, ax.figure.dpi_scale_trans)
    style: dict[str, Any] = {"marker": "v", "markersize": 10, "linestyle": "none", "transform": above}
    for k, names in _bends(result).items():
        inertia = float(result.inertia[np.searchsorted(result.k, k)])
        words = f" ({' and '.join(names)})" if width_of(ax) >= NARROW else ""
        ax.plot([k], [inertia], color=color, label=f"bend: k = {k}{words}", **style)


def _bends(result: ElbowResult[Any]) -> dict[int, list[str]]:
    """Return, for each k at which the curve bends, the names of the criteria that say so."""
    found: dict[int, list[str]] = {}
    for name, k in result.knees.items():
        if k is not None:
            found.setdefault(k, []).append(name)
    return found


def _mark_best(ax: Axes, result: ElbowResult[Any], name: str) -> None:
    best = result.agreement[name]
    assert best is not None  # the caller asked
    value = float(getattr(result, name)[np.searchsorted(result.k, best)])
    style: dict[str, Any] = {"marker": "D", "markersize": 9, "linestyle": "none"}
    ax.plot([best], [value], color=on_background(COLORS, ax)[6], label=f"{COLUMNS[name].best}: k = {best}", **style)


def _mark_chosen(ax: Axes, best_k: int, value: float, ring: bool) -> None:
    color = on_background((ACCENT,), ax)[0]
    ax.axvline(best_k, color=color, linestyle="--", linewidth=1.3, zorder=0.9)
    if ring:
        style: dict[str, Any] = {"marker": "o", "markersize": 14, "markerfacecolor": "none", "markeredgewidth": 2.2}
        ax.plot([best_k], [value], color=color, linestyle="--", linewidth=1.3, label=f"chosen: k = {best_k}", **style)


def _verdict(result: ElbowResult[Any], bend: bool) -> list[str]:
    """Say which k was chosen, or why none, and where the curve bends."""
    where = f"; {_where_it_bends(result)}" if bend and _bends(result) else ""
    if result.best_k is not None:
        return [f"chosen: k = {result.best_k}{_doubt(result)}{where or ('; the curve does not bend' if bend else '')}"]
    still_apart = len(result.k) > 1 and result.agreement["separation"] == result.k[-1]
    apart = f"all clusters still apart at k = {result.k[-1]}: sweep further"
    return [f"no k chosen: {apart if still_apart else 'the samples look like one cloud'}{where}"]


def _doubt(result: ElbowResult[Any]) -> str:
    """Say how many resamples agree, and which k is the second best, if the choice is not firm."""
    if result.confidence is None or result.is_firm:
        return ""
    second = "" if result.runner_up is None else f"; next best: k = {result.runner_up}"
    return f" (in {round(100 * result.confidence)} of 100 resamples{second})"


def _where_it_bends(result: ElbowResult[Any]) -> str:
    """Say where the curve bends, and by which criterion if the criteria do not agree."""
    found = list(result.knees.items())
    if len({k for _, k in found}) == 1:
        return f"the curve bends at k = {found[0][1]}"
    return "bend " + ", ".join(f"by {name}: {'none' if k is None else f'k = {k}'}" for name, k in found)


def _ticks(ax: Axes, k: Indices, result: ElbowResult[Any]) -> list[int]:
    """Return the numbers of clusters that have a tick: of those that were tried, as many as have room."""
    wanted = [result.best_k, *_bends(result), int(k[0]), int(k[-1]), *k.tolist()]
    room = TICK_INCHES * float(k[-1] - k[0]) / max(width_of(ax), 0.1)
    ticks: list[int] = []
    for number in wanted:
        if number is not None and all(abs(number - other) >= room for other in ticks if other != number):
            ticks.append(number)
    return sorted(set(ticks))

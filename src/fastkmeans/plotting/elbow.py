"""The picture of an elbow sweep: its inertia curve, with the chosen k marked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..metrics.table import METRICS
from .parts import ACCENT, COLORS, axes_or_new, declutter, require_matplotlib

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..selection.result import ElbowResult


def plot_elbow(result: ElbowResult[Any], *, ax: Axes | None = None) -> Axes:
    """Draw the inertia curve of an elbow sweep, with the chosen k marked.

    Parameters
    ----------
    result : ElbowResult
        What :func:`elbow` returned.
    ax : matplotlib.axes.Axes, optional
        Where to draw. By default a new figure, reachable as ``ax.figure`` of the result.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ImportError
        If matplotlib is missing.

    Examples
    --------
    >>> from fastkmeans import elbow, plot_elbow
    >>> X = [[0.0], [1.0], [2.0], [20.0], [21.0], [22.0], [40.0], [41.0], [42.0]]
    >>> ax = plot_elbow(elbow(X, k=6, random_state=3))
    >>> ax.get_title()
    'elbow at k = 3'
    """
    require_matplotlib()
    from matplotlib.ticker import MaxNLocator

    if not hasattr(result, "best_k"):
        raise TypeError(f"result must be what elbow() returned; got {type(result).__name__}.")
    ax = axes_or_new(ax, size=(6.4, 4.4))
    ax.plot(result.k, result.inertia, color=COLORS[0], marker="o", markersize=6, linewidth=2, label="inertia")
    if result.best_k is None:
        still_apart = len(result.k) > 1 and result.agreement["separation"] == result.k[-1]
        apart = f"all clusters still apart at k = {result.k[-1]}: sweep further"
        ax.set_title(apart if still_apart else "no clear elbow")
    else:
        _mark_elbow(ax, result.best_k, float(result.inertia[np.searchsorted(result.k, result.best_k)]))
    ax.set_xlabel("number of clusters k")
    ax.set_ylabel(f"inertia (sum of {METRICS[result.metric].inertia})")
    ax.set_ylim(bottom=0)
    if len(result.k) > 1:
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=12))
    else:
        ax.set_xticks(result.k)
    ax.grid(axis="y", color="#d9d9d9", linewidth=0.8)
    declutter(ax)
    return ax


def _mark_elbow(ax: Axes, best_k: int, inertia: float) -> None:
    ax.axvline(best_k, color=ACCENT, linestyle="--", linewidth=1.3)
    ring: dict[str, Any] = {"marker": "o", "markersize": 13, "markerfacecolor": "none", "markeredgewidth": 2.2}
    ax.plot([best_k], [inertia], color=ACCENT, **ring)
    style: dict[str, Any] = {"color": ACCENT, "fontsize": 13, "fontweight": "bold"}
    ax.annotate(f"k = {best_k}", (best_k, inertia), xytext=(14, 22), textcoords="offset points", **style)
    ax.set_title(f"elbow at k = {best_k}")

"""Colours and markers of clusters, on any background, so that neighbours differ for any number of clusters."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..types import Floats, Indices

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Ten colours that stay apart with the common kinds of colour blindness.
# Petroff, "Accessible color sequences for data visualization", 2021, arXiv:2107.02270.
COLORS = (
    "#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6",
    "#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd",
)  # fmt: skip
ACCENT = "#bd1f01"

ALIKE = ((0, 4), (1, 6), (2, 5), (2, 6), (3, 5), (3, 8), (3, 9), (5, 7), (5, 8), (6, 7))
"""Pairs of them less than 30 apart in CIE L*a*b* for full sight, protanopia or deuteranopia. The least of all is 17.6."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X")

LEAST_CONTRAST = 3.5
"""Contrast of a colour with a dark background, by WCAG's ratio, below which the colour is lightened. At 3.5 the ten colours
are still 12.9 apart in CIE L*a*b* for the colour-blind (17.6 unlightened); at 4.5 only 6.9."""

DARK = 0.2
"""A background of at most this luminance is dark."""


class Mark(NamedTuple):
    """How the samples of one cluster look.

    color : a hexadecimal RGB colour.
    marker : one of matplotlib's.
    """

    color: str
    marker: str


def marks_of_clusters(positions: Floats, ax: Axes) -> list[Mark]:
    """Return the mark of each cluster.

    Up to ten clusters have a colour of their own. More share the ten colours: never do two neighbours in the plane, and
    clusters of one colour differ in their markers.

    positions : (n_clusters, 2), where the clusters are in the picture; a NaN where a cluster is not there.
    """
    n_clusters = len(positions)
    hues = np.arange(n_clusters) if n_clusters <= len(COLORS) else _spread_hues(positions)
    colors = on_background(COLORS, ax)
    used = [0] * len(COLORS)
    marks = []
    for hue in hues.tolist():
        marker = MARKERS[used[hue] % len(MARKERS)]
        used[hue] += 1
        marks.append(Mark(colors[hue], marker))
    return marks


def on_background(colors: tuple[str, ...], ax: Axes) -> list[str]:
    """Return the colours, lightened where the background of the axes is dark and has too little contrast with them."""
    background = luminance(background_of(ax))
    return list(colors) if background > DARK else [_lightened(color, background) for color in colors]


def background_of(ax: Axes) -> tuple[float, float, float]:
    """Return the RGB colour behind the axes: of the axes, of the figure where these are transparent, or white."""
    from matplotlib.colors import to_rgba

    root = ax.get_figure(root=True)
    for color in (ax.get_facecolor(), "white" if root is None else root.get_facecolor()):
        red, green, blue, alpha = to_rgba(color)
        if alpha > 0.5:
            return red, green, blue
    return 1.0, 1.0, 1.0


def ink_of(ax: Axes) -> str:
    """Return the colour of text within the axes: that of rcParams if it can be read there, else black or white."""
    from matplotlib import rcParams
    from matplotlib.colors import to_hex, to_rgb

    behind = luminance(background_of(ax))
    text: str = to_hex(rcParams["text.color"])
    if _contrast(luminance(to_rgb(text)), behind) >= LEAST_CONTRAST:
        return text
    return "white" if behind < DARK else "black"


def luminance(rgb: tuple[float, float, float]) -> float:
    """Relative luminance of an sRGB colour, 0 to 1: WCAG 2.2, "relative luminance"."""
    srgb = np.array(rgb)
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def _contrast(one: float, other: float) -> float:
    """WCAG's contrast ratio of two luminances, 1 to 21."""
    return (max(one, other) + 0.05) / (min(one, other) + 0.05)


def _lightened(color: str, background: float) -> str:
    from matplotlib.colors import to_hex, to_rgb

    rgb = np.array(to_rgb(color))
    for part in np.linspace(0.0, 1.0, 51):
        mixed = tuple((rgb * (1 - part) + part).tolist())
        if _contrast(luminance(mixed), background) >= LEAST_CONTRAST:
            break
    lightened: str = to_hex(mixed)
    return lightened


def _spread_hues(positions: Floats) -> Indices:
    """Return a hue per cluster that no neighbour has, and that few others near it have, or have one like it.

    Clusters are taken in the "smallest last" order, in which each has at most five earlier neighbours of the planar graph
    (D. Matula and L. Beck, Journal of the ACM 30(3), 1983). So ten hues always leave one.
    """
    neighbors = _neighbors(positions)
    near = [set().union(own, *(neighbors[other] for other in own)) for own in neighbors]
    alike = [{sum(pair) - hue for pair in ALIKE if hue in pair} for hue in range(len(COLORS))]
    hues = np.full(len(positions), -1)
    used = np.zeros(len(COLORS), dtype=np.int64)
    for j in _smallest_last(neighbors):
        taken = {int(hues[other]) for other in neighbors[j]}
        close = [int(hues[other]) for other in near[j] if hues[other] >= 0]
        free = [hue for hue in range(len(COLORS)) if hue not in taken]
        hues[j] = min(free, key=lambda hue: (len(alike[hue] & taken), close.count(hue), used[hue]))
        used[hues[j]] += 1
    return hues


def _neighbors(positions: Floats) -> list[set[int]]:
    """Return the neighbours of each cluster in the Delaunay triangulation of the positions.

    Where there is none, as on a line, they are the next in order.
    """
    from matplotlib.tri import Triangulation

    neighbors: list[set[int]] = [set() for _ in positions]
    there = np.flatnonzero(np.isfinite(positions).all(axis=1))
    # Positions that coincide have no triangulation: one of each stands for its group.
    places, groups = np.unique(positions[there], axis=0, return_inverse=True)
    groups = groups.reshape(-1)
    first = there[np.unique(groups, return_index=True)[1]]
    try:
        edges = Triangulation(places[:, 0], places[:, 1]).edges
    except (RuntimeError, ValueError):
        edges = np.column_stack([np.arange(len(places) - 1), np.arange(1, len(places))])
    for one, other in first[edges].tolist():
        neighbors[one].add(other)
        neighbors[other].add(one)
    for cluster, group in zip(there.tolist(), first[groups].tolist(), strict=True):
        if cluster != group:
            neighbors[cluster].add(group)
            neighbors[group].add(cluster)
    return neighbors


def _smallest_last(neighbors: list[set[int]]) -> list[int]:
    """Return the clusters in an order in which each has few earlier neighbours."""
    degrees = [len(own) for own in neighbors]
    waiting: list[set[int]] = [set() for _ in range(max(degrees, default=0) + 1)]
    for j, degree in enumerate(degrees):
        waiting[degree].add(j)
    order: list[int] = []
    removed: set[int] = set()
    for _ in neighbors:
        degree = next(degree for degree, group in enumerate(waiting) if group)
        j = min(waiting[degree])
        waiting[degree].remove(j)
        order.append(j)
        removed.add(j)
        for other in neighbors[j] - removed:
            waiting[degrees[other]].remove(other)
            degrees[other] -= 1
            waiting[degrees[other]].add(other)
    return order[::-1]

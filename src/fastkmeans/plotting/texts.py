"""Texts beside places of a picture, that cover neither each other nor small data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..types import Floats
from .colors import background_of, ink_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Annotation

DIRECTIONS = ((1, 1), (-1, 1), (1, -1), (-1, -1), (1, 0), (-1, 0), (0, 1), (0, -1))
"""Where a text may stand beside its place, the best first."""

DIAGONAL = 0.7
"""A text in a diagonal direction is so much nearer along both axes."""

MOST_SPARED = 500
"""So many samples, at most, are spared by texts; more could not be."""

ZORDER = 4.0


class Group(NamedTuple):
    """Texts that were written together.

    places : (n_texts, 2), in data coordinates.
    radius : of what is drawn at each place, in the unit of font sizes, 1/72 inch.
    spared : (n, 2), samples that the texts cover only where they must.
    """

    texts: list[Annotation]
    places: Floats
    radius: float
    spared: Floats


def write_beside(
    ax: Axes, places: Floats, texts: Sequence[str], radius: float, *, spared: Floats, **style: Any
) -> list[Annotation]:
    """Write a text beside each place; those that would cover another one are left out.

    Where each stands is decided whenever the picture is drawn, because layouts and zooming move the places. Texts that
    were written into the same axes before have precedence.

    places, radius, spared : see Group.
    style : of matplotlib's Text.
    """
    from matplotlib.patheffects import withStroke

    halo = [withStroke(linewidth=2.5, foreground=background_of(ax))]
    written = [
        ax.annotate(
            text, place, xytext=(radius, radius), textcoords="offset points", path_effects=halo,
            color=ink_of(ax), zorder=ZORDER, annotation_clip=True, **style,
        )
        for text, place in zip(texts, places.tolist(), strict=True)
    ]  # fmt: skip
    for text in written:
        text.set_in_layout(False)
    _groups_of(ax).append(Group(written, places, radius, spared[:MOST_SPARED]))
    return written


def _groups_of(ax: Axes) -> list[Group]:
    """Return the list of groups that are arranged when the axes are drawn."""
    from matplotlib.artist import Artist

    class Arranger(Artist):
        """Draws nothing itself: it is drawn just before the texts, to place them."""

        groups: list[Group]

        def draw(self, renderer: Any) -> None:
            _arrange(ax, self.groups, renderer)

    for child in ax.get_children():
        found: list[Group] | None = getattr(child, "groups", None)
        if type(child).__name__ == Arranger.__name__ and found is not None:
            return found
    arranger = Arranger()
    arranger.groups = []
    arranger.set_zorder(ZORDER - 0.01)
    arranger.set_in_layout(False)
    ax.add_artist(arranger)
    return arranger.groups


def _arrange(ax: Axes, groups: list[Group], renderer: Any) -> None:
    """Give each text the first free direction that covers the fewest samples, or hide it if none is free."""
    pixels = renderer.points_to_pixels(1.0)
    frame = ax.get_window_extent(renderer)
    edges = np.array([frame.x0, frame.y0, frame.x1, frame.y1])
    anchors = [ax.transData.transform(group.places) for group in groups]
    reaches = [group.radius * pixels for group in groups]
    taken = np.vstack([_around(*mark) for mark in zip(anchors, reaches, strict=True)])
    own = 0
    for group, places, reach in zip(groups, anchors, reaches, strict=True):
        samples = ax.transData.transform(group.spared) if len(group.spared) else np.empty((0, 2))
        for text, place in zip(group.texts, places, strict=True):
            text.set_visible(True)
            extent = text.get_window_extent(renderer)
            others = np.delete(taken, own, axis=0)  # a text may touch what it stands beside
            own += 1
            best = _best_direction(place, np.array([extent.width, extent.height]), reach, edges, others, samples)
            text.set_visible(best is not None)
            if best is not None:
                _put(text, best, group.radius)
                extent = text.get_window_extent(renderer)
                taken = np.vstack([taken, [extent.x0, extent.y0, extent.x1, extent.y1]])


def _around(places: Floats, reach: float) -> Floats:
    """Return left, bottom, right and top of what is drawn at each place."""
    return np.column_stack([places - reach, places + reach])


def _best_direction(
    place: Floats, size: Floats, reach: float, edges: Floats, others: Floats, samples: Floats
) -> tuple[int, int] | None:
    """Return the direction for a text of a size in which it is within the edges, off the others, and over fewest samples."""
    fewest, best = len(samples) + 1, None
    for direction in DIRECTIONS:
        along = DIAGONAL if all(direction) else 1.0
        middle = place + np.array(direction) * (along * reach + size / 2)
        low, high = middle - size / 2, middle + size / 2
        inside = (edges[:2] <= low).all() and (high <= edges[2:]).all()
        if inside and not ((others[:, :2] < high) & (low < others[:, 2:])).all(axis=1).any():
            covered = int(((samples >= low) & (samples <= high)).all(axis=1).sum())
            if covered < fewest:
                fewest, best = covered, direction
    return best


def _put(text: Annotation, direction: tuple[int, int], radius: float) -> None:
    across, up = direction
    along = DIAGONAL * radius if across and up else radius
    text.set_position((across * along, up * along))
    text.set_horizontalalignment(("right", "center", "left")[across + 1])
    text.set_verticalalignment(("top", "center", "bottom")[up + 1])

"""Texts beside places of a picture, that cover neither each other nor small data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..types import Floats

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Annotation

DIRECTIONS = ((1, 1), (-1, 1), (1, -1), (-1, -1), (1, 0), (-1, 0), (0, 1), (0, -1))
"""Where a text may stand beside its place, the best first."""

MOST_SPARED = 500
"""So many samples, at most, are spared by texts; more could not be."""


def write_beside(
    ax: Axes, places: Floats, texts: Sequence[str], radius: float, *, spared: Floats, zorder: float, **style: Any
) -> list[Annotation]:
    """Write a text beside each place; those that would cover another one are left out.

    Where each stands is decided whenever the picture is drawn, because layouts and zooming move the places.

    places : (n_texts, 2), in data coordinates.
    radius : of what is drawn at each place, in the unit of font sizes, 1/72 inch.
    spared : (n, 2), samples that texts cover only where they must.
    style : of matplotlib's Text.
    """
    from matplotlib.artist import Artist
    from matplotlib.backend_bases import RendererBase
    from matplotlib.patheffects import withStroke

    from .colors import background_of, ink_of

    halo = [withStroke(linewidth=2.5, foreground=background_of(ax))]
    written = [
        ax.annotate(
            text, place, xytext=(radius, radius), textcoords="offset points", path_effects=halo,
            color=ink_of(ax), zorder=zorder, annotation_clip=True, **style,
        )
        for text, place in zip(texts, places.tolist(), strict=True)
    ]  # fmt: skip
    for text in written:
        text.set_in_layout(False)
    spared = spared[:MOST_SPARED]

    class Arranger(Artist):
        """Is drawn just before the texts, and draws nothing itself."""

        def draw(self, renderer: RendererBase) -> None:
            _arrange(ax, written, places, radius, spared, renderer)

    arranger = Arranger()
    arranger.set_zorder(zorder - 0.01)
    arranger.set_in_layout(False)
    ax.add_artist(arranger)
    return written


def _arrange(ax: Axes, written: list[Annotation], places: Floats, radius: float, spared: Floats, renderer: Any) -> None:
    """Give each text the first free direction that covers the fewest samples, or hide it if none is free."""
    pixels = renderer.points_to_pixels(1.0)
    anchors = ax.transData.transform(places)
    samples = ax.transData.transform(spared) if len(spared) else np.empty((0, 2))
    frame = ax.get_window_extent(renderer)
    reach = radius * pixels
    marks = np.column_stack([anchors - 0.7 * reach, anchors + 0.7 * reach])
    taken = np.empty((0, 4))
    for i, (text, anchor) in enumerate(zip(written, anchors, strict=True)):
        text.set_visible(True)
        extent = text.get_window_extent(renderer)
        size = np.array([extent.width, extent.height])
        others = np.vstack([taken, np.delete(marks, i, axis=0)])
        best = None
        for direction in DIRECTIONS:
            box = _box(anchor, size, np.array(direction), reach)
            inside = frame.x0 <= box[0] and box[2] <= frame.x1 and frame.y0 <= box[1] and box[3] <= frame.y1
            if inside and not _overlaps(box, others):
                covered = int(((samples >= box[:2]) & (samples <= box[2:])).all(axis=1).sum())
                if best is None or covered < best[0]:
                    best = covered, direction, box
        shown = frame.contains(*anchor) and best is not None
        text.set_visible(shown)
        if shown and best is not None:
            _put(text, best[1], radius)
            taken = np.vstack([taken, best[2]])


def _box(anchor: Floats, size: Floats, direction: Floats, reach: float) -> Floats:
    """Return left, bottom, right and top of a text that stands beside its anchor."""
    along = 0.7 if direction.all() else 1.0  # a diagonal is longer than its sides
    middle = anchor + direction * (along * reach + size / 2)
    return np.concatenate([middle - size / 2, middle + size / 2])


def _overlaps(box: Floats, others: Floats) -> bool:
    apart = (others[:, 0] >= box[2]) | (others[:, 2] <= box[0]) | (others[:, 1] >= box[3]) | (others[:, 3] <= box[1])
    return not bool(apart.all())


def _put(text: Annotation, direction: tuple[int, int], radius: float) -> None:
    across, up = direction
    along = 0.7 * radius if across and up else radius
    text.set_position((across * along, up * along))
    text.set_horizontalalignment(("right", "center", "left")[across + 1])
    text.set_verticalalignment(("top", "center", "bottom")[up + 1])

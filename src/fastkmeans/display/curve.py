"""A small curve as inline SVG."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from .html import Markup
from .words import short_number

_WIDTH, _HEIGHT = 300, 190
_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 14, 22, 34
_MOST_TICKS = 10


def curve(
    xs: Sequence[int], ys: Sequence[float], *, chosen: int | None, x_name: str, y_name: str, bend: int | None = None
) -> Markup:
    """Return a curve over whole numbers, from 0 up to the largest value, with one of its dots chosen, and one ringed.

    xs : ascending.   ys : finite, not negative.   chosen : one of xs, or None.   bend : the x of the ring, or None.
    """
    largest = max(ys) or 1.0
    width, height = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM
    across = [_LEFT + width * ((x - xs[0]) / (xs[-1] - xs[0]) if len(xs) > 1 else 0.5) for x in xs]
    down = [_TOP + height * (1.0 - y / largest) for y in ys]
    floor = _TOP + height
    parts = [f'<line class="axis" x1="{_LEFT}" y1="{floor}" x2="{_WIDTH - _RIGHT}" y2="{floor}"/>']
    parts += [_text(_LEFT - 6, y, short_number(value), "end") for value, y in ((largest, _TOP + 4), (0.0, floor + 4))]
    parts.append(_text(_LEFT, 11, y_name, "start"))
    parts.append(_text(_LEFT + width / 2, _HEIGHT - 3, x_name, "middle"))
    step = -(-len(xs) // _MOST_TICKS)
    ticks = {i for i in range(0, len(xs), step) if chosen is None or _apart(xs, i, chosen) >= step}
    parts += [_text(across[i], floor + 15, str(xs[i]), "middle") for i in sorted(ticks) if xs[i] != chosen]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(across, down, strict=True))
    parts.append(f'<path class="curve" d="M{path}"/>')
    for x, left, top in zip(xs, across, down, strict=True):
        if x == chosen:
            parts.append(f'<circle class="chosen" cx="{left:.1f}" cy="{top:.1f}" r="5.5"/>')
            parts.append(_text(left, floor + 15, str(x), "middle", "chosen"))
        elif x == bend:
            parts.append(f'<circle class="bend" cx="{left:.1f}" cy="{top:.1f}" r="5"/>')
        elif step == 1:
            parts.append(f'<circle class="dot" cx="{left:.1f}" cy="{top:.1f}" r="3"/>')
    label = escape(f"{y_name} by {x_name}")
    shape = f'width="{_WIDTH}" height="{_HEIGHT}" viewBox="0 0 {_WIDTH} {_HEIGHT}"'
    return Markup(f'<svg {shape} role="img" aria-label="{label}">{"".join(parts)}</svg>')


def _apart(xs: Sequence[int], i: int, chosen: int) -> int:
    """How many places a dot lies from the chosen one."""
    return abs(i - list(xs).index(chosen))


def _text(x: float, y: float, text: str, anchor: str, kind: str = "") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'

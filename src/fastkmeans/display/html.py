"""HTML for notebooks: boxes, tables and bars that need nothing from elsewhere and follow light and dark schemes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from html import escape
from typing import Any

# Colours have the same names in both schemes. A contrast of 4.5 or more of ink, muted and accent against ground and band.
_STYLE = """
.fastkmeans{--ink:#1a1a1a;--muted:#5f6368;--ground:#ffffff;--line:#d9dce0;--band:#fdf3dd;--bar:#3f90da;--accent:#bd1f01;
color:var(--ink);background:var(--ground);border:1px solid var(--line);border-radius:6px;padding:10px 14px;
display:inline-block;max-width:100%;box-sizing:border-box;overflow-x:auto;font:13px/1.45 system-ui,sans-serif}
@media (prefers-color-scheme:dark){.fastkmeans{--ink:#e8eaed;--muted:#a5abb3;--ground:#1c1e21;--line:#42464b;--band:#3a3118;
--bar:#5ba3e6;--accent:#ff8a70}}
.fastkmeans .title{font-weight:600;margin:0 0 6px}
.fastkmeans .note{color:var(--muted);margin:8px 0 4px;max-width:70ch}
.fastkmeans .state{color:var(--muted);font-weight:400;margin-left:8px}
.fastkmeans .side{display:flex;flex-wrap:wrap;gap:18px;align-items:flex-start}
.fastkmeans table{border-collapse:collapse;margin:0;border:0;color:inherit;background:none;font-size:inherit}
.fastkmeans tr,.fastkmeans tbody tr:nth-child(odd){background:none}
.fastkmeans th,.fastkmeans td{padding:2px 10px 2px 0;text-align:left;border:0;border-bottom:1px solid var(--line);
vertical-align:top;color:inherit;white-space:nowrap}
.fastkmeans td.text{white-space:normal;max-width:46ch;text-align:left}
.fastkmeans th{font-weight:600;color:var(--muted)}
.fastkmeans .number{text-align:right;font-variant-numeric:tabular-nums}
.fastkmeans tbody tr.marked,.fastkmeans tbody tr.marked:nth-child(odd){background:var(--band)}
.fastkmeans tr.marked td{font-weight:600}
.fastkmeans .bar{display:inline-block;height:8px;background:var(--bar);border-radius:2px}
.fastkmeans .share{display:inline-block;min-width:4.2em;padding-right:8px;text-align:right;box-sizing:border-box;
font-variant-numeric:tabular-nums}
.fastkmeans svg{display:block;max-width:100%;height:auto}
.fastkmeans svg text{fill:var(--muted);font:11px system-ui,sans-serif}
.fastkmeans svg .axis{stroke:var(--line)}
.fastkmeans svg .curve{fill:none;stroke:var(--bar);stroke-width:2}
.fastkmeans svg .dot{fill:var(--bar)}
.fastkmeans svg .bend{fill:var(--ground);stroke:var(--bar);stroke-width:2}
.fastkmeans svg .chosen{fill:var(--accent)}
.fastkmeans svg text.chosen{font-weight:600}
"""


class Markup(str):
    """HTML that is ready, and is not escaped again."""


def box(title: str, *parts: str, state: str = "") -> str:
    """Return a box with a title and parts of HTML below.

    title, state : text.
    """
    said = f'<span class="state">{escape(state)}</span>' if state else ""
    heading = f'<div class="title">{escape(title)}{said}</div>'
    return f'<div class="fastkmeans"><style>{_STYLE}</style>{heading}{"".join(parts)}</div>'


def note(text: str) -> Markup:
    """Return a line of small print."""
    return Markup(f'<div class="note">{escape(text)}</div>')


def beside(*parts: str) -> Markup:
    """Return parts of HTML side by side, below each other where there is no room."""
    return Markup(f'<div class="side">{"".join(f"<div>{part}</div>" for part in parts)}</div>')


def bar(share: float, text: str) -> Markup:
    """Return a text and, right of it, a bar of a share of 72 pixels."""
    style = f"width:{72 * share:.0f}px"
    return Markup(f'<span class="share">{escape(text)}</span><span class="bar" style="{style}"></span>')


def table(
    headings: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    numbers: Collection[int] = (),
    marked: int | None = None,
    n_rows: int = 0,
) -> Markup:
    """Return a table.

    numbers : the columns that hold numbers, which end at the right.   marked : the row that stands out.
    n_rows : of the whole table, if not all are shown.
    """
    kinds = ["number" if column in numbers else "text" for column in range(len(headings))]
    head = "".join(f'<th class="{kind}">{escape(text)}</th>' for kind, text in zip(kinds, headings, strict=True))
    body = []
    for i, row in enumerate(rows):
        cells = "".join(f'<td class="{kind}">{_cell(value)}</td>' for kind, value in zip(kinds, row, strict=True))
        body.append(f'<tr class="marked">{cells}</tr>' if i == marked else f"<tr>{cells}</tr>")
    rest = note(f"and {n_rows - len(body):,} more") if n_rows > len(body) else ""
    return Markup(f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table>{rest}")


def _cell(value: Any) -> str:
    return value if isinstance(value, Markup) else escape(str(value))

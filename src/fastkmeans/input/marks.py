"""Numbers that are written with a mark, of percent or of a currency: "21.9 %", "€ 12,50", "1,234.50 $"."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from ..types import Floats
from .numbers import MISSING, NumberFormat, choose_format, gather_evidence

_MARK = "[%‰$€£¥₹₩₽₺₴₪฿₫₱₦¢]|AUD|CAD|CHF|CNY|CZK|DKK|EUR|GBP|INR|JPY|NOK|PLN|SEK|USD"
_HAS_MARK = re.compile(_MARK)
_MARKED = re.compile(rf"\s*([+-]?)({_MARK})?\s?([+-]?[0-9.,][0-9., '\u00a0\u202f]*?)\s?({_MARK})?\s*")
_WORDS = {"%": "percent", "‰": "per mille"}


class Marked(NamedTuple):
    """A number as a text without its mark, and the mark."""

    number: str
    mark: str


def split_mark(field: str) -> Marked | None:
    """Take the mark off a number, None if the field is no number with one mark."""
    if not _HAS_MARK.search(field):
        return None
    found = _MARKED.fullmatch(field)
    if found is None or (found[2] is None) == (found[4] is None) or (found[1] and found[3][0] in "+-"):
        return None
    return Marked(found[1] + found[3], found[2] or found[4])


def without_mark(field: str) -> str:
    """Return the number that a field holds without its mark; the field as it is if it has none."""
    marked = split_mark(field)
    return field if marked is None else marked.number


def common_mark(fields: Iterable[str]) -> str:
    """Return the mark that every field has; "" if there are no fields, or not all have the same."""
    mark = ""
    for field in fields:
        marked = split_mark(field)
        if marked is None or mark not in ("", marked.mark):
            return ""
        mark = marked.mark
    return mark


def in_words(mark: str) -> str:
    """Return how a message says what a column with this mark was read as."""
    return _WORDS.get(mark, mark)


def parse_marked(field: str, mark: str, numbers: NumberFormat) -> float:
    """Return the number in a field, NaN if its value is missing; raise ValueError if it is none with this mark."""
    if field.strip() in MISSING:
        return float("nan")
    marked = split_mark(field)
    if marked is None or marked.mark != mark:
        raise ValueError(f"not a number with {mark}")
    return numbers.parse(marked.number)


def read_marked(fields: Sequence[str | None]) -> tuple[str, Floats] | None:
    """Read texts as numbers if all have the same mark, None and signs of missing values as NaN.

    Returns the mark and the numbers, (n_fields,); None if marks differ, or nothing tells how the numbers are written.
    """
    known = [field for field in fields if field is not None and field.strip() not in MISSING]
    mark = common_mark(known)
    if not mark:
        return None
    try:
        numbers, _ = choose_format(gather_evidence(map(without_mark, known)), None, None, False, "")
        values = [np.nan if field is None else parse_marked(field, mark, numbers) for field in fields]
    except ValueError:
        return None
    return mark, np.array(values)

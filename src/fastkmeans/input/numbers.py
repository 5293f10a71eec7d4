"""How text writes numbers: decimal point or comma, thousands separators, missing values."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import NamedTuple

MISSING = frozenset(["", *"NA <NA> N/A n/a N.A. n.a. #N/A NaN nan NAN NaT null NULL None - ?".split()])
"""What a field holds where a value is missing, spaces around it apart."""

BOOLEANS = {"true": 1.0, "false": 0.0, "True": 1.0, "False": 0.0, "TRUE": 1.0, "FALSE": 0.0}

WHOLE = re.compile(r"\s*[+-]?[0-9]+\s*")
SIGNED = re.compile(r"\s*([^\w\s]|[A-Z]{3})?\s?[+-]?[0-9][0-9.,' ]*\s?([^\W\d_]{0,3}|[^\w\s])\s*")
"""A number with a sign of percent, of a currency or of a unit."""
SIGNED_CONTENTS = "numbers with a sign or a unit, for example {!r}; write the numbers alone"
"""What a message says of a column of these that cannot be read."""

DATE = re.compile(
    r"\s*([0-9]{4}[-/.][0-9]{1,2}[-/.][0-9]{1,2}|[0-9]{1,2}[-/.][0-9]{1,2}[-/.]([0-9]{4}|[0-9]{2}))([T ]+[0-9]{1,2}:[0-9]{2}.*)?\s*"
)

_OTHERS = " '\u00a0\u202f"
"""Thousands separators that can be nothing else: spaces, the narrow ones too, and Switzerland's apostrophe."""
_GROUPED = r"[+-]?[0-9]{{1,3}}(?:{0}[0-9]{{3}}){1}"


class NumberFormat(NamedTuple):
    """How the numbers of a file are written.

    decimal : "." or ",". thousands : the separators that may stand between groups of three digits; "" for none.
    """

    decimal: str = "."
    thousands: str = ""

    def parse(self, field: str) -> float:
        """Return the number that a field holds, NaN if its value is missing; raise ValueError if it holds neither.

        Python's own float() also takes 1_0, and the digits of every script.
        """
        text = field.strip()
        if text in MISSING:
            return math.nan
        if self.decimal != "." or self.thousands:
            text = self._in_plain_digits(text)
        if "_" in text or not text.isascii():
            raise ValueError("not a number")
        return float(text)

    def is_number(self, field: str) -> bool:
        try:
            return math.isfinite(self.parse(field))
        except ValueError:
            return False

    def say_how_to_read(self, field: str) -> str:
        """Name the options that read a field which is a number in another format; "" if none does."""
        for decimal, thousands in ((",", ""), (".", ""), (".", ","), (",", ".")):
            if NumberFormat(decimal, thousands).is_number(field):
                options = f"--decimal {decimal}" + (f" --thousands {thousands}" if thousands else "")
                return f"; {options} reads it, if all numbers are written so"
        return ""

    def _in_plain_digits(self, text: str) -> str:
        if self.thousands:
            whole, point, rest = text.partition(self.decimal)
            separator = f"[{re.escape(self.thousands)}]"
            if re.search(separator, whole):
                if not re.fullmatch(_GROUPED.format(separator, "+"), whole):
                    raise ValueError("not a number")
                text = re.sub(separator, "", whole) + point + rest
        if self.decimal != ".":
            if "." in text:
                raise ValueError("not a number")
            text = text.replace(self.decimal, ".")
        return text


class Evidence(NamedTuple):
    """What the fields of a file say about its numbers: an example of each way to write them, None if there is none."""

    decimal_point: str | None
    decimal_comma: str | None
    thousands_point: str | None
    thousands_comma: str | None
    thousands_other: str | None
    unclear_point: str | None
    unclear_comma: str | None


_DIGITS = r"[+-]?[0-9]+"
_PATTERNS = {  # the first that fits decides; 1,234 may be either, and 0,123 or 1234,567 is a decimal comma
    "thousands_comma": re.compile(rf"{_GROUPED.format(',', '+')}\.[0-9]*|{_GROUPED.format(',', '{2,}')}"),
    "thousands_point": re.compile(rf"{_GROUPED.format('[.]', '+')},[0-9]*|{_GROUPED.format('[.]', '{2,}')}"),
    "thousands_other": re.compile(rf"{_GROUPED.format(f'[{_OTHERS}]', '+')}(?:[.,][0-9]*)?"),
    "unclear_comma": re.compile(r"[+-]?[1-9][0-9]{0,2},[0-9]{3}"),
    "unclear_point": re.compile(r"[+-]?[1-9][0-9]{0,2}\.[0-9]{3}"),
    "decimal_comma": re.compile(rf"(?:{_DIGITS},[0-9]*|[+-]?,[0-9]+)(?:[eE][+-]?[0-9]+)?"),
    "decimal_point": re.compile(rf"(?:{_DIGITS}\.[0-9]*|[+-]?\.[0-9]+)(?:[eE][+-]?[0-9]+)?"),
}


_PLAIN = re.compile(r"[+-]?[0-9]*\.?[0-9]*(?:[eE][+-]?[0-9]+)?")


def gather_evidence(fields: Iterable[str]) -> Evidence:
    """Look at fields, one after the other, for how their numbers are written."""
    found: dict[str, str] = {}
    for field in fields:
        text = field.strip()
        if "decimal_point" in found and _PLAIN.fullmatch(text):  # most fields of most files
            continue
        kind = next((kind for kind, pattern in _PATTERNS.items() if pattern.fullmatch(text)), None)
        if kind is not None:
            found.setdefault(kind, text)
            if kind == "thousands_other":
                found.setdefault("decimal_comma" if "," in text else "decimal_point" if "." in text else kind, text)
    return Evidence(*(found.get(kind) for kind in Evidence._fields))


def choose_format(
    evidence: Evidence, decimal: str | None, thousands: str | None, comma_is_delimiter: bool, path: str
) -> tuple[NumberFormat, list[str]]:
    """Decide how numbers are written, from options and from evidence.

    decimal, thousands : the options; None to look.
    Returns the format, and notes on what was decided where the evidence allows two readings.
    Raises ValueError if nothing tells whether a comma is a decimal comma.
    """
    is_told = decimal is not None
    if decimal is None:
        comma = evidence.decimal_comma or evidence.thousands_point
        point = evidence.decimal_point or evidence.thousands_comma
        if evidence.unclear_comma and not (comma or point or thousands):
            value = evidence.unclear_comma
            raise ValueError(
                f"{path}: {value!r} is {value.replace(',', '.')} with a decimal comma and {value.replace(',', '')} with a thousands "
                "separator; say --decimal , or --thousands ,"
            )
        decimal = "," if (comma and not point) or thousands == "." else "."
    notes = []
    if thousands is None:
        thousands = _thousands(evidence, decimal)
        unclear = evidence.unclear_point
        if (
            unclear
            and decimal == "."
            and not (is_told or evidence.decimal_point or evidence.thousands_comma or comma_is_delimiter)
        ):
            notes.append(
                f"{path}: {unclear!r} was read as a number with a decimal point; --thousands . reads it as {unclear.replace('.', '')}"
            )
    if thousands == decimal:
        raise ValueError(f"--decimal and --thousands must differ; both are {decimal!r}.")
    return NumberFormat(decimal, thousands), notes


def _thousands(evidence: Evidence, decimal: str) -> str:
    """Return the thousands separators that the evidence shows, beside this decimal separator."""
    found = ""
    if decimal == "." and (evidence.thousands_comma or evidence.unclear_comma):
        found += ","
    if decimal == "," and (evidence.thousands_point or evidence.unclear_point):
        found += "."
    return found + (_OTHERS if evidence.thousands_other else "")

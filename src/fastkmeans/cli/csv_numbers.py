"""The numbers of a CSV file, read quickly, and the line that is wrong when one is.

pyarrow reads the numbers if it is there, else NumPy where all fields are plain numbers. A file that they refuse is read
again record by record, which names the line; so is every file with thousands separators.
"""

from __future__ import annotations

import codecs
import math
import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain, islice
from typing import Any, NoReturn

import numpy as np

from ..input.columns import LISTED
from ..input.marks import common_mark, parse_marked
from ..input.numbers import BOOLEANS, MISSING
from ..types import Floats
from .csv_layout import Layout, Record


def read_numbers(layout: Layout, places: Sequence[int]) -> list[Floats]:
    """Read the columns at these places, each a float64 array of shape (n_samples,), NaN where a value is missing.

    Raises ValueError, naming the line, if a record has too many or too few fields, or a field holds neither a finite number nor
    a sign of a missing value.
    """
    if not places:
        return []
    has_marks = any(layout.contents[place].mark for place in places)
    columns = None if has_marks else _read_quickly(layout, places)
    if columns is None:
        numbers = chain.from_iterable(_rows(layout, places))
        columns = list(np.fromiter(numbers, dtype=np.float64).reshape(-1, len(places)).T)
    if not len(columns[0]):
        raise ValueError(f"{layout.path} has no samples, only a header.")
    return columns


def _read_quickly(layout: Layout, places: Sequence[int]) -> list[Floats] | None:
    """Read the numbers by pyarrow or by NumPy; return None if neither does, and the records must tell what is wrong, if anything."""
    for read in (_read_with_pyarrow, _read_with_numpy):
        try:
            columns = read(layout, places)
        except MemoryError:
            raise
        except ImportError:
            continue
        except Exception:
            return None
        return None if any(np.isinf(column).any() for column in columns) else columns
    return None


def is_plain(layout: Layout) -> bool:
    """Say whether pyarrow can read the file: no thousands separators, no runs of spaces, no second byte order mark."""
    if layout.numbers.thousands or bytes(layout.text.content[:3]) == codecs.BOM_UTF8:
        return False
    return layout.delimiter != " " or re.search(rb"  |^ | $| \r", layout.text.content, re.MULTILINE) is None


def places_of_other_marks(layout: Layout, places: Sequence[int]) -> set[int]:
    """Return which of the columns whose first numbers have a mark hold something else further down."""
    marked = [place for place in places if layout.contents[place].mark]
    others: set[int] = set()
    for record in layout.records() if marked else ():
        for place in marked:
            field = record.fields[place] if place < len(record.fields) else ""
            if field.strip() not in MISSING and common_mark([field]) != layout.contents[place].mark:
                others.add(place)
    return others


def say_missing(layout: Layout, row: int, place: int) -> str:
    """Say in a sentence where a value is missing: in this row after the header, in the column at this place."""
    record = next(islice(layout.records(), row, None))
    value = record.fields[place].strip()
    contents = f"holds {value!r}" if value else "is empty"
    return f"{layout.path}, line {record.line}: column {layout.names[place]!r} {contents}."


def _read_with_pyarrow(layout: Layout, places: Sequence[int]) -> list[Floats]:
    import pyarrow
    import pyarrow.csv

    if not is_plain(layout):
        raise ValueError("pyarrow does not read such a file")
    names = [str(place) for place in range(len(layout.names))]
    booleans = [place for place in places if layout.contents[place].kind == "boolean"]
    types = {str(place): pyarrow.bool_() if place in booleans else pyarrow.float64() for place in places}
    table = pyarrow.csv.read_csv(
        pyarrow.BufferReader(pyarrow.py_buffer(layout.text.content)),
        read_options=pyarrow.csv.ReadOptions(column_names=names, skip_rows=layout.header_lines),
        parse_options=pyarrow.csv.ParseOptions(delimiter=layout.delimiter, newlines_in_values=_has_quotes(layout)),
        convert_options=pyarrow.csv.ConvertOptions(
            include_columns=list(types),
            column_types=types,
            null_values=sorted(MISSING),
            true_values=[text for text, value in BOOLEANS.items() if value],
            false_values=[text for text, value in BOOLEANS.items() if not value],
            decimal_point=layout.numbers.decimal,
        ),
    )
    columns = [_floats(column) for column in table.columns]
    # A NaN that is no null is a text that pyarrow takes for one, such as "-nan".
    if any(np.isnan(array).sum() != column.null_count for array, column in zip(columns, table.columns, strict=True)):
        raise ValueError("a NaN that is written unusually")
    return columns


def _read_with_numpy(layout: Layout, places: Sequence[int]) -> list[Floats]:
    """Read a file that is numbers alone: NumPy knows no missing values and, of chosen columns, does not count the others."""
    of_all = len(places) == len(layout.names) and all(contents.kind == "number" for contents in layout.contents)
    if not of_all or not is_plain(layout) or layout.numbers.decimal != "." or layout.text.holds(b'"'):
        raise ValueError("NumPy does not read such a file")
    lines = islice(layout.text.lines(), layout.header_lines, None)
    values = np.loadtxt(lines, delimiter=layout.delimiter, comments=None, ndmin=2)
    if values.shape[1] != len(layout.names) or np.isnan(values).any():
        raise ValueError("another number of fields, or a missing value")
    return [values[:, place] for place in places]


def _floats(column: Any) -> Floats:
    """Return a pyarrow column of floats or booleans as floats, NaN for null."""
    import pyarrow

    array: Floats = column.cast(pyarrow.float64()).to_numpy()
    return array


def _has_quotes(layout: Layout) -> bool:
    """Say whether a field may hold a line break: pyarrow must be told, and reads such a file slower.

    Raises ValueError if something follows the quote that closes a field: csv refuses that, and pyarrow does not.
    """
    end = rb"\r\n" + re.escape(layout.delimiter.encode())
    # A quote opens a field at its start only.
    whole_field = rb'(?:\A|(?<=[%b]))"[^"]*+(?:""[^"]*+)*+"(?=[%b]|\Z)' % (end, end)
    mere_letter = rb'(?<=[^%b])"' % end
    content = layout.text.content
    if not layout.text.holds(b'"'):
        return False
    if re.fullmatch(rb'[^"]*+(?:(?:%b|%b)[^"]*+)*+' % (whole_field, mere_letter), content):
        return True
    raise ValueError("something follows a closing quote")


def _rows(layout: Layout, places: Sequence[int]) -> Iterator[list[float]]:
    """Yield the numbers of each record; raise ValueError for the first record that is wrong."""
    n_fields = len(layout.names)
    parsers = [_parser(layout, place) for place in places]
    for record in layout.records():
        if len(record.fields) != n_fields:
            header = "the header" if layout.has_header else "the first line"
            raise ValueError(
                f"{layout.path}, line {record.line}: {len(record.fields)} field(s) where {header} has {n_fields}."
            )
        try:
            row = [parser(record.fields[place]) for parser, place in zip(parsers, places, strict=True)]
        except ValueError:
            _refuse(record, layout, places)
        if math.inf in row or -math.inf in row:
            _refuse(record, layout, places)
        yield row


def _parser(layout: Layout, place: int) -> Callable[[str], float]:
    """Return what reads the fields of a column."""
    contents = layout.contents[place]
    if contents.mark:
        return partial(parse_marked, mark=contents.mark, numbers=layout.numbers)
    return _parse_boolean if contents.kind == "boolean" else layout.numbers.parse


def _parse_boolean(field: str) -> float:
    text = field.strip()
    if text in MISSING:
        return math.nan
    if text not in BOOLEANS:
        raise ValueError("not a boolean")
    return BOOLEANS[text]


def _refuse(record: Record, layout: Layout, places: Sequence[int]) -> NoReturn:
    """Raise the ValueError that says which fields of a record are not numbers."""

    def is_right(place: int) -> bool:
        field = record.fields[place]
        if field.strip() in MISSING:
            return True
        try:
            return math.isfinite(_parser(layout, place)(field))
        except ValueError:
            return False

    wrong = [place for place in places if not is_right(place)]
    place = f"{layout.path}, line {record.line}:"
    mark = layout.contents[wrong[0]].mark
    if mark:
        f = wrong[0]
        raise ValueError(
            f"{place} column {layout.names[f]!r} holds {record.fields[f]!r}, which is not a number with {mark}, as those before "
            "are; write the same mark in each row, or leave the column out of --columns."
        )
    if all(layout.contents[f].is_numeric for f in wrong):
        f = wrong[0]
        raise ValueError(
            f"{place} column {layout.names[f]!r} holds {record.fields[f]!r}, which is not a finite number"
            f"{layout.numbers.say_how_to_read(record.fields[f])}."
        )
    listed = ", ".join(f"{layout.names[f]!r} ({record.fields[f]!r})" for f in wrong[:LISTED])
    hint = "" if layout.has_header else ", or say --header if the first line holds names"
    raise ValueError(f"{place} not a number in {listed}; leave such columns out of --columns{hint}.")

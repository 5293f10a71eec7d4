"""Read the numbers of a CSV file quickly, and say which line is wrong when one is.

pyarrow reads the numbers if it is there. A file that it refuses is read again record by record, which names
the line; so is every file without pyarrow. Labels are appended to the text of each record, so that the
columns that were not used come through letter by letter.
"""

from __future__ import annotations

import csv
import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain, islice
from typing import NamedTuple, NoReturn

import numpy as np

from ..types import Floats, Labels

DELIMITERS = ",;\t"
LISTED = 8
"""So many columns are listed in a message."""

# Bytes that are not UTF-8 are carried from the input to the output as they are.
_open_text = partial(open, newline="", errors="surrogateescape")


class Record(NamedTuple):
    """One record of a CSV file: its fields, its text with the line ending, the number of its last line."""

    fields: list[str]
    text: str
    line: int


class Layout(NamedTuple):
    """How a CSV file is laid out. `header_lines` is the number of lines to skip before the first sample."""

    path: str
    delimiter: str
    names: list[str]
    has_header: bool
    header_lines: int


def read_layout(path: str, header: bool | None = None) -> Layout:
    """Find the delimiter, the column names and whether there is a header.

    header : whether the first record holds names; None to decide by looking. It does if it holds some text
        and no column is a number both there and in the second record.
    Raises ValueError if the file is empty, if its header is not UTF-8 text, or if it repeats a column name.
    """
    delimiter = _guess_delimiter(path)
    first_two = list(islice(_records(path, delimiter), 2))
    if not first_two:
        raise ValueError(f"{path} is empty.")
    first = first_two[0]
    if not (_looks_like_header(*(record.fields for record in first_two)) if header is None else header):
        return Layout(path, delimiter, [f"feature{f}" for f in range(len(first.fields))], False, 0)
    names = [name.strip() for name in first.fields]
    try:
        first.text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{path}, line {first.line}: not UTF-8 text; save the file as UTF-8.") from error
    repeated = next((name for name, times in Counter(names).items() if times > 1), None)
    if repeated is not None:
        raise ValueError(f"{path}, line {first.line}: column name {repeated!r} appears twice; rename one.")
    return Layout(path, delimiter, names, True, first.line)


def read_values(layout: Layout, columns: Sequence[str]) -> Floats:
    """Read these columns into a C-order float64 array of shape (n_samples, len(columns)).

    Raises ValueError, naming the line, if a record has too many or too few fields or a value is not a finite
    number.
    """
    try:
        values = _read_with_pyarrow(layout, columns)
        with np.errstate(over="ignore", invalid="ignore"):
            trusted = np.isfinite(values.sum())
    except MemoryError:
        raise
    except Exception:  # the records will tell what is wrong, if anything is
        trusted = False
    if not trusted:
        numbers = chain.from_iterable(_rows(layout, columns))
        values = np.fromiter(numbers, dtype=np.float64).reshape(-1, len(columns))
    if not len(values):
        raise ValueError(f"{layout.path} has no samples, only a header.")
    return values


def append_labels(layout: Layout, target: str, labels: Labels, name: str) -> None:
    """Copy the file to `target` with one more field at the end of each record: its label."""
    fields = [f"{layout.delimiter}{label}" for label in range(int(labels.max()) + 1)]
    records = _records(layout.path, layout.delimiter)
    with _open_text(target, "w", encoding="utf-8") as out:
        if layout.has_header:
            out.write(_append(next(records).text, layout.delimiter + name))
        for label, record in zip(labels.tolist(), records, strict=True):
            out.write(_append(record.text, fields[label]))


def _append(text: str, field: str) -> str:
    body = text.rstrip("\r\n")
    return body + field + (text[len(body) :] or "\n")


def _records(path: str, delimiter: str) -> Iterator[Record]:
    """Yield the records that are not blank lines. A quoted field may span several lines."""
    with _open_text(path, encoding="utf-8-sig") as file:
        lines: list[str] = []

        def remember() -> Iterator[str]:
            for line in file:
                lines.append(line)
                yield line

        reader = csv.reader(remember(), delimiter=delimiter, strict=True)
        try:
            for fields in reader:
                if fields:
                    yield Record(fields, "".join(lines), reader.line_num)
                lines.clear()
        except csv.Error as error:
            raise ValueError(f"{path}, line {reader.line_num}: {error}.") from error


def _guess_delimiter(path: str) -> str:
    """Return the delimiter that the first line that is not blank holds most of; a comma if it holds none."""
    with _open_text(path, encoding="utf-8-sig") as file:
        first = next((line for line in file if line.strip()), "")
    return max(DELIMITERS, key=first.count)


def _looks_like_header(first: list[str], second: Sequence[str] = ()) -> bool:
    numbers = [_is_number(field) for field in first]
    # The second record is missing if the file has one line, and shorter if it is wrong, which _rows will say.
    also_below = (number and _is_number(field) for number, field in zip(numbers, second, strict=False))
    return not all(numbers) and not any(also_below)


def _as_number(field: str) -> float:
    """Return the number that a field holds; raise ValueError if it holds none.

    Python's own float() also takes 1_0, and the digits of every script.
    """
    if "_" in field or not (field.isascii() or field.strip().isascii()):
        raise ValueError("not a number")
    return float(field)


def _is_number(field: str) -> bool:
    try:
        return math.isfinite(_as_number(field))
    except ValueError:
        return False


def _read_with_pyarrow(layout: Layout, columns: Sequence[str]) -> Floats:
    import pyarrow
    import pyarrow.csv

    quotes = _has_quotes(layout)
    table = pyarrow.csv.read_csv(
        layout.path,
        read_options=pyarrow.csv.ReadOptions(column_names=layout.names, skip_rows=layout.header_lines),
        parse_options=pyarrow.csv.ParseOptions(delimiter=layout.delimiter, newlines_in_values=quotes),
        convert_options=pyarrow.csv.ConvertOptions(
            include_columns=columns, column_types=dict.fromkeys(columns, pyarrow.float64()), null_values=[]
        ),
    )
    return np.column_stack([column.to_numpy() for column in table.columns])


def _has_quotes(layout: Layout) -> bool:
    """Say whether a field may hold a line break: pyarrow must be told, and reads such a file slower.

    Raises ValueError if something follows the quote that closes a field: csv refuses that, and pyarrow does not.
    """
    import mmap

    end = rb"\r\n" + re.escape(layout.delimiter.encode())
    # A quote opens a field at its start only, where the three bytes of a byte order mark may stand before it.
    whole_field = rb'(?:\A|(?<=[%b])|(?<=\xef\xbb\xbf))"[^"]*+(?:""[^"]*+)*+"(?=[%b]|\Z)' % (end, end)
    mere_letter = rb'(?<=[^%b])"' % end
    with open(layout.path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
        if text.find(b'"') < 0:
            return False
        if re.fullmatch(rb'[^"]*+(?:(?:%b|%b)[^"]*+)*+' % (whole_field, mere_letter), text):
            return True
    raise ValueError("something follows a closing quote")


def _rows(layout: Layout, columns: Sequence[str]) -> Iterator[list[float]]:
    """Yield the numbers of each record; raise ValueError for the first record that is wrong."""
    places = {name: f for f, name in enumerate(layout.names)}
    used = [places[name] for name in columns]
    records = _records(layout.path, layout.delimiter)
    if layout.has_header:
        next(records)
    first_line = None
    for record in records:
        first_line = first_line or record.line
        try:
            row = [_as_number(record.fields[f]) for f in used]
        except (ValueError, IndexError):
            row = [math.nan]
        if len(record.fields) != len(layout.names) or not all(map(math.isfinite, row)):
            _refuse(record, layout, columns, is_first=record.line == first_line)
        yield row


def _refuse(record: Record, layout: Layout, columns: Sequence[str], is_first: bool) -> NoReturn:
    """Raise the ValueError that says what is wrong with a record."""
    place = f"{layout.path}, line {record.line}:"
    if len(record.fields) != len(layout.names):
        raise ValueError(f"{place} {len(record.fields)} field(s) where line 1 has {len(layout.names)}.")
    fields = dict(zip(layout.names, record.fields, strict=True))
    wrong = [name for name in columns if not _is_number(fields[name])]
    name, value = wrong[0], fields[wrong[0]]
    if not value.strip():
        raise ValueError(f"{place} column {name!r} is empty; fill it, or drop the line.")
    if not is_first:
        raise ValueError(f"{place} column {name!r} holds {value!r}, which is not a finite number.")
    # Text from the first sample on: most likely a column of names, so all such columns are listed at once.
    listed = ", ".join(f"{name!r} ({fields[name]!r})" for name in wrong[:LISTED])
    numeric = ",".join([name for name in columns if _is_number(fields[name])][:LISTED]) or "A,B"
    hint = "" if layout.has_header else ", or say --header if the first line holds names"
    raise ValueError(
        f"{place} not a number in {listed}; choose numeric columns, for example --columns {numeric}{hint}."
    )

"""How a CSV file is laid out: delimiter, header, how its numbers are written, and what its columns seem to hold."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import NamedTuple

from ..input.marks import common_mark, without_mark
from ..input.numbers import (
    BOOLEANS,
    DATE,
    MISSING,
    SIGNED,
    SIGNED_CONTENTS,
    WHOLE,
    NumberFormat,
    choose_format,
    gather_evidence,
)
from .text_files import TextFile

DELIMITERS = ",;\t|"

_SAMPLE_RECORDS = 1000
_SAMPLE_FIELDS = 200_000
_DELIMITER_RECORDS = 50
_MOST_TITLE_LINES = 5

_SHORTEST_CODE = 4
"""Whole numbers of one width, some with a leading zero, are codes, such as those of places: months and hours are shorter."""


class Record(NamedTuple):
    """One record of a CSV file: its fields, its text with the line ending, the number of its last line."""

    fields: list[str]
    text: str
    line: int


class CsvOptions(NamedTuple):
    """What the user says of a CSV file. None: look.

    header : whether the first record holds names. delimiter : one character. decimal : "." or ",".
    thousands : the separators that may stand between groups of three digits; "" for none. encoding : as Python names it.
    """

    header: bool | None = None
    delimiter: str | None = None
    decimal: str | None = None
    thousands: str | None = None
    encoding: str | None = None


class Contents(NamedTuple):
    """What the first records of a column hold.

    kind : "number", "boolean", or what else it holds, in words. whole : whether its numbers have no decimal point.
    keeps_zeros : whether some number starts with a 0 that a number would lose.
    mark : the mark of percent or of a currency that all its numbers have; "" for none.
    """

    kind: str
    whole: bool
    keeps_zeros: bool
    mark: str = ""

    @property
    def is_numeric(self) -> bool:
        return self.kind in ("number", "boolean")


class Layout(NamedTuple):
    """How a CSV file is laid out.

    names : of all columns, "" for one without a name. header_lines : lines to skip before the first sample.
    first_line : the lines to skip before the header. contents : of all columns.
    """

    text: TextFile
    delimiter: str
    numbers: NumberFormat
    names: list[str]
    has_header: bool
    header_lines: int
    first_line: int
    contents: list[Contents]

    @property
    def path(self) -> str:
        return self.text.path

    def records(self) -> Iterator[Record]:
        """Yield the records after the header that are not blank lines."""
        return islice(records(self.text, self.delimiter, self.first_line), int(self.has_header), None)


def read_layout(text: TextFile, options: CsvOptions) -> Layout:
    """Find how a CSV file is laid out, as far as options do not say it.

    Raises ValueError if the file is empty, repeats a column name, or leaves open how its numbers are written.
    """
    path, delimiter = text.path, options.delimiter
    first_line, announced = _announced_delimiter(text)
    delimiter = delimiter or announced or _guess_delimiter(text, first_line)
    sample = _sample(records(text, delimiter, first_line))
    if not sample:
        raise ValueError(f"{path} is empty.")
    body = chain.from_iterable(record.fields for record in sample[1:] or sample)
    numbers, notes = choose_format(
        gather_evidence(map(without_mark, body)), options.decimal, options.thousands, delimiter == ",", path
    )
    text.notes.extend(notes)
    first = sample[0]
    has_header = (
        _has_header([record.fields for record in sample], numbers) if options.header is None else options.header
    )
    if options.header is None and not has_header:
        text.notes.append(
            f"{path} seems to have no header; --header reads the names of the columns from its first line"
        )
    if has_header:
        names = [name.strip() for name in first.fields]
        if _lacks_one_name(sample):
            ends_with_delimiters = not any(record.fields[-1].strip() for record in sample[1:])
            names = [*names, ""] if ends_with_delimiters else ["", *names]
        check_names(names, f"{path}, line {first.line}")
    else:
        names = [f"feature{f}" for f in range(len(first.fields))]
    rows = [record.fields for record in sample[has_header:]]
    contents = _contents(rows, len(names), numbers)
    return Layout(
        text, delimiter, numbers, names, has_header, first.line if has_header else first_line, first_line, contents
    )


def records(text: TextFile, delimiter: str, first_line: int = 0) -> Iterator[Record]:
    """Yield the records that are not blank lines. A quoted field may span several lines.

    first_line : lines to skip.
    """
    lines: list[str] = []

    def remember() -> Iterator[str]:
        for line in islice(text.lines(), first_line, None):
            lines.append(line)
            yield line

    reader = csv.reader(remember(), delimiter=delimiter, strict=True, skipinitialspace=delimiter == " ")
    try:
        for fields in reader:
            if delimiter == " " and len(fields) > 1 and not fields[-1]:  # spaces at the end of a line
                fields.pop()
            if fields:
                yield Record(fields, "".join(lines), first_line + reader.line_num)
            lines.clear()
    except csv.Error as error:
        raise ValueError(f"{text.path}, line {first_line + reader.line_num}: {error}.") from error


def _announced_delimiter(text: TextFile) -> tuple[int, str | None]:
    """Return the number of lines to skip and the delimiter, where Excel's first line "sep=;" tells it."""
    first = next(text.lines(), "").strip("\r\n")
    announces = len(first) == 5 and first.startswith("sep=")
    return (1, first[4]) if announces else (0, None)


def _guess_delimiter(text: TextFile, first_line: int) -> str:
    """Return the delimiter that gives all records the same number of fields, at least two.

    If several do: the one after which most fields look like numbers, then the one with most fields. If none does: the one
    that the first line holds most of, so that what is wrong gets a message.
    """
    lines = [line for line in islice(text.lines(), first_line, first_line + 4 * _DELIMITER_RECORDS) if line.strip()]
    if not lines:
        return ","
    lines = lines[: max(3, min(_DELIMITER_RECORDS, _SAMPLE_FIELDS // len(lines[0])))]
    fits = {delimiter: fit for delimiter in DELIMITERS if (fit := _fit(lines, delimiter)) is not None}
    if fits:
        return max(fits, key=lambda delimiter: fits[delimiter])
    first = max(DELIMITERS, key=lines[0].count)
    if lines[0].count(first):
        _refuse_title(text, first_line)
        return first
    if _fit(lines, " ") is not None:
        return " "
    _refuse_title(text, first_line)
    # One column, whose decimal commas are no delimiters.
    return ";" if any("," in line for line in lines[1:]) else ","


def _refuse_title(text: TextFile, first_line: int) -> None:
    """Raise ValueError, naming the line of the header, if lines above it, such as a title, have fewer fields than the table below."""
    found = enumerate(islice(text.lines(), first_line, first_line + _DELIMITER_RECORDS), first_line + 1)
    numbered = [(number, line) for number, line in found if line.strip()]
    for skipped in range(1, min(_MOST_TITLE_LINES, len(numbered) - 2) + 1):
        number, header = numbered[skipped]
        lines = [line for _, line in numbered[skipped:]]
        for delimiter in DELIMITERS:
            fit = _fit(lines, delimiter)
            n_names = header.count(delimiter)
            is_header = n_names and not any(map(_looks_numeric, header.split(delimiter)))
            if (
                fit
                and fit[0] > 0
                and is_header
                and all(line.count(delimiter) < n_names for _, line in numbered[:skipped])
            ):
                raise ValueError(
                    f"{text.path}: the header seems to be on line {number}; delete the lines above it, for example with "
                    f"tail -n +{number}."
                )


def _fit(lines: list[str], delimiter: str) -> tuple[float, int] | None:
    """Return the share of fields that look like numbers and the number of fields, None if records differ in it."""
    try:
        reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=delimiter == " ")
        rows = [fields for fields in reader if fields]
        if delimiter == " ":
            rows = [fields if fields[-1] or len(fields) == 1 else fields[:-1] for fields in rows]
    except csv.Error:
        return None
    if len(rows) > 2 and any('"' in field for field in rows[-1]):  # a quoted field that the last line did not end
        rows.pop()
    if not rows:
        return None
    counts = {len(fields) for fields in rows[1:]} or {len(rows[0])}
    n_fields = len(rows[0])
    lacks_a_name = n_fields > 1 or lines[0].startswith('"')
    if len(counts) > 1 or not counts <= ({n_fields, n_fields + 1} if lacks_a_name else {n_fields}) or max(counts) < 2:
        return None
    fields = [field for row in rows[1:] or rows for field in row]
    return sum(_looks_numeric(field) for field in fields) / len(fields), max(counts)


def _looks_numeric(field: str) -> bool:
    text = field.strip()
    return text in MISSING or not text.strip("0123456789.,+-eE' ")


def _sample(found: Iterator[Record]) -> list[Record]:
    """Return the first records: at most _SAMPLE_RECORDS, and fewer of a wide table."""
    sample: list[Record] = []
    for record in found:
        sample.append(record)
        if len(sample) > _SAMPLE_RECORDS or len(sample) * len(record.fields) > _SAMPLE_FIELDS and len(sample) > 2:
            break
    return sample


def _has_header(rows: list[list[str]], numbers: NumberFormat) -> bool:
    """Say whether the first record seems to hold names: some text, and no column is a number both there and below it."""
    first, second = rows[0], rows[1] if len(rows) > 1 else []
    are_numbers = [numbers.is_number(field) for field in first]
    # The second record is missing if the file has one line, and shorter if it is wrong, which is said when it is read.
    also_below = (is_number and numbers.is_number(field) for is_number, field in zip(are_numbers, second, strict=False))
    return not all(are_numbers) and not any(also_below)


def _lacks_one_name(sample: Sequence[Record]) -> bool:
    """Say whether every record has one field more than the header, as R's write.table writes row names."""
    n_names = len(sample[0].fields)
    return len(sample) > 1 and all(len(record.fields) == n_names + 1 for record in sample[1:])


def check_names(names: list[str], where: str) -> None:
    """Raise ValueError if two columns have the same name. Several may have none."""
    repeated = next((name for name, times in Counter(names).items() if times > 1 and name), None)
    if repeated is not None:
        raise ValueError(f"{where}: column name {repeated!r} appears twice; rename one.")


def _contents(rows: list[list[str]], n_columns: int, numbers: NumberFormat) -> list[Contents]:
    """Say what each column holds, by the records of the sample."""
    columns: list[list[str]] = [[] for _ in range(n_columns)]
    for fields in rows:
        for column, field in zip(columns, fields, strict=False):
            if field.strip() not in MISSING:
                column.append(field)
    return [_contents_of(column, numbers) for column in columns]


def _contents_of(fields: list[str], numbers: NumberFormat) -> Contents:
    """Say what a column holds, by its first fields that are not missing."""
    keeps_zeros = any(field[0] == "0" and field.isdigit() and len(field) > 1 for field in fields)
    if fields and all(field.strip() in BOOLEANS for field in fields):
        return Contents("boolean", True, keeps_zeros)
    are_numbers = [numbers.is_number(field) for field in fields]
    if 2 * sum(are_numbers) >= len(fields):
        whole = all(WHOLE.fullmatch(field) for field, is_number in zip(fields, are_numbers, strict=True) if is_number)
        if (
            keeps_zeros
            and whole
            and all(are_numbers)
            and len(fields[0]) >= _SHORTEST_CODE
            and len(set(map(len, fields))) == 1
        ):
            return Contents(f"codes with leading zeros, for example {fields[0]!r:.60}", False, keeps_zeros)
        return Contents("number", whole, keeps_zeros)
    example = f"for example {fields[are_numbers.index(False)]!r:.60}"
    how_to_read = numbers.say_how_to_read(fields[are_numbers.index(False)])
    if how_to_read:
        return Contents(f"numbers written otherwise, {example}{how_to_read}", False, keeps_zeros)
    if all(DATE.fullmatch(field) for field in fields):
        return Contents(f"dates, {example}", False, keeps_zeros)
    mark = common_mark(fields)
    if mark and all(numbers.is_number(without_mark(field)) for field in fields):
        return Contents("number", False, keeps_zeros, mark)
    if all(SIGNED.fullmatch(field) for field in fields):
        return Contents(SIGNED_CONTENTS.format(fields[0][:60]), False, keeps_zeros)
    return Contents(f"text, {example}", False, keeps_zeros)

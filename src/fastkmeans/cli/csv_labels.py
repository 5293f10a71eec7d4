"""Labels appended to the text of each record, so that all columns come through letter by letter."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from itertools import islice
from typing import IO

from .csv_layout import Layout, records

_LINES_AT_ONCE = 100_000


def append_labels(layout: Layout, target: IO[bytes], labels: list[str], name: str, delimiter: str) -> None:
    """Write the records of a CSV file, each with one more field at its end: its label.

    labels : one text per record after the header. name : of the column of labels, in the header if there is one.
    delimiter : of the fields in the target; if it is not that of the file, all fields are written anew.
    """
    if layout.has_header:
        labels = [name, *labels]
    if delimiter != layout.delimiter:
        _write_anew(layout, target, labels, delimiter)
        return
    lines = _lines_if_records(layout, len(labels))
    if lines is None:
        found = records(layout.text, layout.delimiter, layout.first_line)
        lines = (record.text.encode(layout.text.encoding, "surrogateescape") for record in found)
    separator = delimiter.encode()
    fields = {label: separator + label.encode(layout.text.encoding) for label in set(labels)}
    endings = [fields[label] for label in labels]
    for start in range(0, len(endings), _LINES_AT_ONCE):
        part = endings[start : start + _LINES_AT_ONCE]
        target.write(
            b"".join([_append(line, ending) for ending, line in zip(part, islice(lines, len(part)), strict=True)])
        )


def _append(line: bytes, field: bytes) -> bytes:
    body = line.rstrip(b"\r\n")
    return body + field + (line[len(body) :] or b"\n")


def _lines_if_records(layout: Layout, n_records: int) -> Iterator[bytes] | None:
    """Return the lines that are not blank if each of them is one record, else None.

    A record of several lines has at least two that are not blank, that of the quote which opens its field and that of the quote
    which closes it: so as many lines as records mean one line for each.
    """
    content = layout.text.content
    if re.search(rb"\r(?!\n)", content):  # a line end of its own, which bytes are not split at
        return None
    n_lines = sum(1 for _ in _filled_lines(content, layout.first_line))
    return _filled_lines(content, layout.first_line) if n_lines == n_records else None


def _filled_lines(content: memoryview, first_line: int) -> Iterator[bytes]:
    """Yield the lines that are not blank, with their ends."""
    lines = (match.group() for match in re.finditer(rb"[^\n]*\n|[^\n]+\Z", content))
    return (line for line in islice(lines, first_line, None) if line not in (b"\n", b"\r\n"))


def _write_anew(layout: Layout, target: IO[bytes], labels: list[str], delimiter: str) -> None:
    """Write the fields with another delimiter, quoted where they need it."""
    import io

    text = io.TextIOWrapper(target, encoding="utf-8", errors="surrogateescape", newline="")
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
    found = records(layout.text, layout.delimiter, layout.first_line)
    writer.writerows([*record.fields, label] for label, record in zip(labels, found, strict=True))
    text.flush()
    text.detach()

"""Labels appended to the text of each record, so that all columns come through letter by letter."""

from __future__ import annotations

import csv
import io
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
    encoding = layout.text.encoding
    fields = {label: (delimiter + label).encode(encoding) for label in set(labels)}
    ending = _ending_of_lines(layout, len(labels))
    if ending is None:
        for label, record in zip(labels, records(layout.text, layout.delimiter, layout.first_line), strict=True):
            target.write(_append(record.text.encode(encoding, "surrogateescape"), fields[label]))
        return
    fields = {label: field + ending for label, field in fields.items()}
    lines = islice(layout.text.byte_lines(), layout.first_line, None)
    for start in range(0, len(labels), _LINES_AT_ONCE):
        part = labels[start : start + _LINES_AT_ONCE]
        # The last line may lack its end, which rstrip does not miss.
        target.write(b"".join([line.rstrip(ending) + fields[label] for label, line in zip(part, lines, strict=False)]))


def _append(text: bytes, field: bytes) -> bytes:
    body = text.rstrip(b"\r\n")
    return body + field + (text[len(body) :] or b"\n")


def _ending_of_lines(layout: Layout, n_records: int) -> bytes | None:
    """Return the bytes that end all lines if each line is one record, None if some is not or if the lines end differently.

    No line is blank then, and there are as many lines as records: a record of several lines would leave fewer records.
    """
    text = layout.text
    n_feeds, n_returns = text.count(b"\n"), text.count(b"\r")
    n_lines = n_feeds - layout.first_line + (bytes(text.content[-1:]) != b"\n")
    if n_lines != n_records or n_returns not in (0, n_feeds):
        return None
    ending = b"\r\n" if n_returns else b"\n"
    if n_returns and not all(line.endswith(ending) for line in text.byte_lines()):
        return None
    has_blank = text.holds(ending + ending) or bytes(text.content[: len(ending)]) == ending
    return None if has_blank else ending


def _write_anew(layout: Layout, target: IO[bytes], labels: list[str], delimiter: str) -> None:
    """Write the fields with another delimiter, quoted where they need it."""
    text = io.TextIOWrapper(target, encoding="utf-8", errors="surrogateescape", newline="")
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
    found = records(layout.text, layout.delimiter, layout.first_line)
    writer.writerows([*record.fields, label] for label, record in zip(labels, found, strict=True))
    text.flush()
    text.detach()

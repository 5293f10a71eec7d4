"""A whole CSV file as a pyarrow table, with text, dates and all."""

from __future__ import annotations

from typing import Any

from ..input.numbers import MISSING
from .csv_layout import Layout
from .csv_numbers import is_plain, read_numbers


def read_whole_text(layout: Layout) -> Any:
    """Read all columns of a CSV file as a pyarrow table.

    pyarrow finds the types of the columns. A column in which a number begins with a 0 that a number would lose stays text.
    """
    import pyarrow
    from pyarrow import csv

    if not is_plain(layout):
        return _from_records(layout)
    keep_text = [name for name, contents in zip(layout.names, layout.contents, strict=True) if contents.keeps_zeros]
    return csv.read_csv(
        pyarrow.BufferReader(pyarrow.py_buffer(layout.text.content)),
        read_options=csv.ReadOptions(
            column_names=layout.names, skip_rows=layout.header_lines, encoding=layout.text.encoding
        ),
        parse_options=csv.ParseOptions(delimiter=layout.delimiter, newlines_in_values=True),
        convert_options=csv.ConvertOptions(
            decimal_point=layout.numbers.decimal,
            column_types=dict.fromkeys(keep_text, pyarrow.string()),
            null_values=sorted(MISSING),
        ),
    )


def _from_records(layout: Layout) -> Any:
    """Read a file that pyarrow cannot: numbers as floats, all else as text."""
    import pyarrow

    numeric = [
        place
        for place, contents in enumerate(layout.contents)
        if contents.is_numeric and not contents.keeps_zeros and not contents.mark
    ]
    numbers = dict(zip(numeric, read_numbers(layout, numeric), strict=True))
    texts = list(zip(*(record.fields for record in layout.records()), strict=True))
    columns = [
        pyarrow.array(numbers[place], from_pandas=True) if place in numbers else pyarrow.array(texts[place])
        for place in range(len(layout.names))
    ]
    return pyarrow.table(columns, names=layout.names)

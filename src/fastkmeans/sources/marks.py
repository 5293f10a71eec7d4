"""A mark of a block of rows: blocks that differ have different marks, but for a chance of one in billions."""

from __future__ import annotations

from typing import NamedTuple
from zlib import crc32

import numpy as np

from ..types import AnyArray, Values

CHECKED_ROW = 8
"""Every so many rows one counts by its place, too: a checksum of all would take as long as reading from a fast disk."""


class Mark(NamedTuple):
    """n_rows : of the block.   total : of all its bytes, as whole numbers.   some : checksum of some of its rows."""

    n_rows: int
    total: int
    some: int


def mark_of(values: Values) -> Mark:
    """Return the mark of a block.

    The total changes with any single value. The checksum changes if rows change places, unless all rows that moved are ones it
    does not see.
    """
    words = values.view(np.uint32).reshape(-1)
    some: AnyArray = np.ascontiguousarray(values[::CHECKED_ROW])
    return Mark(len(values), int(words.sum(dtype=np.uint64)), crc32(some.data))

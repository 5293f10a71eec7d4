"""Rows of files for steps in which each thread reads a block when it needs it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import numpy as np

from .._core.files import CachedRows
from .._core.stored import KINDS
from .contract import Source

MOST_FILES = 256
"""If there are more, they are read one after the other: systems allow a process some 1000 open files."""


@contextmanager
def cached_rows(source: Source, n_threads: int) -> Iterator[CachedRows | None]:
    """Open the files of a source; None if its rows do not lie in files as numbers that steps can read."""
    extents = source.extents() or []
    raw = {extent.raw for extent in extents}
    known = len(raw) == 1 and all(dtype.isnative and dtype.name in KINDS for dtype in raw)
    if not known or len(extents) > MOST_FILES:
        yield None
        return
    with ExitStack() as closing:
        files = []
        for extent in extents:
            files.append(os.open(extent.path, os.O_RDONLY))
            closing.callback(os.close, files[-1])
        yield CachedRows(
            np.array(files, dtype=np.int32),
            np.array([extent.offset for extent in extents], dtype=np.int64),
            np.array([extent.n_rows for extent in extents], dtype=np.int64),
            source.n_columns, raw.pop(), source.dtype, n_threads,
        )  # fmt: skip

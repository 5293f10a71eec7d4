"""Rows of files for steps in which each thread reads a block when it needs it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from errno import EMFILE, ENFILE

import numpy as np

from .._core.files import CachedRows
from .._core.stored import KINDS
from .contract import Extent, Source

MOST_FILES = 256
"""If there are more, or the system allows fewer, they are read one after the other: mostly a process may have some 1000 open files."""


@contextmanager
def cached_rows(source: Source, n_threads: int) -> Iterator[CachedRows | None]:
    """Open the files of a source; None if its rows do not lie in files as numbers that steps can read, or files are too many."""
    extents = source.extents() or []
    raw = {extent.raw for extent in extents}
    known = len(raw) == 1 and all(dtype.isnative and dtype.name in KINDS for dtype in raw)
    if not known or len(extents) > MOST_FILES:
        yield None
        return
    with ExitStack() as closing:
        files = _opened(extents, closing)
        if files is None:
            yield None
            return
        yield CachedRows(
            np.array(files, dtype=np.int32),
            np.array([extent.offset for extent in extents], dtype=np.int64),
            np.array([extent.n_rows for extent in extents], dtype=np.int64),
            source.n_columns, raw.pop(), source.dtype, n_threads,
        )  # fmt: skip


def _opened(extents: list[Extent], closing: ExitStack) -> list[int] | None:
    """Open files, which `closing` closes; None if the system allows no more."""
    try:
        # An object of Python closes its file even if an interrupt comes before it is handed over.
        return [closing.enter_context(open(extent.path, "rb", buffering=0)).fileno() for extent in extents]
    except OSError as error:
        if error.errno not in {EMFILE, ENFILE}:
            raise
        closing.close()
        return None

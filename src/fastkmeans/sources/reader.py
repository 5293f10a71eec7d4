"""Rows of a source, block by block, in buffers that are used again.

What the system has in memory is read by all threads at once, each into its own cache. From the first block on that a device must
be waited for, one thread reads ahead of the computation.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing
from queue import SimpleQueue
from threading import Thread

from ..types import Values
from .contract import Pass, Source


def read_blocks(source: Source, buffers: list[Values], n_threads: int) -> Generator[tuple[slice, Values], None, None]:
    """Yield all rows in blocks as long as a buffer, the last one shorter: the slice of their numbers, and the rows.

    buffers : at least two arrays of equal shape. A block stays as it is until the next one is asked for.
    Raises what reading raises, after the blocks before it.
    """
    owned = [running := source.start()]
    try:
        first, buffer = 0, buffers[0]
        while True:
            n_read = running.read_cached(buffer, n_threads)
            if n_read > 0:
                yield slice(first, first + n_read), buffer[:n_read]
                first += n_read
            if n_read < 0:
                yield from _read_ahead(owned, first, buffers)
            if n_read < len(buffer):
                return
    finally:
        for left in _taken(owned):
            left.close()


def _taken(owned: list[Pass]) -> list[Pass]:
    """Take the pass over from whoever owns it: the one who has taken it closes it. None is left if another thread was first."""
    try:
        return [owned.pop()]
    except IndexError:
        return []


def _read_ahead(owned: list[Pass], first: int, buffers: list[Values]) -> Iterator[tuple[slice, Values]]:
    """Yield the rows from `first` on, while a thread fills the other buffers.

    owned : the pass. The thread takes it, and closes it. An interrupt may come before `start` or `join` returns, so that the thread still
    reads, or has not begun, when this function ends.
    """
    free: SimpleQueue[Values | None] = SimpleQueue()
    full: SimpleQueue[tuple[slice, Values] | BaseException | None] = SimpleQueue()
    for buffer in buffers:
        free.put(buffer)
    reader = Thread(target=_read, args=(owned, first, free, full), name="fastkmeans-reader", daemon=True)
    try:
        reader.start()
        while True:
            got = full.get()
            if got is None:
                return
            if isinstance(got, BaseException):
                raise got
            rows, buffer = got
            yield rows, buffer[: rows.stop - rows.start]
            free.put(buffer)
    finally:
        free.put(None)
        if reader.is_alive():
            reader.join()


def _read(
    owned: list[Pass], first: int, free: SimpleQueue[Values | None],
    full: SimpleQueue[tuple[slice, Values] | BaseException | None],
) -> None:  # fmt: skip
    """Fill free buffers until the rows end, or None comes in place of a buffer."""
    try:
        for running in _taken(owned):
            with closing(running):
                n_read = -1
                while (buffer := free.get()) is not None and (n_read < 0 or n_read == len(buffer)):
                    n_read = running.read(buffer)
                    if n_read:
                        full.put((slice(first, first + n_read), buffer))
                        first += n_read
    except BaseException as error:  # whatever it is, the thread that computes raises it
        full.put(error)
    else:
        full.put(None)

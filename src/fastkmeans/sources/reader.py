"""One thread reads ahead of the computation, into buffers that are used again."""

from __future__ import annotations

from collections.abc import Iterator
from queue import SimpleQueue
from threading import Thread

from ..types import Values
from .contract import Source


def read_ahead(source: Source, buffers: list[Values]) -> Iterator[tuple[slice, Values]]:
    """Yield all rows in blocks as long as a buffer, the last one shorter: the slice of their numbers, and the rows.

    buffers : at least two arrays of equal shape. A block stays as it is until the next one is asked for; meanwhile the thread
    fills the other buffers.
    Raises what reading raises, after the blocks before it.
    """
    free: SimpleQueue[Values | None] = SimpleQueue()
    full: SimpleQueue[tuple[slice, Values] | BaseException | None] = SimpleQueue()
    for buffer in buffers:
        free.put(buffer)
    reader = Thread(target=_read, args=(source, free, full), name="fastkmeans-reader", daemon=True)
    try:
        reader.start()  # Ctrl-C may come before this returns, when the thread already runs
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
    source: Source, free: SimpleQueue[Values | None], full: SimpleQueue[tuple[slice, Values] | BaseException | None]
) -> None:
    """Fill free buffers until the rows end, or None comes in place of a buffer."""
    try:
        running = source.start()
        try:
            first, n_read = 0, -1
            while (buffer := free.get()) is not None and (n_read < 0 or n_read == len(buffer)):
                n_read = running.read(buffer)
                if n_read:
                    full.put((slice(first, first + n_read), buffer))
                    first += n_read
        finally:
            running.close()
    except BaseException as error:  # whatever it is, the thread that computes raises it
        full.put(error)
    else:
        full.put(None)

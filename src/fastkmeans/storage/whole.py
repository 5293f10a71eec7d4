"""Writes a file completely or not at all, and checks that a file to read is a plain file."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def whole_file(path: str) -> Iterator[str]:
    """Give the name of a temporary file in the folder of `path`. It replaces `path` if the block raises nothing.

    Otherwise the temporary file is deleted, and `path` stays as it was.
    """
    temporary = temporary_name(path)
    try:
        yield temporary
        os.replace(temporary, os.path.realpath(path))
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def check_plain_file(path: str | os.PathLike[str]) -> None:
    """Check before opening that reading a file cannot wait or never end.

    Raises ValueError for a pipe, a socket or a device, IsADirectoryError for a folder, OSError if the path does not exist.
    """
    mode = os.stat(path).st_mode
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if not stat.S_ISREG(mode):
        raise ValueError(
            f"{path} is a pipe, a socket or a device, not a plain file; write its contents to a file first."
        )


def temporary_name(path: str) -> str:
    """Return the name under which whole_file writes. The suffix stays last, because matplotlib and numpy.savez read it."""
    folder, name = os.path.split(os.path.realpath(path))
    stem, suffix = os.path.splitext(name)
    return os.path.join(folder, f".{stem}.{os.getpid()}.part{suffix}")

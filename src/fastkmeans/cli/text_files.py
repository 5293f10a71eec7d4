"""The bytes of a text file, whatever it is packed in and however its letters are encoded."""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import mmap
import os
import sys
import zlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from ..storage.whole import check_plain_file

STREAM = "-"
"""The name under which the standard input is read and the standard output is written."""

TEXT_SUFFIXES = (".csv", ".tsv", ".txt")
PACKED: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}

_MARKS = (  # the longer marks first, because a mark of UTF-32 begins like one of UTF-16
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_FALLBACK = "cp1252"
_BYTES_AT_ONCE = 1 << 20


class TextFile(NamedTuple):
    """A text file in memory, or mapped into it.

    path : what messages call it.
    content : its bytes without a byte order mark, in an encoding that agrees with ASCII where ASCII has a letter.
    encoding : that encoding.
    notes : what the user must be told.
    """

    path: str
    content: memoryview
    encoding: str
    notes: list[str]

    def holds(self, piece: bytes) -> bool:
        """Say whether these bytes are somewhere in the file. A memoryview cannot be searched, what it views can."""
        viewed: Any = self.content.obj
        return bool(viewed.find(piece) >= 0)

    def count(self, byte: bytes) -> int:
        """Return how often a byte occurs."""
        return sum(bytes(self.content[start : start + _BYTES_AT_ONCE]).count(byte) for start in self._blocks())

    def _blocks(self) -> range:
        return range(0, len(self.content), _BYTES_AT_ONCE)

    def byte_lines(self) -> Iterator[bytes]:
        """Return the lines with their ends, as bytes, split at line feeds."""
        # BytesIO would copy a map of the file, and this does not.
        return io.BufferedReader(_View(self.content), _BYTES_AT_ONCE)

    def lines(self) -> Iterator[str]:
        """Yield the lines with their ends. A byte that is no letter comes through as it is where the line is written again."""
        raw = io.BufferedReader(_View(self.content), _BYTES_AT_ONCE)
        yield from io.TextIOWrapper(raw, encoding=self.encoding, errors="surrogateescape", newline="")


def suffix_of(path: str) -> str:
    """Return the suffix that tells the kind of a file, in lower case and without that of its packing; ".csv" for STREAM."""
    if path == STREAM:
        return ".csv"
    stem, suffix = os.path.splitext(path.lower())
    return os.path.splitext(stem)[1] if suffix in PACKED else suffix


def packing_of(path: str) -> str | None:
    """Return the suffix of the packing of a file, None if it is not packed."""
    suffix = os.path.splitext(path.lower())[1]
    return suffix if suffix in PACKED else None


def read_text_file(path: str, encoding: str | None = None, stream: bytes | None = None) -> TextFile:
    """Read a text file, or the standard input if the path is STREAM.

    stream : what the standard input held, if it was read already.
    encoding : by default that of its byte order mark, else UTF-8, else cp1252, of which a note tells.
    Raises ValueError if the file cannot be unpacked, does not have this encoding, or holds a binary format; OSError if it cannot be
    opened.
    """
    name = "standard input" if path == STREAM else path
    content = _content(path, name) if stream is None else _unpacked_stream(stream)
    if bytes(content[:4]) == b"PAR1":
        raise ValueError(f"{name} is a Parquet file; write it to a file whose name ends in .parquet.")
    mark, marked = next(((mark, marked) for mark, marked in _MARKS if bytes(content[: len(mark)]) == mark), (b"", None))
    if encoding is not None:
        return _in_encoding(name, content, encoding, mark if marked == "utf-8" else b"")
    if marked is not None and marked != "utf-8":
        return _in_encoding(name, content, marked, b"")
    content = content[len(mark) :]
    _refuse_wide_letters(name, content)
    if _is_utf8(content):
        return TextFile(name, content, "utf-8", [])
    note = f"{name} is not UTF-8 text, and was read as {_FALLBACK} (Western European, Windows); --encoding NAME reads another encoding"
    return TextFile(name, content, _FALLBACK, [note])


class _View(io.RawIOBase):
    """Bytes in memory as a file that is read from its start."""

    def __init__(self, content: memoryview) -> None:
        self._content, self._place = content, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # what BufferedReader passes
        part = self._content[self._place : self._place + len(buffer)]
        buffer[: len(part)] = part
        self._place += len(part)
        return len(part)


def _content(path: str, name: str) -> memoryview:
    if path == STREAM:
        return _unpacked_stream(sys.stdin.buffer.read())
    check_plain_file(path)
    packing = packing_of(path)
    with open(path, "rb") as file:
        if packing is None:
            size = os.fstat(file.fileno()).st_size
            return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if size else b"")
        try:
            return memoryview(PACKED[packing](file).read())
        except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
            raise ValueError(f"{name} does not unpack as {packing}: {error}; pack it again.") from error


def _unpacked_stream(content: bytes) -> memoryview:
    return memoryview(gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content)


def _in_encoding(name: str, content: memoryview, encoding: str, mark: bytes) -> TextFile:
    """Decode the whole content, so that a wrong letter is found here, and keep it in UTF-8."""
    try:
        known = codecs.lookup(encoding).name
        text = str(content[len(mark) :], known)
    except LookupError as error:
        raise ValueError(
            f"--encoding: there is no encoding {encoding!r}; use for example utf-8, cp1252 or utf-16."
        ) from error
    except UnicodeError as error:
        raise ValueError(f"{name} is not {encoding} text: {error}; name another with --encoding.") from error
    return TextFile(name, memoryview(text.encode("utf-8", "surrogatepass")), "utf-8", [])


def _refuse_wide_letters(name: str, content: memoryview) -> None:
    """Raise ValueError for UTF-16 without a byte order mark, of which every other byte of most texts is 0."""
    first = bytes(content[:1000])
    for place, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        if len(first) > 1 and 2 * first[place::2].count(0) > len(first[place::2]):
            raise ValueError(
                f"{name} holds bytes of 0, as UTF-16 without a byte order mark does; --encoding {encoding} reads it."
            )


def _is_utf8(content: memoryview) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for start in range(0, len(content), _BYTES_AT_ONCE):
            decoder.decode(content[start : start + _BYTES_AT_ONCE])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True

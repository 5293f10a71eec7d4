"""Reads arrays in NumPy's .npy layout, alone in a file or as a member of a .npz.

A header is compared with the bytes that follow it before memory is allocated, so no array takes more memory than its file.
"""

from __future__ import annotations

import os
from io import BufferedIOBase
from math import prod
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.lib import format as npy

from ..types import AnyArray

# Later versions differ only in the names of fields, which an array of numbers does not have.
_HEADER_READERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}

_BYTES_AT_ONCE = 1 << 20
"""Size of the blocks in which values are read: zipfile copies each block into a bytes object first."""


class Header(NamedTuple):
    """The contents of a .npy header. `n_bytes` is the size of the values that must follow."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    order: Literal["C", "F"]
    n_bytes: int


def map_array(path: str) -> AnyArray:
    """Return the array of a .npy file as a read-only map of the file.

    Raises ValueError, without the path, if the contents are wrong; OSError if the file cannot be opened.
    """
    with open(path, "rb") as file:
        header = _read_header(file)
        offset = file.tell()
        available = os.fstat(file.fileno()).st_size - offset
        if header.n_bytes > available:
            raise ValueError(f"its header announces {header.n_bytes} bytes of values, but {available} follow")
        return np.memmap(file, header.dtype, "r", offset, header.shape, header.order)


def read_array(file: BufferedIOBase, n_bytes: int) -> AnyArray:
    """Return the array of a member of a .npz.

    file : the opened member.   n_bytes : its size. The caller has checked that the .npz is not smaller.
    Raises ValueError if the header does not fit that size, and what zipfile raises for a damaged member.
    """
    header = _read_header(file)
    available = n_bytes - file.tell()
    if header.n_bytes != available:
        raise ValueError(f"a header announces {header.n_bytes} bytes of values, but {available} follow")
    content = np.empty(header.n_bytes, dtype=np.uint8)
    for start in range(0, len(content), _BYTES_AT_ONCE):
        block = content[start : start + _BYTES_AT_ONCE]
        if file.readinto(block.data) != len(block):
            raise ValueError("an array ends early")
    return content.view(header.dtype).reshape(header.shape, order=header.order)


def _read_header(file: BufferedIOBase) -> Header:
    """Read a header, and leave the file at the first value. Raises ValueError for an invalid header."""
    try:
        shape, fortran_order, dtype = _HEADER_READERS[npy.read_magic(file)](file)
    except Exception as error:  # a header is a Python literal, for which Python's parser raises many types of errors
        raise ValueError(f"it has no .npy header that can be read ({type(error).__name__})") from error
    if dtype.hasobject:
        raise ValueError("it holds Python objects")
    n_bytes = prod(shape) * dtype.itemsize
    # A shape with a length of 0 needs 0 bytes, even if its other lengths are more than NumPy can count.
    if n_bytes <= 0 or min(shape, default=1) < 0:
        raise ValueError(f"it holds no values (shape {shape}, dtype {dtype})")
    return Header(dtype, shape, "F" if fortran_order else "C", n_bytes)

"""How much memory this process may take, and arrays that lie on disk where memory is short."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from ..types import AnyArray
from .threads import CGROUP_ROOT, groups_upwards, read_text

UNKNOWN_MEMORY = 1 << 30
"""Free memory that is assumed where the system does not tell."""


def available_memory(read: Callable[[str], str] | None = None) -> int:
    """Return how many bytes this process could still take: the least of what the machine and its control groups leave.

    read : path -> text, "" if there is no such file; for tests.
    """
    read = read or read_text
    left = [_of_machine(read)]
    for line in read("/proc/self/cgroup").splitlines() or ["0::/"]:
        _, controllers, group = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        for folder in groups_upwards(group):
            left += _of_group(read, folder, is_v2=not controllers)
    return max(min(left), 0)


def _of_machine(read: Callable[[str], str]) -> int:
    for line in read("/proc/meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (AttributeError, ValueError, OSError):
        return UNKNOWN_MEMORY


def _of_group(read: Callable[[str], str], folder: str, is_v2: bool) -> list[int]:
    """Return what a control group leaves; nothing if it has no limit. Cached pages of files are free to take."""
    place = f"{CGROUP_ROOT}{folder}" if is_v2 else f"{CGROUP_ROOT}/memory{folder}"
    most, used = ("memory.max", "memory.current") if is_v2 else ("memory.limit_in_bytes", "memory.usage_in_bytes")
    cached = "inactive_file" if is_v2 else "total_inactive_file"
    try:
        limit, taken = int(read(f"{place}/{most}")), int(read(f"{place}/{used}"))
    except ValueError:  # "max", or no such file
        return []
    for line in read(f"{place}/memory.stat").splitlines():
        name, _, value = line.partition(" ")
        if name == cached:
            taken -= int(value)
    return [limit - max(taken, 0)]


def array_on_disk(shape: tuple[int, ...], dtype: Any, folder: str | None) -> AnyArray:
    """Return an array of zeros in a file without a name, whose space is free again when nobody holds the array.

    folder : where the file lies; None for the system's folder of temporary files.
    Raises OSError if the disk has too little space: it is taken now, because a write into a map would end the process.
    """
    dtype = np.dtype(dtype)
    n_bytes = prod(shape) * dtype.itemsize
    folder = tempfile.gettempdir() if folder is None else folder
    with tempfile.TemporaryFile(dir=folder, prefix="fastkmeans-") as file:
        try:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, n_bytes)
            else:
                file.truncate(n_bytes)
        except OSError as error:
            raise OSError(
                error.errno,
                f"the disk has no room for {n_bytes:,} bytes ({error.strerror}); pass a cache_dir on another disk, or a "
                "larger memory_limit",
                folder,
            ) from error
        array: AnyArray = np.memmap(file, dtype, "r+", 0, shape)
    return array

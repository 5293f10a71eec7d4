"""NumPy's BLAS, held to one thread while threads of ours are about."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import lru_cache

from .._core import blas


def one_blas_thread() -> blas.OneThread:
    """Return a context that holds NumPy's OpenBLAS to one thread, and does nothing where NumPy has another library.

    OpenBLAS's idle threads and ours spin against each other: finding directions for 12 000 x 384 samples took 50
    to 100 ms on two cores with both, 40 ms like this. Other Python threads that multiply meanwhile get one thread too.
    Contexts may overlap, in one thread or in several; the number of threads is restored when the last one ends.
    """
    _openblas()
    return blas.OneThread()


@lru_cache(maxsize=None)
def _openblas() -> tuple[Callable[[], int], Callable[[int], None]] | None:
    """Find how to ask and tell NumPy's OpenBLAS, among the libraries that this process has loaded."""
    import ctypes

    try:
        with open("/proc/self/maps") as file:
            paths = {line.split(maxsplit=5)[-1].strip() for line in file if "openblas" in line and "numpy" in line}
    except OSError:
        return None
    for path in paths:
        library = ctypes.CDLL(path)
        for prefix, suffix in (("scipy_", "64_"), ("scipy_", ""), ("", "64_"), ("", "")):
            get_n_threads = getattr(library, f"{prefix}openblas_get_num_threads{suffix}", None)
            set_n_threads = getattr(library, f"{prefix}openblas_set_num_threads{suffix}", None)
            if get_n_threads is not None and set_n_threads is not None:
                set_n_threads.restype = None
                functions = get_n_threads, set_n_threads
                get_address, set_address = (ctypes.cast(function, ctypes.c_void_p).value or 0 for function in functions)
                blas.use_openblas(get_address, set_address)
                return functions
    return None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=blas.forget_blocks)

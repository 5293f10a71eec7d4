"""NumPy's OpenBLAS, limited to one thread while threads of this package run."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import lru_cache

from .._core import blas


def one_blas_thread() -> blas.OneThread:
    """Return a context that limits NumPy's OpenBLAS to one thread. It does nothing if NumPy uses another library.

    Idle threads of OpenBLAS and of this package compete for the CPU: finding directions for 12 000 x 384 samples took 50 to
    100 ms on two cores without the context, 40 ms with it. Other Python threads that multiply matrices meanwhile get one
    thread, too. Contexts may overlap, in one thread or in several. When the last one ends, the number of threads is restored.
    """
    _openblas()
    return blas.OneThread()


@lru_cache(maxsize=None)
def _openblas() -> tuple[Callable[[], int], Callable[[int], None]] | None:
    """Find the functions of NumPy's OpenBLAS that get and set its number of threads; None if NumPy uses another library."""
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

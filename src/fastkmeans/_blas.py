"""NumPy's BLAS, held to one thread while OpenMP's threads are about."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Hold NumPy's OpenBLAS to one thread; do nothing where NumPy came with another library.

    Its idle threads and OpenMP's spin against each other: finding directions for 12 000 x 384 samples took 50
    to 100 ms on two cores with both, 40 ms like this. Other Python threads that multiply meanwhile get one thread too.
    """
    functions = _openblas()
    if functions is None:
        yield
        return
    get_n_threads, set_n_threads = functions
    before = get_n_threads()
    set_n_threads(1)
    try:
        yield
    finally:
        set_n_threads(before)


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
                return get_n_threads, set_n_threads
    return None

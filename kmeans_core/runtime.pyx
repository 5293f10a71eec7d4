# cython: language_level=3, freethreading_compatible=True
"""The instruction set in use, and threads. This module holds kernels and pool; other modules reach both through it."""
import os

from cpython.pycapsule cimport PyCapsule_New

cimport kernels as c
cimport threads
from shared cimport shared_runtime

cdef shared_runtime lent
lent.run = threads.run_threads


def isas():
    """Names of the instruction sets that this build holds and this CPU runs, widest first."""
    cdef const c.kernels *tables[8]
    cdef int count = c.kernel_tables(tables)
    return [tables[i].name.decode() for i in range(count)]


def isa():
    """Name of the instruction set in use."""
    return lent.kernels.name.decode()


def use_isa(name):
    """Use the named instruction set from now on, in the whole process. For tests and comparisons.

    Raises ValueError if this build or this CPU lacks it.
    """
    cdef const c.kernels *table = c.kernel_table(name.encode())
    if table == NULL or table.name != name.encode():
        raise ValueError(f"isa must be one of {isas()} on this machine; got {name!r}.")
    lent.kernels = table


def tile():
    """Lanes of a vector, samples of a register tile, centers of a register tile: tests need numbers around these."""
    return lent.kernels.lanes, lent.kernels.tile_samples, lent.kernels.tile_centers


def code_format():
    """Coordinates in a 32-bit code, largest whole number and most length of half a row's codes, see kernels.h."""
    return lent.kernels.code_features, lent.kernels.code_limit, lent.kernels.code_length


def has_dot8():
    """Has the instruction set in use dot products of bytes, which quantized samples of 8 bits need?"""
    return bool(lent.kernels.has_dot8)


def fma_spin(size_t n_rounds):
    """Multiply and add in registers; returns the number of floating-point operations done."""
    with nogil:
        operations = lent.kernels.fma_spin(n_rounds)
    return operations


def has_openmp():
    """Was this build made with OpenMP?"""
    return bool(threads.openmp_enabled())


def has_pool():
    """Has this build a pool of threads of its own? A forked child then makes new ones by itself."""
    return bool(threads.has_pool())


def openmp_max_threads():
    """Threads that OpenMP would use by itself: OMP_NUM_THREADS, or what threadpoolctl has set since."""
    return threads.openmp_max_threads()


def n_cpus():
    """CPUs that this process may use by its affinity; 0 if unknown.

    If OpenMP's settings (OMP_PROC_BIND, OMP_PLACES) bind threads, the main thread may be bound to one CPU: then those
    count that the process had before.
    """
    return threads.count_cpus()


def openmp_release():
    """Give OpenMP's pool of threads back, so that a forked child can make its own."""
    with nogil:
        threads.openmp_release()


cdef class _Pair:
    """Two functions to call, and what they return."""

    cdef tuple functions
    cdef list results, errors


cdef void call_some(void *context, int thread, int n_threads) noexcept with gil:
    """The thread's share of a pair: both functions, or one."""
    cdef int i
    pair = <_Pair>context
    try:
        for i in range(thread, 2, n_threads):
            pair.results[i] = pair.functions[i]()
    except BaseException as error:
        pair.errors.append(error)


def both(int n_threads, first, second):
    """Call two functions, at the same time if a thread of the pool is free; return what they return.

    For work that NumPy does without holding Python's lock. The second may run in a thread where the caller's
    np.errstate does not hold. If both raise, one exception is kept.
    """
    cdef _Pair pair = _Pair()
    if n_threads == 1:
        return first(), second()
    pair.functions, pair.results, pair.errors = (first, second), [None, None], []
    with nogil:
        threads.run_threads(<threads.region_body>call_some, <void *>pair, 2)
    if pair.errors:
        raise pair.errors[0]
    return tuple(pair.results)


def _start():
    threads.openmp_start()
    threads.start_pool()
    asked = os.environ.get("FASTKMEANS_ISA", "")
    lent.kernels = c.kernel_table(asked.encode())
    if lent.kernels == NULL:
        raise ImportError(
            f"FASTKMEANS_ISA must be one of {isas()} on this machine, or unset; got {asked!r}."
            if asked else "this build of fastkmeans holds no kernels that this CPU can run; build it from source here."
        )


_start()
_lent = PyCapsule_New(&lent, b"fastkmeans._core.runtime", NULL)

# cython: language_level=3, freethreading_compatible=True
"""What runs here: the instruction set in use, and OpenMP. Holds the kernels; the other modules reach them through it."""
import os

from cpython.pycapsule cimport PyCapsule_New

from cython.parallel cimport prange

cimport kernels as c

cdef const c.kernels *current = NULL


def isas():
    """Names of the instruction sets that this build holds and this CPU runs, widest first."""
    cdef const c.kernels *tables[8]
    cdef int count = c.kernel_tables(tables)
    return [tables[i].name.decode() for i in range(count)]


def isa():
    """Name of the instruction set in use."""
    return current.name.decode()


def use_isa(name):
    """Use the named instruction set from now on, in the whole process. For tests and comparisons.

    Raises ValueError if this build or this CPU lacks it.
    """
    global current
    cdef const c.kernels *table = c.kernel_table(name.encode())
    if table == NULL or table.name != name.encode():
        raise ValueError(f"isa must be one of {isas()} on this machine; got {name!r}.")
    current = table


def tile():
    """Lanes of a vector, samples of a register tile, centers of a register tile: the sizes whose tails need tests."""
    return current.lanes, current.tile_samples, current.tile_centers


def has_dot8():
    """Has the instruction set in use dot products of bytes, as quantized samples of 8 bits ask for?"""
    return bool(current.has_dot8)


def fma_spin(size_t n_rounds):
    """Multiply and add in registers; returns the number of floating-point operations done."""
    with nogil:
        operations = current.fma_spin(n_rounds)
    return operations


def has_openmp():
    """Was this build made with OpenMP?"""
    return bool(c.openmp_enabled())


def openmp_max_threads():
    """Threads that OpenMP would use by itself: OMP_NUM_THREADS, or what threadpoolctl has set since."""
    return c.openmp_max_threads()


def openmp_release():
    """Give OpenMP's pool of threads back, so that a forked child can make its own."""
    with nogil:
        c.openmp_release()


def both(int n_threads, first, second):
    """Call two functions, beside each other where there are two threads; return what they return.

    For work that NumPy does without holding Python's lock. By OpenMP's threads, which would spin on the core of any other; by
    n_threads of them, because those beyond a smaller team end. The second may run in a thread where the caller's np.errstate
    does not hold. If both raise, one exception is kept.
    """
    cdef int i
    if n_threads == 1:
        return first(), second()
    tasks, results = (first, second), [None, None]
    for i in prange(2, nogil=True, schedule="static", chunksize=1, num_threads=n_threads):
        with gil:
            results[i] = tasks[i]()
    return tuple(results)


def _start():
    global current
    asked = os.environ.get("FASTKMEANS_ISA", "")
    current = c.kernel_table(asked.encode())
    if current == NULL:
        raise ImportError(
            f"FASTKMEANS_ISA must be one of {isas()} on this machine, or unset; got {asked!r}."
            if asked else "this build of fastkmeans holds no kernels that this CPU can run; build it from source here."
        )


_start()
_current = PyCapsule_New(&current, b"fastkmeans._core.kernels", NULL)

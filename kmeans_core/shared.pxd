# What every compiled module needs: the kernels in use, aligned memory, and the division of rows into units.
from cpython.pycapsule cimport PyCapsule_GetPointer
from libc.stdint cimport uintptr_t

cimport kernels as c


cdef inline const c.kernels **kernels_in_use() except NULL:
    """Where runtime keeps its pointer to the kernels in use: read it anew for each call."""
    from fastkmeans._core import runtime
    return <const c.kernels **>PyCapsule_GetPointer(runtime._current, b"fastkmeans._core.kernels")


cdef inline size_t aligned(size_t size) noexcept nogil:
    return (size + 127) // 128 * 128


cdef inline char *align(void *memory) noexcept nogil:
    return <char *>((<uintptr_t>memory + 127) // 128 * 128)


cdef inline Py_ssize_t unit_samples(Py_ssize_t n_samples, Py_ssize_t block, int n_threads) noexcept nogil:
    """Rows that a thread takes at a time: whole blocks, about 16 units a thread, so that no slow core holds up the rest."""
    cdef Py_ssize_t blocks = n_samples // (16 * n_threads) // block
    return block * (blocks if blocks > 1 else 1)

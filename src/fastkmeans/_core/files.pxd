# What other compiled modules see of files.pyx. Cython looks for it where the module will be.
from libc.stdint cimport int64_t

from shared cimport cached_rows


cdef class CachedRows:
    cdef readonly tuple shape
    cdef readonly object dtype
    cdef readonly int n_threads
    cdef const int[::1] files
    cdef const int64_t[::1] offsets, firsts
    cdef void *memory
    cdef cached_rows of

    cdef size_t _divide(self, void *memory) noexcept nogil

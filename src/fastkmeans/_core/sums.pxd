# What other compiled modules see of sums.pyx. Cython looks for it where the module will be.
from libc.math cimport ldexp
from libc.stdint cimport int32_t

cimport kernels as c
from fastkmeans._core.csr cimport CsrRows
from fastkmeans._core.files cimport CachedRows
from fastkmeans._core.stored cimport StoredRows
from shared cimport ceil_log2, row_follower, signal_watch


cdef inline void choose_grid(double largest, Py_ssize_t n_values, double *coarse, double *fine) noexcept nogil:
    """Grids on which so many values of at most that size add up, and are taken out again, without rounding.

    A sum of n values below 2**e stays below 2**(e + ceil(log2 n)), also while labels move; with one bit to
    spare, multiples of 2**(e + ceil(log2 n) + 1 - 53) within it are float64 numbers. What the coarse grid leaves
    over is below half of it, and gets a grid of its own by the same rule. No float64 has digits below 2**-1074.
    """
    cdef int count_bits = ceil_log2(<double>n_values if n_values > 4 else 4.0)
    cdef int coarse_bits = max(ceil_log2(largest) + count_bits + 1 - 53, -1074)
    cdef int fine_bits = max(coarse_bits + count_bits - 53, -1074)
    coarse[0] = ldexp(1.5, 52 + coarse_bits)
    fine[0] = ldexp(1.5, 52 + fine_bits)


cdef class ClusterSums:
    cdef const float[:, ::1] x32
    cdef const double[:, ::1] x64
    cdef CsrRows sparse          # in place of these
    cdef StoredRows stored       # in place of these
    cdef CachedRows cached       # in place of these, if turn_to was given them
    cdef const double[::1] sample_weight
    cdef bint is_float32         # what centers are rounded to
    cdef Py_ssize_t n_samples, n_features, n_clusters, n_grid_samples
    cdef Py_ssize_t most_samples  # of the first ones, for which the memory is
    cdef Py_ssize_t block, unit  # rows that a thread follows at a time, and takes at a time
    cdef int n_threads
    cdef int n_cluster_threads   # one where there is too little to do for each cluster
    cdef object own_labels       # in the order of X
    cdef int32_t[::1] label_view
    cdef readonly object grid, sums
    cdef double[:, ::1] grid_view
    cdef double[:, :, ::1] total
    cdef void *memory
    cdef void *partial
    cdef row_follower follower   # what follow_rows needs
    cdef signal_watch watch

    cdef int _take_memory(self) except -1
    cdef size_t _divide(self, void *memory) noexcept nogil
    cdef size_t _divide_partial(self, void *memory) noexcept nogil
    cdef void _clear_sums(self) noexcept nogil
    cdef int _choose_grid(self, const double[::1] max_abs, double max_weight) except -1
    cdef bint _follow_by_cluster(self, const c.kernels *table, const int32_t *new_labels) noexcept
    cdef void _add_rows(self, const c.kernels *table, const int32_t *rows, size_t count, Py_ssize_t j) noexcept nogil
    cdef tuple _move(self, const double *sums, const double[:, ::1] centers, const double[::1] origin,
                     double[:, ::1] moved, double[:, ::1] terms, double digits)
    cdef void merge(self, const c.kernels *table, signal_watch *watch) noexcept nogil
    cdef void _merge_cluster(self, const c.kernels *table, Py_ssize_t j, signal_watch *watch) noexcept nogil


cpdef tuple totals_of(const double[:, ::1] terms)

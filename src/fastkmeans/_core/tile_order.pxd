# What other compiled modules see of tile_order.pyx. Cython looks for it where the module will be.
from libc.stdint cimport int32_t, uint16_t, uint32_t

cimport kernels as c
from fastkmeans._core.stored cimport StoredRows
from shared cimport signal_watch


cdef class TileOrder:
    cdef readonly object X, weights
    cdef StoredRows stored       # in the order of the caller; None for an array
    cdef int32_t[::1] owners
    cdef bint is_float32
    cdef Py_ssize_t n_samples, n_features, n_tiles, tile_rows
    cdef size_t row_bytes        # as kernels read a row
    cdef bint lacks_memory
    cdef int n_threads
    cdef object _order           # (n_samples,) int32, the caller's sample of each place; empty if not split
    cdef object _cells, _cell_starts, _first_place, _next_place, _cell_owners   # None where cells were split
    cdef signal_watch watch

    cdef void _find_cells(self, const c.kernels *table, const char *rows, Py_ssize_t first, Py_ssize_t count,
                          c.cell_grid grid, uint16_t *cells, uint32_t *counts) noexcept nogil
    cdef void _order_by_cell(self, const c.kernels *table, const char *rows, Py_ssize_t first, Py_ssize_t count,
                             const double *given, const uint16_t *cells, uint32_t *next_place, char *ordered,
                             int32_t *order, double *weights) noexcept nogil
    cdef int _split_cells(self, const uint32_t[::1] cell_starts, Py_ssize_t n_cells, char *ordered, int32_t *order,
                          double *weights) except -1
    cdef void _split_run(self, const c.kernels *table, Py_ssize_t first, Py_ssize_t count, char *ordered,
                         int32_t *order, double *weights, char *scratch) noexcept nogil
    cdef void _store_by_cell(self, Py_ssize_t first, Py_ssize_t count, const double *given, const uint16_t *cells,
                             uint32_t *next_place, char *ordered, int32_t *order, double *weights) noexcept nogil
    cdef void _split_stored(self, const c.kernels *table, Py_ssize_t first, Py_ssize_t count, char *ordered,
                            int32_t *order, double *weights, char *scratch) noexcept nogil
    cdef int write_labels(self, const int32_t *ordered_labels, int32_t[::1] labels) except -1
    cdef void _write_labels(self, Py_ssize_t first, Py_ssize_t end, const int32_t *order, const int32_t *ordered_labels,
                            int32_t *labels) noexcept nogil
    cdef int _write_labels_by_cell(self, const int32_t *ordered_labels, int32_t *labels) except -1
    cdef void _write_part(self, Py_ssize_t first, Py_ssize_t end, const uint16_t *cells, const int32_t *owners,
                          uint32_t *next_place, const int32_t *ordered_labels, int32_t *labels) noexcept nogil
    cdef void _write_piece(self, Py_ssize_t first, Py_ssize_t end, const uint16_t *cells, const int32_t *owners,
                           uint32_t *next_place, const int32_t *ordered_labels, int32_t *labels) noexcept nogil

# cython: language_level=3, freethreading_compatible=True, boundscheck=False, wraparound=False, cdivision=True
# cython: initializedcheck=False
"""Labels of rows, each with its gap: how far centers may move until the label may change.

Labels and bounds of the distances are those with which Yinyang k-means begins (kernels/yinyang.h), for one group of all
centers.
"""
from cython.parallel cimport prange, threadid
from libc.math cimport ldexp
from libc.stdint cimport int32_t
from libc.stdlib cimport free
from libc.string cimport memcpy

cimport kernels as c
from shared cimport (
    PADDED_ROWS, aligned, arena, arena_bytes, arena_in, begin_one_group, check_count, check_shape, interrupted,
    kernels_in_use, raise_interrupt, short_unit, signal_watch, start_watch, take,
)

cdef extern from "kernels/kernels.h" nogil:
    size_t block_samples(size_t n_features)

cdef extern from "kernels/until.h" nogil:
    float until_of(double way, double gap)

cdef extern from "memory.h" nogil:
    void *take_memory(size_t size)

cdef const c.kernels **in_use = kernels_in_use()


cdef class GapFinder:
    """Centers laid out, to label rows with their gaps.

    Parameters
    ----------
    centers : (n_clusters, n_features) float64, C order.   is_float32 : whether rows are float32, else they are float64.
    n_threads : int >= 1.
    """

    cdef const c.kernels *table
    cdef Py_ssize_t n_clusters, n_features, block, stride
    cdef bint is_float32
    cdef int n_threads
    cdef size_t row_bytes, rows_size, bounds_size, scratch_size
    cdef void *memory
    cdef double *offset          # [2 * n_features]
    cdef double *centers         # [n_clusters][n_features]
    cdef char *packed
    cdef int32_t *center_of      # [n_clusters] 0, 1, 2 ...
    cdef int32_t *group_of       # [n_clusters] zeros
    cdef float *drift            # [n_clusters] zeros
    cdef float group_drift       # 0
    cdef char *scratch           # [n_threads], scratch_size apart: rows of a block, two bounds of each, the kernel's
    cdef int32_t first_panel[2]  # all panels are one group
    cdef c.bound_step bounds
    cdef signal_watch watch

    def __cinit__(self, const double[:, ::1] centers, bint is_float32, int n_threads):
        check_count("n_threads", n_threads)
        check_count("n_clusters", centers.shape[0])
        check_count("n_features", centers.shape[1])
        self.table = in_use[0]
        self.n_clusters, self.n_features, self.n_threads = centers.shape[0], centers.shape[1], n_threads
        self.is_float32 = is_float32
        self.block = block_samples(self.n_features)
        self.stride = (self.block + 31) // 32 * 32
        self.row_bytes = self.n_features * (4 if is_float32 else 8)
        self.memory = take_memory(self._divide(NULL))
        if self.memory == NULL:
            raise MemoryError("no memory for the centers of a step; use fewer threads (n_threads).")
        self._divide(self.memory)
        memcpy(self.centers, &centers[0, 0], self.n_clusters * self.n_features * sizeof(double))
        begin_one_group(self.table, self.n_clusters, self.first_panel, self.center_of, self.group_of, self.drift,
                        &self.group_drift, &self.bounds)
        self.table.find_offset(self.centers, self.n_clusters, self.n_features, self.offset)
        self.table.pack_centers(self.centers, self.n_clusters, self.n_features, self.offset, is_float32, self.packed)
        self.bounds.packed = self.bounds.grouped = self.packed
        self.bounds.unit = self.table.packed_scale(self.packed)

    def __dealloc__(self):
        free(self.memory)

    cdef size_t _divide(self, void *memory) noexcept nogil:
        """Divide memory, or count its bytes: see arena.h."""
        cdef arena parts = arena_in(memory)
        cdef Py_ssize_t k = self.n_clusters, d = self.n_features
        self.rows_size = aligned((self.block + PADDED_ROWS) * self.row_bytes)
        self.bounds_size = aligned(self.stride * sizeof(float))
        self.scratch_size = (self.rows_size + 2 * self.bounds_size
                             + aligned(self.table.bound_scratch_bytes(k, d, self.stride)))
        self.offset = <double *>take(&parts, 2 * d * sizeof(double))
        self.centers = <double *>take(&parts, k * d * sizeof(double))
        self.packed = <char *>take(&parts, self.table.packed_bytes(k, d))
        self.center_of = <int32_t *>take(&parts, k * sizeof(int32_t))
        self.group_of = <int32_t *>take(&parts, k * sizeof(int32_t))
        self.drift = <float *>take(&parts, k * sizeof(float))
        self.scratch = <char *>take(&parts, self.n_threads * self.scratch_size)
        return arena_bytes(&parts)

    def label(self, X, const Py_ssize_t[::1] rows, int32_t[::1] labels, double[::1] gaps):
        """Label rows with the nearest center, the lowest index among equals, and tell their gaps.

        X : (n_rows, n_features) of the type of rows, C order.   rows : (n,), numbers of rows of X.   labels : OUT (n,).
        gaps : OUT (n,). As long as the own center and any other one together have moved less than the gap, by 2^-20 of
        the way, the label stays.
        """
        cdef const float[:, ::1] x32
        cdef const double[:, ::1] x64
        cdef const char *x
        cdef Py_ssize_t n_rows = rows.shape[0], n_units, unit, u
        if (X.dtype.itemsize == 4) != self.is_float32:
            raise ValueError(f"X must be of the type of rows; got {X.dtype}.")
        check_shape("X", X.shape[0], X.shape[1], X.shape[0], self.n_features)
        if labels.shape[0] != n_rows or gaps.shape[0] != n_rows:
            raise ValueError(f"labels and gaps must have {n_rows} entries; got {labels.shape[0]} and {gaps.shape[0]}.")
        if n_rows == 0:
            return
        for u in range(n_rows):
            if not 0 <= rows[u] < X.shape[0]:
                raise ValueError(f"rows must be numbers of the {X.shape[0]} rows of X; got {rows[u]}.")
        if self.is_float32:
            x32 = X
            x = <const char *>&x32[0, 0]
        else:
            x64 = X
            x = <const char *>&x64[0, 0]
        unit = short_unit(self.block, self.block, <double>self.n_clusters * self.n_features)
        n_units = (n_rows + unit - 1) // unit
        start_watch(&self.watch)
        with nogil:
            for u in prange(n_units, schedule="dynamic", chunksize=1, num_threads=self.n_threads):
                self._label_unit(x, &rows[u * unit], min(unit, n_rows - u * unit), &labels[u * unit],
                                 &gaps[u * unit], threadid())
        raise_interrupt(&self.watch)

    cdef void _label_unit(self, const char *x, const Py_ssize_t *rows, Py_ssize_t count, int32_t *labels, double *gaps,
                          int t) noexcept nogil:
        cdef char *own = self.scratch + t * self.scratch_size
        cdef float *upper = <float *>(own + self.rows_size)
        cdef float *lower = <float *>(own + self.rows_size + self.bounds_size)
        # What one distance loses in a later decision by float64: n_features roundings, at 2^-52.
        cdef double rounding = ldexp(1.0, -22) + self.n_features * ldexp(1.0, -50)
        cdef Py_ssize_t i
        if interrupted(&self.watch):
            return
        for i in range(count):
            memcpy(own + i * self.row_bytes, x + rows[i] * self.row_bytes, self.row_bytes)
        self.table.assign_bounded[self.is_float32](
            own, count, self.block + PADDED_ROWS, &self.bounds, own + self.rows_size + 2 * self.bounds_size, labels,
            upper, lower, self.stride)
        for i in range(count):
            gaps[i] = (lower[i] * (1.0 - rounding) - upper[i] * (1.0 + rounding)) / self.bounds.unit


def store_gaps(const Py_ssize_t[::1] rows, const int32_t[::1] labels, const double[::1] gaps, const double[::1] ways,
               float[::1] until):
    """Write up to which way of its center each row keeps its label.

    rows, labels, gaps : (n,), of GapFinder.label, but `rows` are numbers in `until`.   ways : (n_clusters,) so far.
    until : written where rows are, -infinity without a gap.
    """
    cdef Py_ssize_t i
    check_shape("labels", labels.shape[0], gaps.shape[0], rows.shape[0], rows.shape[0])
    for i in range(rows.shape[0]):
        if not (0 <= rows[i] < until.shape[0] and 0 <= labels[i] < ways.shape[0]):
            raise ValueError(f"rows must be below {until.shape[0]}, and labels below {ways.shape[0]}; got {rows[i]} "
                             f"and {labels[i]}.")
    with nogil:
        for i in range(rows.shape[0]):
            until[rows[i]] = until_of(ways[labels[i]], gaps[i])

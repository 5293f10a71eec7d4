# cython: language_level=3, freethreading_compatible=True, boundscheck=False, wraparound=False, cdivision=True
# cython: initializedcheck=False
"""Sparse rows: what they hold, some of them, and what a fit needs to know of them before it starts."""
from cython.parallel cimport prange
from libc.math cimport HUGE_VAL, fabs, frexp, ldexp, sqrt
from libc.stdint cimport int32_t, int64_t
from libc.string cimport memcpy

cimport kernels as c
from shared cimport check_count, interrupted, kernels_in_use, raise_interrupt, signal_watch, start_watch

import numpy as np

cdef const c.kernels **in_use = kernels_in_use()

cdef enum:
    ROWS = 1024  # of a block, for which one thread works at a time

ctypedef fused real:
    float
    double


cdef class CsrRows:
    """Sparse rows in the layout that is called CSR.

    Parameters
    ----------
    values : (n_stored,) float32 or float64, C order.
    features : (n_stored,) int32, below n_features, ascending within a row, none twice.
    starts : (n_samples + 1,) int64: row i has the entries from starts[i] to starts[i + 1].
    n_features : int.

    Attributes
    ----------
    shape : (n_samples, n_features).   dtype : of the values.

    Raises ValueError where features or starts are not so; the values may be anything.
    """

    def __cinit__(self, values, const int32_t[::1] features, const int64_t[::1] starts, Py_ssize_t n_features):
        self.values, self.features, self.starts = values, np.asarray(features), np.asarray(starts)
        self.n_samples, self.n_features = starts.shape[0] - 1, n_features
        self.shape, self.dtype = (self.n_samples, n_features), values.dtype
        if self.n_samples < 1 or n_features < 1:
            raise ValueError(f"rows must have shape (1 or more, 1 or more); got {self.shape}.")
        self.is_float32 = values.dtype.itemsize == 4
        if self.is_float32:
            self.values32 = values
            self.rows.values = &self.values32[0] if len(values) else NULL
        else:
            self.values64 = values
            self.rows.values = &self.values64[0] if len(values) else NULL
        self.feature_view, self.start_view = features, starts
        check_layout(features, starts, len(values), n_features)
        self.rows.features = &features[0] if features.shape[0] else NULL
        self.rows.starts = &starts[0]
        self.rows.norm_unit = 1.0
        self.norms = None

    def __len__(self):
        return self.n_samples

    @property
    def size(self):
        """Stored values: the work of a reading."""
        return len(self.values)

    def astype(self, dtype):
        """The same rows with values of another type; these if they are of it."""
        if self.dtype == dtype:
            return self
        return CsrRows(self.values.astype(dtype), self.features, self.starts, self.n_features)

    def measure(self, double largest, int n_threads):
        """Take the length of each row, which the steps of a fit need.   largest : |x|, at least that of all values."""
        cdef const c.kernels *table = in_use[0]
        cdef Py_ssize_t b, n_blocks = (self.n_samples + ROWS - 1) // ROWS
        cdef int exponent
        cdef signal_watch watch
        check_count("n_threads", n_threads)
        if self.norms is not None:
            return
        norms = np.empty(self.n_samples, dtype=np.float32)
        self.norms = norms
        if largest > 0.0:
            frexp(largest, &exponent)
            self.rows.norm_unit = ldexp(1.0, min(1000, max(-1000, -exponent)))
        start_watch(&watch)
        with nogil:
            for b in prange(n_blocks, schedule="static", num_threads=n_threads):
                if not interrupted(&watch):
                    table.norms_sparse[self.is_float32](
                        &self.rows, b * ROWS, min(<Py_ssize_t>ROWS, self.n_samples - b * ROWS), &self.norms[b * ROWS])
        raise_interrupt(&watch)

    def take(self, const int64_t[::1] wanted):
        """Return some rows, by number, as CsrRows."""
        cdef Py_ssize_t i, first, count, n_rows = wanted.shape[0]
        cdef int64_t[::1] starts
        for i in range(n_rows):
            if not 0 <= wanted[i] < self.n_samples:
                raise ValueError(f"a row must be from 0 to {self.n_samples - 1}; got {wanted[i]}.")
        taken_starts = np.zeros(n_rows + 1, dtype=np.int64)
        starts = taken_starts
        for i in range(n_rows):
            starts[i + 1] = starts[i] + self.start_view[wanted[i] + 1] - self.start_view[wanted[i]]
        # By memcpy: indices of NumPy for each value would take twice the memory of the rows.
        values = np.empty(starts[n_rows], dtype=self.dtype)
        features = np.empty(starts[n_rows], dtype=np.int32)
        cdef int32_t[::1] feature_out = features
        cdef float[::1] out32
        cdef double[::1] out64
        cdef char *value_out = NULL
        cdef const char *value_in = <const char *>self.rows.values
        cdef size_t size = 4 if self.is_float32 else 8
        if starts[n_rows] == 0:
            return CsrRows(values, features, taken_starts, self.n_features)
        if self.is_float32:
            out32 = values
            value_out = <char *>&out32[0]
        else:
            out64 = values
            value_out = <char *>&out64[0]
        with nogil:
            for i in range(n_rows):
                first, count = self.start_view[wanted[i]], starts[i + 1] - starts[i]
                if count:
                    memcpy(value_out + starts[i] * size, value_in + first * size, count * size)
                    memcpy(&feature_out[starts[i]], &self.feature_view[first], count * sizeof(int32_t))
        return CsrRows(values, features, taken_starts, self.n_features)

    def dense(self, Py_ssize_t first, Py_ssize_t end):
        """(end - first, n_features): a run of rows, made dense."""
        rows = np.zeros((end - first, self.n_features), dtype=self.dtype)
        here = slice(self.start_view[first], self.start_view[end])
        numbers = np.repeat(np.arange(end - first), np.diff(self.starts[first:end + 1]))
        rows[numbers, self.features[here]] = self.values[here]
        return rows


cdef int check_layout(const int32_t[::1] features, const int64_t[::1] starts, Py_ssize_t n_stored,
                      Py_ssize_t n_features) except -1:
    """The kernels trust rows."""
    cdef Py_ssize_t i, e, n_samples = starts.shape[0] - 1, wrong = -1
    cdef int64_t last
    if features.shape[0] != n_stored or starts[0] != 0 or starts[n_samples] != n_stored:
        raise ValueError(f"{n_stored} values, {features.shape[0]} features and starts from {starts[0]} to "
                         f"{starts[n_samples]} do not fit together.")
    with nogil:
        for i in range(n_samples):
            if not 0 <= starts[i] <= starts[i + 1] <= n_stored:
                wrong = i
                break
            last = -1
            for e in range(starts[i], starts[i + 1]):
                if features[e] <= last or features[e] >= n_features:
                    wrong = i
                    break
                last = features[e]
            if wrong >= 0:
                break
    if wrong >= 0:
        raise ValueError(f"features must be below {n_features}, ascending within a row, and none twice; row {wrong} "
                         "has others.")
    return 0


def describe(CsrRows rows, double[:, ::1] described, double[::1] smallest):
    """Largest |x|, mean and sum of squared deviations of each feature; and its smallest |x| above 0, infinite if none.

    described : (3, n_features), written.   smallest : (n_features,), written.
    Reads the stored values twice, on one thread.
    """
    if described.shape[0] != 3 or described.shape[1] != rows.n_features or smallest.shape[0] != rows.n_features:
        raise ValueError(f"described must have shape (3, {rows.n_features}), and smallest {rows.n_features} features.")
    described[:] = 0.0
    smallest[:] = HUGE_VAL
    if rows.is_float32:
        describe_values(rows.values32, rows.feature_view, rows.n_samples, described, smallest)
    else:
        describe_values(rows.values64, rows.feature_view, rows.n_samples, described, smallest)


cdef inline void add_without_branch(double term, double *total, double *lacking) noexcept nogil:
    """As add_carefully, with the same bits, for terms in no order, whose branch would be guessed wrongly (D. E. Knuth,
    "The Art of Computer Programming", volume 2, section 4.2.2)."""
    cdef double sum = total[0] + term
    cdef double part = sum - total[0]
    lacking[0] += (total[0] - (sum - part)) + (term - part)
    total[0] = sum


cdef void describe_values(const real[::1] values, const int32_t[::1] features, Py_ssize_t n_samples,
                          double[:, ::1] described, double[::1] smallest):
    cdef Py_ssize_t e, f, n_features = described.shape[1]
    cdef double size, away
    cdef Py_ssize_t[::1] n_stored = np.zeros(n_features, dtype=np.intp)
    cdef double[:, ::1] lacking = np.zeros((2, n_features))
    with nogil:
        for e in range(values.shape[0]):
            f = features[e]
            size = fabs(values[e])
            described[0, f] = max(described[0, f], size)
            if size > 0.0:
                smallest[f] = min(smallest[f], size)
            add_without_branch(values[e], &described[1, f], &lacking[0, f])
            n_stored[f] += 1
        for f in range(n_features):
            described[1, f] = (described[1, f] + lacking[0, f]) / n_samples
        for e in range(values.shape[0]):
            f = features[e]
            away = values[e] - described[1, f]
            add_without_branch(away * away, &described[2, f], &lacking[1, f])
        for f in range(n_features):
            described[2, f] += lacking[1, f] + (n_samples - n_stored[f]) * (described[1, f] * described[1, f])


def first_unusable(CsrRows rows, double limit):
    """Return the first stored value that is NaN or beyond the limit, as its place; -1 if there is none."""
    cdef Py_ssize_t e
    if rows.is_float32:
        for e in range(rows.values32.shape[0]):
            if not fabs(<double>rows.values32[e]) <= limit:
                return e
    else:
        for e in range(rows.values64.shape[0]):
            if not fabs(rows.values64[e]) <= limit:
                return e
    return -1


def normalize(CsrRows rows):
    """Return the rows divided by their lengths, and the number of the first row of zeros (n_samples if none)."""
    values = np.empty(len(rows.values), dtype=rows.dtype)
    cdef float[::1] out32
    cdef double[::1] out64
    cdef Py_ssize_t zero
    if rows.is_float32:
        out32 = values
        zero = normalize_values[float](rows.values32, rows.start_view, out32)
    else:
        out64 = values
        zero = normalize_values[double](rows.values64, rows.start_view, out64)
    return CsrRows(values, rows.features, rows.starts, rows.n_features), zero


cdef Py_ssize_t normalize_values(const real[::1] values, const int64_t[::1] starts, real[::1] out):
    cdef Py_ssize_t i, e
    cdef double largest, sum
    for i in range(starts.shape[0] - 1):
        largest, sum = 0.0, 0.0
        for e in range(starts[i], starts[i + 1]):
            largest = max(largest, fabs(values[e]))
        if not largest > 0.0:
            return i
        for e in range(starts[i], starts[i + 1]):
            sum += (values[e] / largest) * (values[e] / largest)
        for e in range(starts[i], starts[i + 1]):
            out[e] = <real>(values[e] / largest / sqrt(sum))
    return starts.shape[0] - 1

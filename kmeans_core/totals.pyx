# cython: language_level=3, freethreading_compatible=True, boundscheck=False, wraparound=False, cdivision=True
# cython: initializedcheck=False
"""Sums that are the same for any order of their terms, and for any division of the terms into parts (totals.h)."""

cdef extern from "totals.h" nogil:
    enum:
        TOTAL_BITS
    ctypedef struct total:
        pass
    void begin_total(total *t)
    void add_term(total *t, double term)
    void add_total(total *t, const total *other)
    void read_total(const total *t, double *high, double *low)

MOST_TERMS = 1 << (53 - TOTAL_BITS)


cdef class Totals:
    """Some sums side by side.

    n_totals : int >= 1. Each total takes at most MOST_TERMS terms, including those of totals merged into it.
    """

    cdef object _memory
    cdef total *_totals
    cdef readonly Py_ssize_t n_totals

    def __cinit__(self, Py_ssize_t n_totals):
        import numpy as np

        cdef Py_ssize_t i
        cdef char[::1] memory
        if n_totals < 1:
            raise ValueError(f"n_totals must be >= 1; got {n_totals}.")
        self._memory = np.empty(n_totals * sizeof(total), dtype=np.int8)
        memory = self._memory
        self._totals = <total *>&memory[0]
        self.n_totals = n_totals
        for i in range(n_totals):
            begin_total(&self._totals[i])

    cdef int _check_columns(self, str name, Py_ssize_t n_columns) except -1:
        if n_columns != self.n_totals:
            raise ValueError(f"{name} must have {self.n_totals} columns; got {n_columns}.")
        return 0

    def add(self, const double[:, ::1] terms):
        """Add the rows.   terms : (n, n_totals)."""
        cdef Py_ssize_t r, i
        self._check_columns("terms", terms.shape[1])
        with nogil:
            for r in range(terms.shape[0]):
                for i in range(self.n_totals):
                    add_term(&self._totals[i], terms[r, i])

    def add_described(self, const double[:, :, ::1] described, Py_ssize_t block, Py_ssize_t n_samples,
                      const double[::1] origin):
        """Add the sums and squares of samples about an origin: three totals per feature.

        described : of samples.describe_blocks, over n_samples in blocks of `block`.   origin : (n_features,).
        For feature f, total f gets the sum of x - origin. The sum of its squares goes to two totals: to n_features + f
        the part of the means of blocks, and to 2 * n_features + f that of deviations within blocks.
        """
        cdef Py_ssize_t b, f, n_features = described.shape[2]
        cdef double count, away
        self._check_columns("described", 3 * n_features)
        if origin.shape[0] != n_features or described.shape[1] != 3:
            raise ValueError(f"origin must have length {n_features}, described 3 rows.")
        with nogil:
            for b in range(described.shape[0]):
                count = min(block, n_samples - b * block)
                for f in range(n_features):
                    away = described[b, 1, f] - origin[f]
                    add_term(&self._totals[f], count * away)
                    add_term(&self._totals[n_features + f], count * (away * away))
                    add_term(&self._totals[2 * n_features + f], described[b, 2, f])

    def merge(self, Totals other):
        """Add all that was added to another object."""
        cdef Py_ssize_t i
        self._check_columns("other", other.n_totals)
        for i in range(self.n_totals):
            add_total(&self._totals[i], &other._totals[i])

    def __reduce__(self):
        """As a pickle, a total goes from one process to another."""
        return _restored, (self.n_totals, self._memory.tobytes())

    def values(self):
        """(n_totals, 2) float64: each total as a sum of two numbers, the larger first."""
        import numpy as np

        cdef Py_ssize_t i
        cdef double[:, ::1] read
        values = np.empty((self.n_totals, 2))
        read = values
        for i in range(self.n_totals):
            read_total(&self._totals[i], &read[i, 0], &read[i, 1])
        return values


def _restored(n_totals, memory):
    """Return the Totals that this memory is of."""
    import numpy as np

    cdef Totals restored = Totals(n_totals)
    restored._memory[:] = np.frombuffer(memory, dtype=np.int8)
    return restored


def total_of(const double[::1] terms):
    """Return the sum of some numbers, which is the same for any order, rounded once."""
    cdef Py_ssize_t i
    cdef total t
    cdef double high, low
    begin_total(&t)
    with nogil:
        for i in range(terms.shape[0]):
            add_term(&t, terms[i])
        read_total(&t, &high, &low)
    return high


def describe_from(Totals totals, const double[::1] origin, Py_ssize_t n_samples, double[:, ::1] described):
    """Write mean and sum of squared deviations of each feature, from what add_described added for all samples.

    described : (3, n_features); rows 1 and 2 are written.
    With s the sum of x - origin, the sum of squared deviations is the sum of (x - origin)^2 minus s^2 / n_samples; that
    quotient is computed with twice the digits.
    """
    cdef Py_ssize_t f, n_features = origin.shape[0]
    cdef double[:, ::1] read = totals.values()
    cdef double n = n_samples, mean, mean_lacks, square, lacking, high, low
    if totals.n_totals != 3 * n_features or described.shape[0] != 3 or described.shape[1] != n_features:
        raise ValueError(f"described must have shape (3, {n_features}) and totals {3 * n_features} columns.")
    for f in range(n_features):
        described[1, f] = origin[f] + (read[f, 0] + read[f, 1]) / n
        mean = read[f, 0] / n
        product(mean, n, &high, &low)
        mean_lacks = (((read[f, 0] - high) - low) + read[f, 1]) / n
        product(read[f, 0], mean, &square, &lacking)
        lacking += read[f, 0] * mean_lacks + read[f, 1] * mean
        # The two are nearly equal if the origin is far from the mean; then the difference is not rounded.
        high = read[n_features + f, 0] - square
        low = ((read[n_features + f, 0] - high) - square) + (read[n_features + f, 1] - lacking)
        high = (high + low) + (read[2 * n_features + f, 0] + read[2 * n_features + f, 1])
        described[2, f] = 0.0 if high < 0.0 else high


cdef inline void product(double a, double b, double *high, double *low) noexcept nogil:
    """a * b as a sum of two numbers (T. J. Dekker, Numerische Mathematik 18, 1971)."""
    cdef double spread = 134217729.0, a_high, b_high, a_low, b_low
    high[0] = a * b
    a_high = a * spread - (a * spread - a)
    b_high = b * spread - (b * spread - b)
    a_low, b_low = a - a_high, b - b_high
    low[0] = ((a_high * b_high - high[0]) + a_high * b_low + a_low * b_high) + a_low * b_low

# cython: language_level=3, freethreading_compatible=True, boundscheck=False, wraparound=False, cdivision=True
# cython: initializedcheck=False
"""What a fit needs to know of its samples before it starts: whether they are finite, how large, how scattered. And some
of the samples themselves."""
from cython.parallel cimport prange
from libc.math cimport HUGE_VAL, isfinite
from libc.string cimport memcpy

cimport kernels as c
from shared cimport (
    add_carefully, check_count, interrupted, kernels_in_use, raise_interrupt, signal_watch, start_watch,
)

cdef extern from * nogil:
    void __builtin_prefetch(const void *place)

cdef const c.kernels **in_use = kernels_in_use()

cdef enum:
    TAKEN_AHEAD = 16  # rows that are prefetched

ctypedef fused real:
    float
    double

ctypedef fused real_out:
    float
    double


def has_unusable(const real[:, ::1] X, real limit, int n_threads):
    """Does X hold a NaN, or a value beyond the limit on either side?"""
    cdef const c.kernels *table = in_use[0]
    cdef Py_ssize_t b, size = X.shape[0] * X.shape[1], block = 65536, n_blocks = (size + block - 1) // block
    cdef int found = 0
    cdef signal_watch watch
    check_count("n_threads", n_threads)
    if size == 0:
        return False
    cdef const real *values = &X[0, 0]
    start_watch(&watch)
    with nogil:
        for b in prange(n_blocks, schedule="static", num_threads=n_threads):
            if interrupted(&watch):
                pass
            else:
                found += table.has_unusable[real is float](values + b * block, min(block, size - b * block), limit)
    raise_interrupt(&watch)
    return found > 0


def describe_blocks(const real[:, ::1] X, Py_ssize_t block, double[:, :, ::1] described, int n_threads):
    """Largest |x|, mean and sum of squared deviations of each feature over each block of samples.

    described : (ceil(n_samples / block), 3, n_features) float64, written.
    """
    cdef const c.kernels *table = in_use[0]
    cdef Py_ssize_t u, n_samples = X.shape[0], n_blocks = described.shape[0]
    cdef Py_ssize_t n_strips = table.describe_strips(X.shape[1]), n_units = n_blocks * n_strips
    cdef signal_watch watch
    check_count("n_threads", n_threads)
    check_count("block", block)
    if n_blocks != (n_samples + block - 1) // block or described.shape[1] != 3 or described.shape[2] != X.shape[1]:
        raise ValueError(f"described must have shape ({(n_samples + block - 1) // block}, 3, {X.shape[1]}).")
    if n_units == 1:  # OpenMP takes a microsecond even for one thread
        describe_unit(table, X, block, n_strips, described, 0)
        return
    start_watch(&watch)
    with nogil:
        for u in prange(n_units, schedule="static", num_threads=n_threads):
            if not interrupted(&watch):
                describe_unit(table, X, block, n_strips, described, u)
    raise_interrupt(&watch)


cdef void describe_unit(const c.kernels *table, const real[:, ::1] X, Py_ssize_t block, Py_ssize_t n_strips,
                        double[:, :, ::1] described, Py_ssize_t u) noexcept nogil:
    """Describe one strip of the features of a block: few blocks of long rows keep all threads busy so."""
    cdef Py_ssize_t b = u // n_strips, first = b * block
    table.describe[real is float](&X[first, 0], min(block, X.shape[0] - first), X.shape[1], u % n_strips,
                                  &described[b, 0, 0], &described[b, 1, 0], &described[b, 2, 0])


def sum_up(double[:, ::1] described, Py_ssize_t n_samples):
    """Divide the sums of squared deviations by n_samples, and return what numbers tell of all features: the largest
    |x|, the sum of the variances, and whether all means are finite.

    described : (3, n_features), largest |x|, mean, and the sum of squared deviations, OUT the variance.
    """
    if described.shape[0] != 3:
        raise ValueError(f"described must have 3 rows; got {described.shape[0]}.")
    cdef double largest = 0.0, total = 0.0, lacking = 0.0
    cdef bint is_finite = True
    cdef Py_ssize_t f
    for f in range(described.shape[1]):
        described[2, f] /= n_samples
        largest = max(largest, described[0, f])
        add_carefully(described[2, f], &total, &lacking)
        is_finite &= isfinite(described[1, f])
    return largest, total + lacking if isfinite(total) else total, is_finite


def find_smallest(const real[:, ::1] X, double[:, ::1] smallest, int n_threads):
    """Smallest |x| of each feature that is not 0, over each of some blocks of samples; infinite if there is none.

    smallest : (n_blocks, n_features), written.
    """
    cdef const c.kernels *table = in_use[0]
    cdef Py_ssize_t b, n_samples = X.shape[0], n_blocks = smallest.shape[0], block
    cdef signal_watch watch
    check_count("n_threads", n_threads)
    check_count("n_blocks", n_blocks)
    if smallest.shape[1] != X.shape[1]:
        raise ValueError(f"smallest must have shape ({n_blocks}, {X.shape[1]}).")
    smallest[:] = HUGE_VAL
    block = (n_samples + n_blocks - 1) // n_blocks
    start_watch(&watch)
    with nogil:
        for b in prange(n_blocks, schedule="static", num_threads=n_threads):
            if not interrupted(&watch) and b * block < n_samples:
                table.find_smallest[real is float](&X[b * block, 0], min(block, n_samples - b * block), X.shape[1],
                                                   &smallest[b, 0])
    raise_interrupt(&watch)


def normalize(const real[:, ::1] X, real_out[:, ::1] rows, int n_threads):
    """Divide each sample by its Euclidean length, in float64.   rows : (n_samples, n_features), written.

    Returns the index of the first sample of zeros, or n_samples if there is none.
    """
    cdef const c.kernels *table = in_use[0]
    cdef Py_ssize_t b, n_samples = X.shape[0], block = 1024, n_blocks = (n_samples + block - 1) // block
    cdef Py_ssize_t n_with_zeros = 0
    cdef signal_watch watch
    check_count("n_threads", n_threads)
    if rows.shape[0] != n_samples or rows.shape[1] != X.shape[1]:
        raise ValueError(f"rows must have shape ({n_samples}, {X.shape[1]}); got ({rows.shape[0]}, {rows.shape[1]}).")
    start_watch(&watch)
    with nogil:
        for b in prange(n_blocks, schedule="static", num_threads=n_threads):
            if not interrupted(&watch):
                n_with_zeros += normalize_block(table, X, rows, b * block, min(block, n_samples - b * block)) >= 0
        if n_with_zeros:
            for b in range(n_blocks):
                n_with_zeros = normalize_block(table, X, rows, b * block, min(block, n_samples - b * block))
                if n_with_zeros >= 0:
                    break
        else:
            n_with_zeros = n_samples
    raise_interrupt(&watch)
    return n_with_zeros


cdef Py_ssize_t normalize_block(const c.kernels *table, const real[:, ::1] X, real_out[:, ::1] rows, Py_ssize_t first,
                                Py_ssize_t count) noexcept nogil:
    """Index of the first sample of zeros, or -1."""
    cdef Py_ssize_t zero
    zero = table.normalize[real is float](&X[first, 0], count, X.shape[1], &rows[first, 0], sizeof(real_out) == 4)
    return first + zero if zero < count else -1


def take(const real[:, ::1] X, const Py_ssize_t[::1] rows, const double[::1] origin, real_out[:, ::1] taken,
         int n_threads):
    """Copy some rows, minus an origin.   taken : (len(rows), n_features), written, rounded once to its type.

    origin : (n_features,), or None for zeros.
    """
    cdef Py_ssize_t b, n_rows = rows.shape[0], block = 256, n_blocks = (n_rows + block - 1) // block
    cdef signal_watch watch
    check_count("n_threads", n_threads)
    if taken.shape[0] != n_rows or taken.shape[1] != X.shape[1] or (
            origin is not None and origin.shape[0] != X.shape[1]):
        raise ValueError(f"taken must have shape ({n_rows}, {X.shape[1]}), and origin {X.shape[1]} features.")
    start_watch(&watch)
    with nogil:
        for b in prange(n_blocks, schedule="static", num_threads=n_threads):
            if not interrupted(&watch):
                take_block(X, rows, origin, taken, b * block, min((b + 1) * block, n_rows))
    raise_interrupt(&watch)


cdef void take_block(const real[:, ::1] X, const Py_ssize_t[::1] rows, const double[::1] origin,
                     real_out[:, ::1] taken, Py_ssize_t first, Py_ssize_t end) noexcept nogil:
    cdef Py_ssize_t i, f, n_features = X.shape[1], line = 64 // sizeof(real), n_lines = (n_features + line - 1) // line
    for i in range(first, end):
        # Prefetch: the rows are in no order that the hardware foresees.
        if i + TAKEN_AHEAD < end:
            for f in range(n_lines):
                __builtin_prefetch(&X[rows[i + TAKEN_AHEAD], f * line])
        if origin is not None:
            for f in range(n_features):
                taken[i, f] = <real_out>(X[rows[i], f] - origin[f])
        elif real is real_out:
            memcpy(&taken[i, 0], &X[rows[i], 0], n_features * sizeof(real))
        else:
            for f in range(n_features):
                taken[i, f] = <real_out>X[rows[i], f]

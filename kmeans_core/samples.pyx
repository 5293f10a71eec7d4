# cython: language_level=3, freethreading_compatible=True, boundscheck=False, wraparound=False, cdivision=True
# cython: initializedcheck=False
"""What a fit needs to know of its samples before it starts: are they finite, how large, how scattered."""
from cython.parallel cimport prange

cimport kernels as c
from shared cimport kernels_in_use

cdef const c.kernels **in_use = kernels_in_use()

ctypedef fused real:
    float
    double


def has_unusable(const real[:, ::1] X, real limit, int n_threads):
    """Does X hold a NaN, or a value beyond the limit on either side?"""
    cdef const c.kernels *table = in_use[0]
    cdef Py_ssize_t b, size = X.shape[0] * X.shape[1], block = 65536, n_blocks = (size + block - 1) // block
    cdef int found = 0
    if size == 0:
        return False
    cdef const real *values = &X[0, 0]
    with nogil:
        for b in prange(n_blocks, schedule="static", num_threads=n_threads):
            if real is float:
                found += table.has_unusable_f32(values + b * block, min(block, size - b * block), limit)
            else:
                found += table.has_unusable_f64(values + b * block, min(block, size - b * block), limit)
    return found > 0


def describe_blocks(const real[:, ::1] X, Py_ssize_t block, double[:, :, ::1] described, int n_threads):
    """Largest |x|, mean and sum of squared deviations of each feature over each block of samples.

    described : (ceil(n_samples / block), 3, n_features) float64, written.
    """
    cdef const c.kernels *table = in_use[0]
    cdef Py_ssize_t b, n_samples = X.shape[0], n_blocks = described.shape[0]
    if n_blocks == 1:  # OpenMP takes a microsecond even for one thread
        describe_block(table, X, 0, n_samples, &described[0, 0, 0])
        return
    with nogil:
        for b in prange(n_blocks, schedule="static", num_threads=n_threads):
            describe_block(table, X, b * block, min(block, n_samples - b * block), &described[b, 0, 0])


cdef void describe_block(const c.kernels *table, const real[:, ::1] X, Py_ssize_t first, Py_ssize_t count,
                         double *described) noexcept nogil:
    cdef Py_ssize_t n_features = X.shape[1]
    if real is float:
        table.describe_f32(&X[first, 0], count, n_features, described, described + n_features,
                           described + 2 * n_features)
    else:
        table.describe_f64(&X[first, 0], count, n_features, described, described + n_features,
                           described + 2 * n_features)

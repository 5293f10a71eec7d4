# cython: language_level=3, freethreading_compatible=True, boundscheck=False, wraparound=False, cdivision=True
# cython: initializedcheck=False
"""Clusters whose sums may have lost digits to the grids: which they are, and sums on grids of their own."""
from cython.parallel cimport prange, threadid
from libc.math cimport fabs, frexp, ldexp
from libc.stdint cimport int32_t, uint8_t, uintptr_t
from libc.string cimport memset

cimport kernels as c
from fastkmeans._core.sums cimport choose_grid, totals_of
from shared cimport interrupted, kernels_in_use, raise_interrupt, signal_watch, sort_by_label, start_watch

cdef const c.kernels **in_use = kernels_in_use()


def trust_some(X, const double[::1] sample_weight, const int32_t[::1] labels, const double[:, :, ::1] sums,
               const double[:, ::1] grid, const double[::1] losses, uint8_t[::1] doubtful,
               Py_ssize_t n_samples=0):
    """Leave out of the doubtful clusters those whose values are large enough that the grids have lost none of their
    digits.

    sums, grid : of a ClusterSums.   doubtful : (n_clusters,) of 0 and 1, INOUT.
    losses : (n_features + 1,) what a value must come to on average, so that the sums have enough digits; 0 for any.
    n_samples : of all that the sums are of, if X holds those of the doubtful clusters alone; 0 for len(X).
    Values are added up on the coarse grid, where nothing rounds: the order of the rows does not matter.
    """
    import numpy as np

    cdef Py_ssize_t i, p, f, j, n_doubtful = 0, n_clusters = sums.shape[0], n_features = sums.shape[2] - 1
    cdef bint is_float32 = X.dtype.itemsize == 4
    cdef const float[:, ::1] x32
    cdef const double[:, ::1] x64
    cdef Py_ssize_t[::1] lossy = np.flatnonzero(losses)
    cdef double[:, ::1] needed = np.zeros((n_clusters, len(lossy)))
    cdef Py_ssize_t[::1] n_needed = np.zeros(n_clusters, dtype=np.intp)
    cdef double value, n_rows
    if is_float32:
        x32 = X
    else:
        x64 = X
    with nogil:
        for j in range(n_clusters):
            if not doubtful[j]:
                continue
            n_doubtful += 1
            n_rows = sums[j, 0, n_features] if sample_weight is None else <double>(n_samples if n_samples else labels.shape[0])
            for p in range(lossy.shape[0]):
                f = lossy[p]
                needed[j, p] = losses[f] * n_rows
                if fabs(sums[j, 0, f] + sums[j, 1, f]) >= needed[j, p]:
                    needed[j, p] = 0.0
                n_needed[j] += needed[j, p] > 0.0
        for i in range(labels.shape[0]):
            j = labels[i]
            if n_needed[j] == 0:
                continue
            for p in range(lossy.shape[0]):
                f = lossy[p]
                if f == n_features or not needed[j, p] > 0.0:  # the sum of weights itself was not enough
                    continue
                value = fabs(<double>x32[i, f] if is_float32 else x64[i, f])
                if sample_weight is not None:
                    value = value * sample_weight[i]
                needed[j, p] -= (value + grid[0, f]) - grid[0, f]
                n_needed[j] -= not needed[j, p] > 0.0
            if n_needed[j] == 0:
                doubtful[j] = 0
                n_doubtful -= 1
                if n_doubtful == 0:
                    break


def sum_anew(X, const double[::1] sample_weight, const int32_t[::1] labels, const uint8_t[::1] wanted,
             double[:, :, ::1] sums, double[::1] units, int n_threads):
    """Add up some clusters, each on grids of its own, chosen from its own samples.

    labels : (n_samples,); those beyond the clusters are passed over.   wanted : (n_clusters,) of 0 and 1.
    sums : (n_clusters, 2, n_features + 1), written where wanted, as those of a ClusterSums, with the weights in
    units : (n_clusters,), written where wanted: a power of two that brings the largest weight of a cluster near 1.
    """
    import numpy as np

    cdef const c.kernels *table = in_use[0]
    cdef Py_ssize_t j, n_samples = labels.shape[0], n_clusters = wanted.shape[0], n_features = X.shape[1]
    cdef int32_t[::1] rows = np.empty(n_samples, dtype=np.int32)
    cdef int32_t[::1] starts = np.empty(n_clusters + 2, dtype=np.int32)
    cdef double[::1] scaled = None if sample_weight is None else np.empty(n_samples)
    cdef double[:, :, ::1] scratch = np.empty((n_threads, 3, n_features + 1))
    cdef own_sums of
    cdef signal_watch watch
    of.is_float32 = X.dtype.itemsize == 4
    of.x = <const char *><uintptr_t>X.ctypes.data
    of.n_features = n_features
    of.weights = NULL if sample_weight is None else &sample_weight[0]
    of.scaled = NULL if sample_weight is None else &scaled[0]
    start_watch(&watch)
    with nogil:
        sort_by_label(&labels[0], n_samples, n_clusters + 1, &rows[0], &starts[0])
        for j in prange(n_clusters, schedule="dynamic", chunksize=1, num_threads=n_threads):
            if wanted[j] and not interrupted(&watch):
                sum_cluster(table, &of, &rows[starts[j]], starts[j + 1] - starts[j], &scratch[threadid(), 0, 0],
                            &sums[j, 0, 0], &units[j])
    raise_interrupt(&watch)


cdef struct own_sums:
    const char *x
    bint is_float32
    Py_ssize_t n_features
    const double *weights        # NULL for ones
    double *scaled               # [n_samples], the weights in units of their clusters


cdef void sum_cluster(const c.kernels *table, const own_sums *of, const int32_t *rows, Py_ssize_t count,
                      double *scratch, double *sums, double *unit) noexcept nogil:
    """Sums of the rows of one cluster.   scratch : [3][n_features + 1]"""
    cdef Py_ssize_t i, f, n_features = of.n_features
    cdef double *largest = scratch
    cdef double *coarse = scratch + n_features + 1
    cdef double *fine = coarse + n_features + 1
    cdef double heaviest = 0.0, weight = 1.0, value
    cdef int exponent = 1
    cdef c.sum_grid grid
    memset(sums, 0, 2 * (n_features + 1) * sizeof(double))
    memset(largest, 0, (n_features + 1) * sizeof(double))
    if of.weights != NULL:
        for i in range(count):
            heaviest = max(heaviest, of.weights[rows[i]])
        frexp(heaviest, &exponent)
    unit[0] = ldexp(1.0, exponent - 1)
    for i in range(count):
        if of.weights != NULL:
            weight = of.scaled[rows[i]] = ldexp(of.weights[rows[i]], 1 - exponent)
        largest[n_features] = max(largest[n_features], weight)
        for f in range(n_features):
            if of.is_float32:
                value = weight * fabs(<double>(<const float *>of.x)[rows[i] * n_features + f])
            else:
                value = weight * fabs((<const double *>of.x)[rows[i] * n_features + f])
            largest[f] = max(largest[f], value)
    for f in range(n_features + 1):
        choose_grid(largest[f], count, coarse + f, fine + f)
    grid.coarse, grid.fine = coarse, fine
    table.add_rows[of.is_float32](of.x, n_features, rows, count, of.scaled, grid, sums)


def move_anew(X, bint weighted, const double[:, :, ::1] sums, const double[::1] units, const uint8_t[::1] wanted,
              const double[:, ::1] centers, const double[::1] origin, double[:, ::1] moved, double[:, ::1] terms):
    """What ClusterSums.move writes, for some clusters, from sums of sum_anew; returns what it returns."""
    cdef const c.kernels *table = in_use[0]
    cdef Py_ssize_t j
    cdef bint is_float32 = X.dtype.itemsize == 4
    for j in range(wanted.shape[0]):
        if wanted[j]:
            table.move_center(&sums[j, 0, 0], X.shape[1], &centers[j, 0], &origin[0], &sums[j, 1, 0], 0.0, is_float32,
                              weighted, &moved[j, 0], &terms[j, 0])
            terms[j, 0] *= units[j]
            terms[j, 2] *= units[j]
    return totals_of(terms)

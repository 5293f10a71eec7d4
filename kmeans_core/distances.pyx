# cython: language_level=3, freethreading_compatible=True, boundscheck=False, wraparound=False, cdivision=True
# cython: initializedcheck=False
"""Distances outside the iterations: labels of new samples, distances to the own center, distances to all centers.

kind : EUCLIDEAN, MANHATTAN, or COSINE, for rows and centers of length 1: half of the squared Euclidean distance.
"""
from cython.parallel cimport prange, threadid
from libc.math cimport INFINITY, isinf, nextafter, nextafterf, sqrt
from libc.stdint cimport int32_t
from libc.stdlib cimport calloc, free

cimport kernels as c
from shared cimport (
    align, aligned, check_count, interrupted, kernels_in_use, pack_for_assign, raise_interrupt, short_unit,
    signal_watch, start_watch, unit_samples,
)

import numpy as np

cdef extern from "kernels/kernels.h" nogil:
    size_t block_samples(size_t n_features)

cdef const c.kernels **in_use = kernels_in_use()

ctypedef fused real:
    float
    double

ctypedef fused real_out:
    float
    double

cdef enum:
    _EUCLIDEAN, _MANHATTAN, _COSINE
    # To lay the centers out takes longer than the distances of so many samples to all centers in float64.
    FEW_SAMPLES = 8
    AT_ONCE = 128  # distances, on the stack
    # If blocks are fewer per thread, threads take shorter runs of samples, lest one thread be left with a block.
    FEW_BLOCKS = 8
    SHORT_RUN = 64

EUCLIDEAN, MANHATTAN, COSINE = _EUCLIDEAN, _MANHATTAN, _COSINE


cdef int check_shapes(Py_ssize_t n_features, const double[:, ::1] centers) except -1:
    """Refuse shapes that do not fit, which kernels do not check: users may replace cluster_centers_."""
    if centers.shape[0] < 1 or centers.shape[1] != n_features:
        raise ValueError(f"centers must have shape (n_clusters >= 1, {n_features}); "
                         f"got ({centers.shape[0]}, {centers.shape[1]}).")
    return 0


cdef int check_length(str name, Py_ssize_t length, Py_ssize_t wanted) except -1:
    if length != wanted:
        raise ValueError(f"{name} must have length {wanted}; got {length}.")
    return 0


def nearest(const real[:, ::1] X, const double[:, ::1] centers, int32_t[::1] labels, int n_threads,
            int kind=_EUCLIDEAN):
    """Label each sample with its float64 nearest center; a tie goes to the lowest index.

    X : (n_samples, n_features).   centers : (n_clusters, n_features), values of the stored centers.
    labels : (n_samples,) int32, written.   Returns the number of samples that needed float64.
    """
    check_shapes(X.shape[1], centers)
    cdef const c.kernels *table = in_use[0]
    cdef Py_ssize_t i, n_samples = X.shape[0], n_features = X.shape[1], n_clusters = centers.shape[0]
    check_count("n_threads", n_threads)
    check_length("labels", labels.shape[0], n_samples)
    if n_samples <= FEW_SAMPLES:
        for i in range(n_samples):
            labels[i] = nearest_of_all(table, &X[i, 0], centers, kind)
        return n_samples
    cdef Py_ssize_t block = block_samples(n_features), unit = unit_samples(n_samples, block, n_threads)
    unit = short_unit(unit, block, <double>n_clusters * n_features)
    cdef Py_ssize_t u, n_units = (n_samples + unit - 1) // unit
    cdef size_t packed_size = aligned(table.packed_bytes(n_clusters, n_features))
    cdef size_t offset_size = aligned(2 * n_features * sizeof(double))
    cdef size_t scratch_size = aligned(table.scratch_bytes(n_clusters, n_features))
    cdef void *memory = calloc(1, 128 + packed_size + offset_size + n_threads * scratch_size)
    if memory == NULL:
        raise MemoryError("no memory to lay out the centers; use fewer threads (n_threads).")
    cdef char *packed = align(memory)
    cdef double *offset = <double *>(packed + packed_size)
    cdef char *scratch = <char *>offset + offset_size
    cdef size_t n_decided = 0
    cdef signal_watch watch
    start_watch(&watch)
    with nogil:
        if kind == _MANHATTAN:
            table.find_offset(&centers[0, 0], n_clusters, n_features, offset)
            table.pack_centers_manhattan(&centers[0, 0], n_clusters, n_features, offset, sizeof(real) == 4, packed)
            table.exclude_copies(packed)
        else:
            pack_for_assign(table, &centers[0, 0], n_clusters, n_features, sizeof(real) == 4, offset, packed)
        for u in prange(n_units, schedule="dynamic", chunksize=1, num_threads=n_threads):
            if not interrupted(&watch):
                n_decided += nearest_unit(table, X, u * unit, min(unit, n_samples - u * unit), block, packed,
                                          scratch + threadid() * scratch_size, &labels[u * unit], kind)
    free(memory)
    raise_interrupt(&watch)
    return n_decided


cdef inline void compare_with_all(const c.kernels *table, const real *x, Py_ssize_t n_features, const double *centers,
                                  Py_ssize_t n_clusters, double *sq_distances, int kind) noexcept nogil:
    """Squared distances of one sample to some centers, in float64; MANHATTAN: not squared.   sq_distances : OUT."""
    if kind == _MANHATTAN:
        table.all_distances_manhattan[real is float](x, 1, n_features, centers, n_clusters, sq_distances)
    else:
        table.all_sq_distances[real is float](x, 1, n_features, centers, n_clusters, sq_distances)


cdef int32_t nearest_of_all(const c.kernels *table, const real *x, const double[:, ::1] centers,
                            int kind) noexcept nogil:
    """Label of one sample by its float64 distances to all centers."""
    cdef double[AT_ONCE] distances
    cdef double nearest = INFINITY
    cdef Py_ssize_t j, first = 0, count, n_clusters = centers.shape[0], n_features = centers.shape[1]
    cdef int32_t label = 0
    while first < n_clusters:
        count = min(<Py_ssize_t>AT_ONCE, n_clusters - first)
        compare_with_all(table, x, n_features, &centers[first, 0], count, distances, kind)
        for j in range(count):
            if distances[j] < nearest:
                nearest, label = distances[j], <int32_t>(first + j)
        first += count
    return label


cdef size_t nearest_unit(const c.kernels *table, const real[:, ::1] X, Py_ssize_t first, Py_ssize_t n_unit,
                         Py_ssize_t block, char *packed, char *scratch, int32_t *labels,
                         int kind) noexcept nogil:
    cdef Py_ssize_t done = 0, count
    cdef size_t n_decided = 0
    while done < n_unit:
        count = min(block, n_unit - done)
        if kind == _MANHATTAN:
            n_decided += table.assign_manhattan[real is float](&X[first + done, 0], count, X.shape[0] - first - done,
                                                               packed, scratch, labels + done, NULL)
        else:
            n_decided += table.assign[real is float](&X[first + done, 0], count, X.shape[0] - first - done, packed,
                                                     scratch, labels + done)
        done += count
    return n_decided


def own_sq_distances(const real[:, ::1] X, const double[:, ::1] centers, const int32_t[::1] labels,
                     double[::1] sq_distances, int n_threads, int kind=_EUCLIDEAN):
    """Squared distance of each sample to the center of its label. COSINE: half of it; MANHATTAN: not squared.

    sq_distances : (n_samples,) float64, written.
    """
    check_shapes(X.shape[1], centers)
    check_count("n_threads", n_threads)
    check_length("labels", labels.shape[0], X.shape[0])
    check_length("sq_distances", sq_distances.shape[0], X.shape[0])
    cdef const c.kernels *table = in_use[0]
    cdef Py_ssize_t n_samples = X.shape[0], n_features = X.shape[1]
    cdef Py_ssize_t block = block_samples(n_features), b, n_blocks = (n_samples + block - 1) // block
    cdef signal_watch watch
    start_watch(&watch)
    with nogil:
        for b in prange(n_blocks, schedule="static", num_threads=n_threads):
            if not interrupted(&watch):
                own_block(table, X, centers, &labels[0], b * block, min(block, n_samples - b * block),
                          &sq_distances[b * block], kind)
    raise_interrupt(&watch)


cdef void own_block(const c.kernels *table, const real[:, ::1] X, const double[:, ::1] centers, const int32_t *labels,
                    Py_ssize_t first, Py_ssize_t count, double *sq_distances, int kind) noexcept nogil:
    cdef Py_ssize_t i
    if kind == _MANHATTAN:
        table.own_distances_manhattan[real is float](&X[first, 0], count, X.shape[1], &centers[0, 0], labels + first,
                                                     sq_distances)
    else:
        table.own_sq_distances[real is float](&X[first, 0], count, X.shape[1], &centers[0, 0], labels + first,
                                              sq_distances)
    if kind == _COSINE:
        for i in range(count):
            sq_distances[i] *= 0.5


def inertia_of_blocks(const real[:, ::1] X, const double[:, ::1] centers, const int32_t[::1] labels,
                      const double[::1] sample_weight, double[::1] inertias, int n_threads, int kind=_EUCLIDEAN):
    """Sum of weight * squared distance to the own center (see own_sq_distances) over each run of 1024 samples.

    inertias : (ceil(n_samples / 1024),) float64, written. The runs depend on n_samples alone, so their sum has the
    same bits for any number of threads.
    """
    check_shapes(X.shape[1], centers)
    check_count("n_threads", n_threads)
    check_length("labels", labels.shape[0], X.shape[0])
    check_length("inertias", inertias.shape[0], (X.shape[0] + 1023) // 1024)
    if sample_weight is not None:
        check_length("sample_weight", sample_weight.shape[0], X.shape[0])
    cdef const c.kernels *table = in_use[0]
    cdef Py_ssize_t b, n_samples = X.shape[0], n_blocks = inertias.shape[0]
    cdef double[::1] terms = None
    cdef signal_watch watch
    if n_blocks == 1 and n_threads == 1:  # OpenMP takes a microsecond even for one thread
        inertias[0] = inertia_of_block(table, X, centers, &labels[0], sample_weight, 0, n_samples, kind)
        return
    start_watch(&watch)
    if n_blocks < FEW_BLOCKS * n_threads:
        terms = np.empty(n_samples)
        with nogil:
            for b in prange((n_samples + SHORT_RUN - 1) // SHORT_RUN, schedule="static", num_threads=n_threads):
                if not interrupted(&watch):
                    own_block(table, X, centers, &labels[0], b * SHORT_RUN,
                              min(<Py_ssize_t>SHORT_RUN, n_samples - b * SHORT_RUN), &terms[b * SHORT_RUN], kind)
            for b in range(n_blocks):
                inertias[b] = sum_of_block(&terms[b * 1024], sample_weight, b * 1024,
                                           min(<Py_ssize_t>1024, n_samples - b * 1024))
    else:
        with nogil:
            for b in prange(n_blocks, schedule="static", num_threads=n_threads):
                if not interrupted(&watch):
                    inertias[b] = inertia_of_block(table, X, centers, &labels[0], sample_weight, b * 1024,
                                                   min(<Py_ssize_t>1024, n_samples - b * 1024), kind)
    raise_interrupt(&watch)


cdef double inertia_of_block(const c.kernels *table, const real[:, ::1] X, const double[:, ::1] centers,
                             const int32_t *labels, const double[::1] sample_weight, Py_ssize_t first,
                             Py_ssize_t count, int kind) noexcept nogil:
    cdef double[1024] terms
    own_block(table, X, centers, labels, first, count, terms, kind)
    return sum_of_block(terms, sample_weight, first, count)


cdef double sum_of_block(double *terms, const double[::1] sample_weight, Py_ssize_t first,
                         Py_ssize_t count) noexcept nogil:
    """The sum of one run, folded in halves: no term goes through more than ten additions.   terms : overwritten."""
    cdef Py_ssize_t i, half
    if sample_weight is not None:
        for i in range(count):
            terms[i] *= sample_weight[first + i]
    while count > 1:
        half = count // 2
        for i in range(half):
            terms[i] += terms[count - half + i]
        count -= half
    return terms[0]


def pairwise(const real[:, ::1] X, const double[:, ::1] centers, real_out[:, ::1] distances, int n_threads,
             int kind=_EUCLIDEAN):
    """Distance of each sample to each center (not squared, but the cosine one is half a square).

    distances : (n_samples, n_clusters), written.

    Rounding never changes the order: the nearest center in float64 has the first of the smallest distances of its row.
    Returns the number of samples with a distance that overflows the type of distances.
    """
    check_shapes(X.shape[1], centers)
    check_count("n_threads", n_threads)
    check_length("distances", distances.shape[0], X.shape[0])
    check_length("a row of distances", distances.shape[1], centers.shape[0])
    cdef const c.kernels *table = in_use[0]
    cdef Py_ssize_t n_samples = X.shape[0], n_clusters = centers.shape[0]
    # Threads take rows of 16 384 multiply-adds and more one by one.
    cdef Py_ssize_t unit = max(<Py_ssize_t>1, <Py_ssize_t>16384 // (n_clusters * X.shape[1]))
    cdef Py_ssize_t u, n_units = (n_samples + unit - 1) // unit
    cdef size_t row_size = aligned(n_clusters * sizeof(double))
    cdef void *memory = calloc(1, 128 + n_threads * row_size)
    if memory == NULL:
        raise MemoryError("no memory for a row of distances of each thread; use fewer threads (n_threads).")
    cdef char *rows = align(memory)
    cdef Py_ssize_t n_overflowed = 0
    cdef signal_watch watch
    start_watch(&watch)
    with nogil:
        for u in prange(n_units, schedule="static", num_threads=n_threads):
            if not interrupted(&watch):
                n_overflowed += pairwise_rows(table, X, u * unit, min((u + 1) * unit, n_samples), centers,
                                              <double *>(rows + threadid() * row_size), distances, kind)
    free(memory)
    raise_interrupt(&watch)
    return n_overflowed


cdef Py_ssize_t pairwise_rows(const c.kernels *table, const real[:, ::1] X, Py_ssize_t first, Py_ssize_t end,
                              const double[:, ::1] centers, double *sq_distances, real_out[:, ::1] distances,
                              int kind) noexcept nogil:
    """Number of rows with a distance that overflows."""
    cdef Py_ssize_t i, n_overflowed = 0
    for i in range(first, end):
        n_overflowed += pairwise_row(table, X, i, centers, sq_distances, &distances[i, 0], kind)
    return n_overflowed


cdef int pairwise_row(const c.kernels *table, const real[:, ::1] X, Py_ssize_t i, const double[:, ::1] centers,
                      double *sq_distances, real_out *distances, int kind) noexcept nogil:
    cdef Py_ssize_t j, nearest = 0
    cdef int overflowed = 0
    compare_with_all(table, &X[i, 0], X.shape[1], &centers[0, 0], centers.shape[0], sq_distances, kind)
    for j in range(centers.shape[0]):
        if kind == _EUCLIDEAN:
            distances[j] = <real_out>sqrt(sq_distances[j])
        else:
            distances[j] = <real_out>(sq_distances[j] if kind == _MANHATTAN else 0.5 * sq_distances[j])
        overflowed |= isinf(distances[j])
        if sq_distances[j] < sq_distances[nearest]:
            nearest = j
    # Other distances may round to that of the nearest center. Those before it get one unit in the last place more.
    for j in range(nearest):
        if distances[j] <= distances[nearest]:
            if real_out is float:
                distances[j] = nextafterf(distances[nearest], INFINITY)
            else:
                distances[j] = nextafter(distances[nearest], INFINITY)
    return overflowed != 0

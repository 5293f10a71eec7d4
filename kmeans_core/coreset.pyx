# cython: language_level=3, freethreading_compatible=True, boundscheck=False, wraparound=False, cdivision=True
# cython: initializedcheck=False
"""Masses by which rows are drawn: whole numbers, so that sums are the same for any order and division of the rows."""
from cython.parallel cimport prange
from libc.stdint cimport int32_t, int64_t
from libc.string cimport memcpy

from shared cimport check_count, interrupted, raise_interrupt, signal_watch, start_watch

ROWS_TOGETHER = 16384  # rows of a block, for which one thread works at a time

cdef Py_ssize_t ROWS = ROWS_TOGETHER


cdef inline double weighed(const double *sq_distances, const double *weights, Py_ssize_t i) noexcept nogil:
    return sq_distances[i] if weights == NULL else weights[i] * sq_distances[i]


cdef const double *weights_of(const double[::1] sample_weight, Py_ssize_t n_samples) except? NULL:
    if sample_weight is None:
        return NULL
    if sample_weight.shape[0] != n_samples:
        raise ValueError(f"sample_weight must have length {n_samples}; got {sample_weight.shape[0]}.")
    return &sample_weight[0]


def largest_weighed(const double[::1] sq_distances, const double[::1] sample_weight, int n_threads):
    """Return the largest weight * squared distance.   sample_weight : (n_samples,) or None for ones."""
    import numpy as np

    cdef Py_ssize_t b, n_samples = sq_distances.shape[0], n_blocks = (n_samples + ROWS - 1) // ROWS
    cdef const double *weights = weights_of(sample_weight, n_samples)
    cdef double[::1] largest = np.zeros(n_blocks)
    cdef signal_watch watch
    check_count("n_threads", n_threads)
    start_watch(&watch)
    with nogil:
        for b in prange(n_blocks, schedule="static", num_threads=n_threads):
            if not interrupted(&watch):
                largest[b] = largest_of_block(&sq_distances[0], weights, b * ROWS, min((b + 1) * ROWS, n_samples))
    raise_interrupt(&watch)
    return max(largest)


cdef double largest_of_block(const double *sq_distances, const double *weights, Py_ssize_t first,
                             Py_ssize_t end) noexcept nogil:
    """Four comparisons at a time, which do not wait for each other."""
    cdef Py_ssize_t i = first, l
    cdef double[4] largest = [0.0, 0.0, 0.0, 0.0]
    while i + 4 <= end:
        for l in range(4):
            largest[l] = max(largest[l], weighed(sq_distances, weights, i + l))
        i += 4
    while i < end:
        largest[0] = max(largest[0], weighed(sq_distances, weights, i))
        i += 1
    return max(max(largest[0], largest[1]), max(largest[2], largest[3]))


cdef inline int64_t rounded_up(double value) noexcept nogil:
    """A whole number larger than the value, by at most 1; 0 for 0. The C library's ceil took longer than the rest."""
    return <int64_t>value + (value > 0.0)


def weigh(const int32_t[::1] labels, const double[::1] sq_distances, const double[::1] sample_weight, double unit,
          double per_weight, double per_distance, int64_t[::1] sizes, int n_threads):
    """Add up the weight of each cluster, and return the sum of weight * squared distance, in whole numbers.

    labels : (n_samples,), below n_clusters.   sample_weight : (n_samples,) or None for ones.
    per_weight : the number that stands for a weight of 1.
    unit, per_distance : unit * weight * squared distance is at most 1, and per_distance stands for 1.
    Fractions are rounded up.
    sizes : (n_clusters,), INOUT.
    """
    import numpy as np

    cdef Py_ssize_t b, j, n_samples = labels.shape[0], n_clusters = sizes.shape[0]
    cdef Py_ssize_t n_blocks = (n_samples + ROWS - 1) // ROWS
    cdef const double *weights = weights_of(sample_weight, n_samples)
    cdef int64_t[:, ::1] found = np.zeros((n_blocks, n_clusters + 1), dtype=np.int64)
    cdef signal_watch watch
    check_count("n_threads", n_threads)
    if sq_distances.shape[0] != n_samples:
        raise ValueError(f"sq_distances must have length {n_samples}; got {sq_distances.shape[0]}.")
    start_watch(&watch)
    with nogil:
        for b in prange(n_blocks, schedule="static", num_threads=n_threads):
            if not interrupted(&watch):
                weigh_block(&labels[0], &sq_distances[0], weights, b * ROWS, min((b + 1) * ROWS, n_samples), unit,
                            per_weight, per_distance, n_clusters, &found[b, 0])
    raise_interrupt(&watch)
    total = 0
    for b in range(n_blocks):
        for j in range(n_clusters):
            sizes[j] += found[b, j]
        total += found[b, n_clusters]
    return total


cdef void weigh_block(const int32_t *labels, const double *sq_distances, const double *weights, Py_ssize_t first,
                      Py_ssize_t end, double unit, double per_weight, double per_distance, Py_ssize_t n_clusters,
                      int64_t *found) noexcept nogil:
    """found : [n_clusters + 1], INOUT, the sizes and the total of the distances"""
    cdef Py_ssize_t i
    cdef int64_t one = <int64_t>per_weight
    for i in range(first, end):
        found[labels[i]] += one if weights == NULL else rounded_up(weights[i] * per_weight)
        found[n_clusters] += rounded_up(weighed(sq_distances, weights, i) * unit * per_distance)


def set_masses(const int32_t[::1] labels, double[::1] sq_distances, const double[::1] sample_weight,
               const double[::1] of_cluster, double unit, double of_distance, double per_mass, int n_threads):
    """Write masses as int64 into the memory of the squared distances; return the sum of each run of ROWS of them.

    sq_distances : (n_samples,), INOUT.   sample_weight : (n_samples,) or None for ones.
    of_cluster : (n_clusters,), mass per weight.
    unit, of_distance : unit * weight * squared distance is at most 1, and of_distance is the mass of 1.
    per_mass : the whole number that stands for a mass of 1. Fractions are rounded up.
    """
    import numpy as np

    cdef Py_ssize_t b, n_samples = labels.shape[0], n_blocks = (n_samples + ROWS - 1) // ROWS
    cdef const double *weights = weights_of(sample_weight, n_samples)
    sums = np.zeros(n_blocks, dtype=np.int64)
    cdef int64_t[::1] totals = sums
    cdef signal_watch watch
    check_count("n_threads", n_threads)
    if sq_distances.shape[0] != n_samples:
        raise ValueError(f"sq_distances must have length {n_samples}; got {sq_distances.shape[0]}.")
    start_watch(&watch)
    with nogil:
        for b in prange(n_blocks, schedule="static", num_threads=n_threads):
            if not interrupted(&watch):
                totals[b] = set_masses_of_block(&labels[0], &sq_distances[0], weights, &of_cluster[0], b * ROWS,
                                                min((b + 1) * ROWS, n_samples), unit, of_distance, per_mass)
    raise_interrupt(&watch)
    return sums


cdef int64_t set_masses_of_block(const int32_t *labels, double *sq_distances, const double *weights,
                                 const double *of_cluster, Py_ssize_t first, Py_ssize_t end, double unit,
                                 double of_distance, double per_mass) noexcept nogil:
    cdef Py_ssize_t i
    cdef int64_t mass, total = 0
    cdef double weight = 1.0
    for i in range(first, end):
        if weights != NULL:
            weight = weights[i]
        mass = rounded_up((of_cluster[labels[i]] * weight
                           + weighed(sq_distances, weights, i) * unit * of_distance) * per_mass)
        memcpy(&sq_distances[i], &mass, sizeof(mass))
        total += mass
    return total


def rows_at(const int64_t[::1] mass, const int64_t[::1] sums, const int64_t[::1] places, Py_ssize_t[::1] rows,
            int n_threads):
    """Find the row at which the running sum of the masses passes each place.

    mass : (n_samples,), not negative.   sums : (ceil(n_samples / ROWS),), that of each run of ROWS masses.
    places : (count,), ascending, from 0 to below the sum of the masses.   rows : (count,), written.
    """
    import numpy as np

    cdef Py_ssize_t b, n_samples = mass.shape[0], n_blocks = (n_samples + ROWS - 1) // ROWS, count = places.shape[0]
    cdef signal_watch watch
    check_count("n_threads", n_threads)
    if rows.shape[0] != count or sums.shape[0] != n_blocks:
        raise ValueError(f"rows must have length {count}, sums {n_blocks}; got {rows.shape[0]} and {sums.shape[0]}.")
    ends = np.cumsum(sums)
    if count and not 0 <= places[0] <= places[count - 1] < ends[n_blocks - 1]:
        raise ValueError(f"places must be from 0 to below the sum of the masses, {ends[n_blocks - 1]}; got "
                         f"{places[0]} to {places[count - 1]}.")
    cdef const int64_t[::1] end_view = ends
    cdef const Py_ssize_t[::1] first = np.searchsorted(places, ends - sums).astype(np.intp)
    start_watch(&watch)
    with nogil:
        for b in prange(n_blocks, schedule="static", num_threads=n_threads):
            if not interrupted(&watch):
                rows_of_block(mass, b * ROWS, min((b + 1) * ROWS, n_samples), end_view[b] - sums[b], end_view[b],
                              places, first[b], rows)
    raise_interrupt(&watch)


cdef void rows_of_block(const int64_t[::1] mass, Py_ssize_t i, Py_ssize_t end, int64_t running, int64_t last,
                        const int64_t[::1] places, Py_ssize_t p, Py_ssize_t[::1] rows) noexcept nogil:
    """Rows from i to end, whose masses reach from `running` to `last`.   p : the first place that is not below."""
    cdef Py_ssize_t count = places.shape[0]
    while i < end and p < count and places[p] < last:
        running += mass[i]
        while p < count and places[p] < running:
            rows[p] = i
            p += 1
        i += 1

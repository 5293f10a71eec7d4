# cython: language_level=3, freethreading_compatible=True, boundscheck=False, wraparound=False, cdivision=True
# cython: initializedcheck=False
"""Mean distances of samples to their own cluster and to the nearest other one."""
from cython.parallel cimport prange, threadid
from libc.math cimport INFINITY
from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

cimport kernels as c
from shared cimport align, aligned, check_count, interrupted, kernels_in_use, raise_interrupt, signal_watch, start_watch

cdef extern from "memory.h" nogil:
    void *take_zeros(size_t size)

cdef const c.kernels **in_use = kernels_in_use()

ctypedef fused real:
    float
    double

ctypedef fused other_real:
    float
    double


cdef c.add_distances adder(const c.kernels *table, str metric) except NULL:
    if metric == "euclidean":
        return table.add_euclidean
    if metric == "manhattan":
        return table.add_manhattan
    if metric == "cosine":
        return table.add_cosine
    raise ValueError(f"metric must be 'euclidean', 'manhattan' or 'cosine'; got {metric!r}.")


cdef Py_ssize_t eights_within(Py_ssize_t n_values, Py_ssize_t n_features) noexcept nogil:
    """Rows, in whole eights, that hold about n_values."""
    return max(<Py_ssize_t>8, n_values // n_features // 8 * 8)


def mean_distances(const real[:, ::1] X, const int64_t[::1] rows, const int64_t[::1] labels,
                   const other_real[:, ::1] others, const int64_t[::1] order, const int32_t[::1] runs,
                   const double[::1] per_sum, const double[::1] offset, str metric, double[::1] own,
                   double[::1] nearest, int n_threads):
    """Mean distance of the listed rows of X to the others of their own cluster, and the least one to another cluster.

    rows : (n_rows,), of X.   order : (n_others,), rows of `others` by cluster.   runs : (n_others + 1,), their
    clusters, ascending, then -1.   per_sum, offset : (n_clusters,); a mean distance is sum * per_sum + offset.
    metric : "cosine" takes rows of length 1.
    labels, own, nearest : (n_rows rounded up to 8,); the own cluster of each row; both means, written.
    """
    cdef const c.kernels *table = in_use[0]
    cdef c.add_distances add = adder(table, metric)
    cdef Py_ssize_t n_rows = rows.shape[0], n_others = order.shape[0], n_features = X.shape[1]
    cdef Py_ssize_t padded = (n_rows + 7) // 8 * 8
    if others.shape[1] != n_features or n_rows < 1 or n_others < 1 or runs.shape[0] != n_others + 1:
        raise ValueError("mean_distances got shapes that do not fit together.")
    check_count("n_threads", n_threads)
    if labels.shape[0] != padded or own.shape[0] != padded or nearest.shape[0] != padded:
        raise ValueError("mean_distances got shapes that do not fit together.")
    # Others of 16 KiB stay in the first-level cache while samples of 256 KiB stream in from the second.
    cdef Py_ssize_t block = eights_within(2048, n_features)
    cdef Py_ssize_t unit = min(eights_within(32768, n_features), <Py_ssize_t>512,
                               n_rows // (16 * n_threads) // 8 * 8 + 8)
    cdef Py_ssize_t u, n_units = (n_rows + unit - 1) // unit
    cdef size_t sample_size = aligned(unit * n_features * sizeof(double)), sum_size = aligned(unit * sizeof(double))
    cdef size_t size = sample_size + sum_size + aligned(block * n_features * sizeof(double))
    cdef void *memory = calloc(1, 128 + n_threads * size)
    if memory == NULL:
        raise MemoryError("no memory for the samples of each thread; use fewer threads (n_threads).")
    cdef char *scratch = align(memory)
    cdef signal_watch watch
    start_watch(&watch)
    with nogil:
        for u in prange(n_units, schedule="dynamic", chunksize=1, num_threads=n_threads):
            unit_distances(&watch, table, add, X, rows, u * unit, min(unit, n_rows - u * unit), labels, others, order,
                           runs, per_sum, offset, block, scratch + threadid() * size, sample_size, sum_size, own,
                           nearest)
    free(memory)
    raise_interrupt(&watch)


cdef void unit_distances(signal_watch *watch, const c.kernels *table, c.add_distances add, const real[:, ::1] X,
                         const int64_t[::1] rows, Py_ssize_t first, Py_ssize_t n_unit, const int64_t[::1] labels,
                         const other_real[:, ::1] others, const int64_t[::1] order, const int32_t[::1] runs,
                         const double[::1] per_sum, const double[::1] offset, Py_ssize_t block, char *scratch,
                         size_t sample_size, size_t sum_size, double[::1] own, double[::1] nearest) noexcept nogil:
    """The rows from `first` on, against all others."""
    cdef double *samples = <double *>scratch
    cdef double *sums = <double *>(scratch + sample_size)
    cdef double *eights = <double *>(scratch + sample_size + sum_size)
    cdef Py_ssize_t n_features = X.shape[1], n_others = order.shape[0], done = 0, count
    cdef c.cluster_runs from_here
    from_here.per_sum = &per_sum[0]
    from_here.offset = &offset[0]
    table.gather_eights[real is float](&X[0, 0], n_features, &rows[first], n_unit, samples)
    memset(sums, 0, sum_size)
    while done < n_others and not interrupted(watch):
        count = min(block, n_others - done)
        table.gather_eights[other_real is float](&others[0, 0], n_features, &order[done], count, eights)
        from_here.labels = &runs[done]
        add(samples, n_unit, eights, count, n_features, &from_here, &labels[first], sums, &own[first],
            &nearest[first])
        done += count


def labelled_sums(const real[:, ::1] X, const int64_t[::1] rows, const int64_t[::1] others,
                  const int32_t[:, ::1] labels, str metric, double[:, :, ::1] sums, int n_threads):
    """Sums of the distances of listed rows of X to other listed rows, by each of several labelings of the others.

    rows : (n_rows,).   others : (n_others,).   metric : "euclidean" or "manhattan".
    labels : (n_labelings, n_others), places in sums; each labeling has places of its own.
    sums : OUT (n_rows / 8 rounded up, places, 8), padded by copies of the sums of the last row.
    """
    cdef const c.kernels *table = in_use[0]
    cdef c.add_labelled add = table.add_euclidean_labelled if metric == "euclidean" else table.add_manhattan_labelled
    cdef Py_ssize_t n_rows = rows.shape[0], n_others = others.shape[0], n_features = X.shape[1]
    cdef Py_ssize_t n_eights = (n_rows + 7) // 8, padded = (n_others + 7) // 8 * 8, u
    if metric not in ("euclidean", "manhattan"):
        raise ValueError(f"metric must be 'euclidean' or 'manhattan'; got {metric!r}.")
    check_count("n_threads", n_threads)
    if labels.shape[1] != n_others or sums.shape[0] != n_eights or sums.shape[2] != 8 or n_rows < 1 or n_others < 1:
        raise ValueError("labelled_sums got shapes that do not fit together.")
    # Distances to so many others, 32 KiB, stay in or close to the first-level cache for all labelings.
    cdef Py_ssize_t block = 512
    cdef size_t sample_size = aligned(8 * n_features * sizeof(double))
    cdef size_t distance_size = aligned(block * 8 * sizeof(double))
    cdef size_t other_size = aligned(padded * n_features * sizeof(double)), size = sample_size + distance_size
    cdef void *memory = take_zeros(128 + other_size + n_threads * size)
    if memory == NULL:
        raise MemoryError("no memory for a float64 copy of the rows that are compared with; pass fewer samples.")
    cdef double *eights = <double *>align(memory)
    cdef char *scratch = <char *>eights + other_size
    cdef signal_watch watch
    try:
        lay_eights(X, others, <double[:padded * n_features]>eights, n_threads)
        start_watch(&watch)
        with nogil:
            for u in prange(n_eights, schedule="dynamic", chunksize=1, num_threads=n_threads):
                if not interrupted(&watch):
                    eight_sums(table, add, X, &rows[u * 8], min(<Py_ssize_t>8, n_rows - u * 8), eights, n_others,
                               labels, block, scratch + threadid() * size, sample_size, &sums[u, 0, 0], sums.shape[1])
        raise_interrupt(&watch)
    finally:
        free(memory)


cdef void eight_sums(const c.kernels *table, c.add_labelled add, const real[:, ::1] X, const int64_t *rows,
                     Py_ssize_t n_rows, const double *others, Py_ssize_t n_others, const int32_t[:, ::1] labels,
                     Py_ssize_t block, char *scratch, size_t sample_size, double *sums,
                     Py_ssize_t n_places) noexcept nogil:
    """Up to eight rows, against all others."""
    cdef double *samples = <double *>scratch
    cdef double *distances = <double *>(scratch + sample_size)
    cdef Py_ssize_t n_features = X.shape[1], first = 0
    memset(sums, 0, n_places * 8 * sizeof(double))
    table.gather_eights[real is float](&X[0, 0], n_features, rows, n_rows, samples)
    while first < n_others:
        add(samples, others + first * n_features, min(block, n_others - first), n_features, &labels[0, first],
            labels.shape[0], labels.shape[1], distances, sums)
        first = first + block


def lay_eights(const real[:, ::1] X, const int64_t[::1] rows, double[::1] eights, int n_threads):
    """Lay listed rows out side by side, as float64.

    rows : (n_rows,).   eights : OUT, of n_rows rounded up to a multiple of 8, times n_features.
    """
    cdef const c.kernels *table = in_use[0]
    cdef Py_ssize_t n_features = X.shape[1], n_rows = rows.shape[0], block = 512
    cdef Py_ssize_t b, n_blocks = (n_rows + block - 1) // block
    if eights.shape[0] < (n_rows + 7) // 8 * 8 * n_features:
        raise ValueError("lay_eights got too little room for its rows.")
    check_count("n_threads", n_threads)
    cdef signal_watch watch
    start_watch(&watch)
    with nogil:
        for b in prange(n_blocks, schedule="static", num_threads=n_threads):
            if interrupted(&watch):
                pass
            else:
                table.gather_eights[real is float](&X[0, 0], n_features, &rows[b * block],
                                                   min(block, n_rows - b * block), &eights[b * block * n_features])
    raise_interrupt(&watch)


def judge_blocks(const real[:, ::1] X, const double[::1] eights, const int32_t[::1] labels, sample_weight,
                 const double[:, ::1] centers, const double[:, ::1] means, Py_ssize_t block, double[:, ::1] sums,
                 int n_threads):
    """How well samples fit their clusters, by blocks of samples.

    eights : the samples, see lay_eights.   block : a multiple of 8.
    labels : (n_samples,), rows of centers.   sample_weight : (n_samples,) float64 or None for ones.
    centers, means : (n_clusters >= 2, n_features).
    sums : OUT (n_blocks, 1 + n_clusters): of weight times simplified silhouette, then for each cluster of weight times
    distance to its mean.
    """
    cdef const c.kernels *table = in_use[0]
    cdef Py_ssize_t n_samples = X.shape[0], n_features = X.shape[1], n_clusters = centers.shape[0]
    cdef Py_ssize_t b, n_blocks = (n_samples + block - 1) // block
    cdef const double[::1] weights = sample_weight
    if labels.shape[0] != n_samples or centers.shape[1] != n_features or sums.shape[0] != n_blocks or n_clusters < 2 \
            or sums.shape[1] != 1 + n_clusters or means.shape[0] != n_clusters or means.shape[1] != n_features \
            or eights.shape[0] < (n_samples + 7) // 8 * 8 * n_features or block % 8:
        raise ValueError("judge_blocks got shapes that do not fit together.")
    check_count("n_threads", n_threads)
    cdef const double *weight = NULL if sample_weight is None else &weights[0]
    cdef signal_watch watch
    start_watch(&watch)
    with nogil:
        for b in prange(n_blocks, schedule="dynamic", chunksize=1, num_threads=n_threads):
            if not interrupted(&watch):
                judge_block(table, X, eights, b * block, min(block, n_samples - b * block), labels, weight, centers,
                            means, sums, b)
    raise_interrupt(&watch)


cdef void judge_block(const c.kernels *table, const real[:, ::1] X, const double[::1] eights, Py_ssize_t first,
                      Py_ssize_t count, const int32_t[::1] labels, const double *weight,
                      const double[:, ::1] centers, const double[:, ::1] means, double[:, ::1] sums,
                      Py_ssize_t b) noexcept nogil:
    cdef const double *own_eights = &eights[first * X.shape[1]]
    if weight != NULL:
        weight += first
    table.judge[real is float](&X[first, 0], own_eights, count, X.shape[1], &labels[first], weight, &centers[0, 0],
                               &means[0, 0], centers.shape[0], &sums[b, 0])


def pair_mean_distances(const real[:, ::1] X, const int64_t[::1] order, const int32_t[::1] runs,
                        const double[::1] per_sum, str metric, double[::1] own, double[::1] nearest, int n_threads):
    """The means of mean_distances for all rows, each pair computed once; in the given order.

    order : (n_samples,), rows of X by cluster.   runs : (n_samples rounded up to 8,), their clusters, then -1.
    per_sum : (n_clusters,).   own, nearest : (n_samples,), written.
    Needs memory for a float64 copy of X, and 8 bytes per row and cluster.
    """
    cdef const c.kernels *table = in_use[0]
    cdef c.add_pairs add = table.add_euclidean_pairs if metric == "euclidean" else table.add_manhattan_pairs
    cdef Py_ssize_t n_samples = X.shape[0], n_features = X.shape[1], n_clusters = per_sum.shape[0]
    cdef Py_ssize_t padded = (n_samples + 7) // 8 * 8
    check_count("n_threads", n_threads)
    if order.shape[0] != n_samples or runs.shape[0] != padded or own.shape[0] != n_samples \
            or nearest.shape[0] != n_samples:
        raise ValueError("pair_mean_distances got shapes that do not fit together.")
    # The size of a block sets the order of the sums, so it depends on the shape alone. It makes some 40 phases, because
    # threads wait for each other after each.
    cdef Py_ssize_t block = max(<Py_ssize_t>256, min(n_samples // 40, <Py_ssize_t>1024)) // 8 * 8
    cdef Py_ssize_t b, phase, n_blocks = (n_samples + block - 1) // block
    cdef size_t eights_size = aligned(padded * n_features * sizeof(double))
    cdef void *memory = take_zeros(128 + eights_size + padded * n_clusters * sizeof(double))
    if memory == NULL:
        raise MemoryError("no memory for a float64 copy of X and the sums of its rows; pass fewer samples.")
    cdef double *eights = <double *>align(memory)
    cdef double *sums = <double *>(<char *>eights + eights_size)
    cdef signal_watch watch
    try:
        lay_eights(X, order, <double[:padded * n_features]>eights, n_threads)
        # A round-robin: in each phase every block meets one other block, or itself, so no sum has two writers. The
        # order of the phases does not depend on the number of threads.
        start_watch(&watch)
        for phase in range(n_blocks):
            with nogil:
                for b in prange(n_blocks, schedule="dynamic", chunksize=1, num_threads=n_threads):
                    meet(&watch, add, eights, sums, &runs[0], b, (phase - b + n_blocks) % n_blocks, block, padded,
                         n_features, n_clusters)
            raise_interrupt(&watch)
        with nogil:
            for b in prange(n_samples, schedule="static", num_threads=n_threads):
                compare(sums + b // 8 * 8 * n_clusters + b % 8, runs[b], per_sum, &own[b], &nearest[b])
    finally:
        free(memory)


cdef void meet(signal_watch *watch, c.add_pairs add, const double *eights, double *sums, const int32_t *runs,
               Py_ssize_t one, Py_ssize_t other, Py_ssize_t block, Py_ssize_t padded, Py_ssize_t n_features,
               Py_ssize_t n_clusters) noexcept nogil:
    """All pairs of two blocks. Of the calls with either block first, one does the work."""
    if one > other:
        return
    cdef Py_ssize_t i = one * block, end = min(i + block, padded), j = other * block, count
    cdef Py_ssize_t within = eights_within(16384, n_features)  # samples of 128 KiB stay in the second-level cache
    while i < end and not interrupted(watch):
        count = min(within, end - i)
        add(eights + i * n_features, count, runs + i, sums + i * n_clusters,
            eights + j * n_features, min(block, padded - j), runs + j, NULL if one == other else sums + j * n_clusters,
            n_features, n_clusters)
        i += count


cdef void compare(const double *sums, int32_t label, const double[::1] per_sum, double *own,
                  double *nearest) noexcept nogil:
    """The means of one sample from its sums, 8 apart."""
    cdef Py_ssize_t j
    nearest[0] = INFINITY
    for j in range(per_sum.shape[0]):
        if j == label:
            own[0] = sums[j * 8] * per_sum[j]
        else:
            nearest[0] = min(nearest[0], sums[j * 8] * per_sum[j])

# cython: language_level=3, freethreading_compatible=True, boundscheck=False, wraparound=False, cdivision=True
# cython: initializedcheck=False
"""Choose samples for empty clusters to take."""
from libc.stdint cimport int32_t
from libc.stdlib cimport free, malloc

cimport kernels as c
from shared cimport (
    arena, arena_bytes, arena_in, check_shape, interrupted, kernels_in_use, raise_interrupt, signal_watch,
    sort_by_label, start_watch, take,
)

cdef const c.kernels **in_use = kernels_in_use()

cdef enum:
    EUCLIDEAN, MANHATTAN, COSINE  # as in distances.pyx


cdef struct crowd:
    # Samples in the order of their clusters, and what is left to gain in each cluster.
    Py_ssize_t n_samples, n_features, n_clusters
    int kind
    double *values               # [n_samples][n_features]
    double *weights              # [n_samples]
    double *distances            # [n_samples]: to the nearest center, chosen ones included
    double *to_new               # [n_samples]
    double *inertias             # [n_clusters]
    int32_t *farthest            # [n_clusters]: place of the sample; -1 if none is apart from all centers
    int32_t *order               # [n_samples]: numbers of the samples
    int32_t *starts              # [n_clusters + 1]
    int32_t *zeros               # [n_samples]


cdef size_t divide(crowd *of, void *memory) noexcept nogil:
    """Divide memory, or count its bytes: see arena.h."""
    cdef arena parts = arena_in(memory)
    of.values = <double *>take(&parts, of.n_samples * of.n_features * sizeof(double))
    of.weights = <double *>take(&parts, of.n_samples * sizeof(double))
    of.distances = <double *>take(&parts, of.n_samples * sizeof(double))
    of.to_new = <double *>take(&parts, of.n_samples * sizeof(double))
    of.inertias = <double *>take(&parts, of.n_clusters * sizeof(double))
    of.farthest = <int32_t *>take(&parts, of.n_clusters * sizeof(int32_t))
    of.order = <int32_t *>take(&parts, of.n_samples * sizeof(int32_t))
    of.starts = <int32_t *>take(&parts, (of.n_clusters + 1) * sizeof(int32_t))
    of.zeros = <int32_t *>take(&parts, of.n_samples * sizeof(int32_t))
    return arena_bytes(&parts)


def spread(const double[:, ::1] values, const double[::1] weights, const int32_t[::1] labels,
           const double[::1] distances, Py_ssize_t[::1] rows_left, Py_ssize_t[::1] chosen, int kind):
    """Choose samples one after the other: each time the farthest one of the cluster with the largest remaining inertia.

    The other samples of that cluster may be nearer to the chosen one than to their center. Their distances are lowered.

    values : (n_samples, n_features).   weights : (n_samples,).   labels : (n_samples,) int32, below n_clusters.
    distances : (n_samples,), to the center of the label, squared if Euclidean.   kind : see distances.pyx.
    rows_left : (n_clusters,), samples with weight in each cluster, less those chosen. The last one is never chosen.
    chosen : (most,), written: indices of samples.   Returns how many were chosen.
    Of equals the first sample is chosen, and the lowest cluster.
    """
    cdef crowd of
    cdef Py_ssize_t n_chosen = 0
    of.n_samples, of.n_features, of.n_clusters = values.shape[0], values.shape[1], rows_left.shape[0]
    of.kind = kind
    check_shape("values", weights.shape[0], labels.shape[0], of.n_samples, of.n_samples)
    check_shape("distances", distances.shape[0], of.n_features, of.n_samples, of.n_features)
    if of.n_samples == 0 or chosen.shape[0] == 0:
        return 0
    cdef void *memory = malloc(divide(&of, NULL))
    if memory == NULL:
        raise MemoryError("no memory to choose samples for empty clusters; ask for fewer clusters.")
    divide(&of, memory)
    cdef signal_watch watch
    start_watch(&watch)
    with nogil:
        lay_out(&of, &values[0, 0], &weights[0], &labels[0], &distances[0])
        n_chosen = choose(&of, &rows_left[0], &chosen[0], chosen.shape[0], &watch)
    free(memory)
    raise_interrupt(&watch)
    return n_chosen


cdef void lay_out(crowd *of, const double *values, const double *weights, const int32_t *labels,
                  const double *distances) noexcept nogil:
    cdef Py_ssize_t i, f, p, j
    sort_by_label(labels, of.n_samples, of.n_clusters, of.order, of.starts)
    for p in range(of.n_samples):
        i = of.order[p]
        of.weights[p], of.distances[p], of.zeros[p] = weights[i], distances[i], 0
        for f in range(of.n_features):
            of.values[p * of.n_features + f] = values[i * of.n_features + f]
    for j in range(of.n_clusters):
        weigh(of, j)


cdef void weigh(crowd *of, Py_ssize_t j) noexcept nogil:
    """Add up what is left of the inertia of cluster j, and find its farthest sample."""
    cdef Py_ssize_t p
    cdef double inertia = 0.0, largest = 0.0
    of.farthest[j] = -1
    for p in range(of.starts[j], of.starts[j + 1]):
        if of.weights[p] > 0.0:
            inertia += of.weights[p] * of.distances[p]
            if of.distances[p] > largest:
                largest = of.distances[p]
                of.farthest[j] = <int32_t>p
    of.inertias[j] = inertia


cdef Py_ssize_t choose(crowd *of, Py_ssize_t *rows_left, Py_ssize_t *chosen, Py_ssize_t most,
                       signal_watch *watch) noexcept nogil:
    cdef Py_ssize_t j, worst, n_chosen = 0
    while n_chosen < most and not interrupted(watch):
        worst = -1
        for j in range(of.n_clusters):
            if of.farthest[j] >= 0 and rows_left[j] > 1 and (worst < 0 or of.inertias[j] > of.inertias[worst]):
                worst = j
        if worst < 0:
            break
        chosen[n_chosen] = of.order[of.farthest[worst]]
        n_chosen += 1
        rows_left[worst] -= 1
        lower(of, worst)
        weigh(of, worst)
    return n_chosen


cdef void lower(crowd *of, Py_ssize_t j) noexcept nogil:
    """Lower the distances of cluster j by a center on its farthest sample."""
    cdef const c.kernels *table = in_use[0]
    cdef Py_ssize_t p, first = of.starts[j], count = of.starts[j + 1] - of.starts[j]
    cdef const double *center = of.values + of.farthest[j] * of.n_features
    cdef const double *x = of.values + first * of.n_features
    cdef double share = 0.5 if of.kind == COSINE else 1.0
    if of.kind == MANHATTAN:
        table.own_distances_manhattan[0](x, count, of.n_features, center, of.zeros, of.to_new)
    else:
        table.own_sq_distances[0](x, count, of.n_features, center, of.zeros, of.to_new)
    for p in range(count):
        if share * of.to_new[p] < of.distances[first + p]:
            of.distances[first + p] = share * of.to_new[p]

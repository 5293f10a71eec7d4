# cython: language_level=3, freethreading_compatible=True, boundscheck=False, wraparound=False, cdivision=True
# cython: initializedcheck=False
"""Choose samples for empty clusters to take."""
from libc.math cimport INFINITY
from libc.stdint cimport int32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

cimport kernels as c
from shared cimport (
    arena, arena_bytes, arena_in, check_shape, interrupted, kernels_in_use, raise_interrupt, signal_watch,
    sort_by_label, start_watch, take,
)

cdef const c.kernels **in_use = kernels_in_use()

cdef enum:
    EUCLIDEAN, MANHATTAN, COSINE  # as in distances.pyx

cdef enum:
    # A cluster may be split at its farthest sample, and at so many others.
    N_CANDIDATES = 3
    N_BINS = 32


cdef struct part:
    # Some samples of one cluster: from `start` to `end`.
    # value : what is left of their inertia, or, once `chosen` is known, what a center more saves
    Py_ssize_t start, end, cluster, chosen
    double value


cdef struct crowd:
    # Samples part by part.
    Py_ssize_t n_samples, n_features, n_clusters, n_parts, most_parts
    int kind
    double *values               # [n_samples][n_features]
    double *weights              # [n_samples]: 0 for chosen ones
    double *distances            # [n_samples]: to the nearest center, or to where it will move
    int32_t *order               # [n_samples]: numbers of the samples
    int32_t *starts              # [n_clusters + 1]
    part *parts                  # [most_parts]
    double *to_new               # [N_CANDIDATES + 1][n_samples]: distances of the samples of a part to each candidate
    double *after                # [n_samples]: distances after the split of the part
    int32_t *is_near             # [n_samples]: 1 if the split gives the sample to the new center, else 0
    double *means                # [2][n_features]
    double *scratch              # [n_samples][n_features + 3]
    int32_t *zeros               # [n_samples]


cdef size_t divide(crowd *of, void *memory) noexcept nogil:
    """Divide memory, or count its bytes: see arena.h."""
    cdef arena parts = arena_in(memory)
    cdef size_t n = of.n_samples
    of.values = <double *>take(&parts, n * of.n_features * sizeof(double))
    of.weights = <double *>take(&parts, n * sizeof(double))
    of.distances = <double *>take(&parts, n * sizeof(double))
    of.order = <int32_t *>take(&parts, n * sizeof(int32_t))
    of.starts = <int32_t *>take(&parts, (of.n_clusters + 1) * sizeof(int32_t))
    of.parts = <part *>take(&parts, of.most_parts * sizeof(part))
    of.to_new = <double *>take(&parts, (N_CANDIDATES + 1) * n * sizeof(double))
    of.after = <double *>take(&parts, n * sizeof(double))
    of.is_near = <int32_t *>take(&parts, n * sizeof(int32_t))
    of.means = <double *>take(&parts, 2 * of.n_features * sizeof(double))
    of.scratch = <double *>take(&parts, n * (of.n_features + 3) * sizeof(double))
    of.zeros = <int32_t *>take(&parts, n * sizeof(int32_t))
    return arena_bytes(&parts)


def spread(const double[:, ::1] values, const double[::1] weights, const int32_t[::1] labels,
           const double[::1] distances, Py_ssize_t[::1] rows_left, Py_ssize_t[::1] chosen, int kind):
    """Choose samples one after the other: each time where a center more saves most.

    A cluster is split at one of few samples: the farthest one, and some at even shares of its inertia. The samples
    nearer to it than to their center go with it. If distances are Euclidean, both parts are served by their means from
    then on, and the sample nearest to its mean is the one that is chosen; else the split sample. The parts may be split
    again.

    values : (n_samples, n_features).   weights : (n_samples,).   labels : (n_samples,) int32, below n_clusters.
    distances : (n_samples,), to the center of the label, squared if Euclidean.   kind : see distances.pyx.
    rows_left : (n_clusters,), samples with weight in each cluster, less those chosen. The last one is never chosen.
    chosen : (most,), written: indices of samples.   Returns how many were chosen.
    Of equals the first sample is chosen, and the lowest cluster.
    """
    cdef crowd of
    cdef Py_ssize_t n_chosen = 0
    of.n_samples, of.n_features, of.n_clusters = values.shape[0], values.shape[1], rows_left.shape[0]
    of.kind, of.most_parts = kind, of.n_clusters + chosen.shape[0]
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
    cdef Py_ssize_t i, p, j
    sort_by_label(labels, of.n_samples, of.n_clusters, of.order, of.starts)
    memset(of.zeros, 0, of.n_samples * sizeof(int32_t))
    for p in range(of.n_samples):
        i = of.order[p]
        of.weights[p], of.distances[p] = weights[i], distances[i]
        memcpy(of.values + p * of.n_features, values + i * of.n_features, of.n_features * sizeof(double))
    of.n_parts = of.n_clusters
    for j in range(of.n_clusters):
        of.parts[j].start, of.parts[j].end, of.parts[j].cluster = of.starts[j], of.starts[j + 1], j
        weigh(of, of.parts + j)


cdef void weigh(crowd *of, part *own) noexcept nogil:
    """Add up what is left of the inertia of a part that was not split on trial."""
    cdef Py_ssize_t p
    own.value, own.chosen = 0.0, -1
    for p in range(own.start, own.end):
        own.value += of.weights[p] * of.distances[p]


cdef Py_ssize_t choose(crowd *of, Py_ssize_t *rows_left, Py_ssize_t *chosen, Py_ssize_t most,
                       signal_watch *watch) noexcept nogil:
    """The inertia of a part is the most that its split may save: only parts of the largest inertia are tried."""
    cdef Py_ssize_t j, n_chosen = 0
    cdef part *best
    cdef part *other
    while n_chosen < most and not interrupted(watch):
        best = NULL
        for j in range(of.n_parts):
            other = of.parts + j
            if other.value > 0.0 and (best == NULL or other.value >= best.value) and rows_left[other.cluster] > 1:
                if best == NULL or other.value > best.value or other.cluster < best.cluster:
                    best = other
        if best == NULL:
            break
        if best.chosen < 0:
            split(of, best)
            continue
        chosen[n_chosen] = of.order[best.chosen]
        n_chosen += 1
        rows_left[best.cluster] -= 1
        of.weights[best.chosen] = 0.0
        part_ways(of, best)
    return n_chosen


cdef void split(crowd *of, part *own) noexcept nogil:
    """Split a part on trial: find the sample to choose, and what is saved."""
    cdef const double *to_new
    cdef Py_ssize_t p, at = best_candidate(of, own, &to_new)
    cdef double masses[2]
    cdef double before = 0.0, after = 0.0
    masses[0] = masses[1] = 0.0
    for p in range(own.start, own.end):
        of.is_near[p] = to_new[p - own.start] < of.distances[p]
        masses[of.is_near[p]] += of.weights[p]
        of.after[p] = to_new[p - own.start] if to_new[p - own.start] < of.distances[p] else of.distances[p]
    own.chosen = at
    if of.kind == EUCLIDEAN and masses[0] > 0.0 and masses[1] > 0.0:
        move_halves(of, own, at, masses)
    for p in range(own.start, own.end):
        before += of.weights[p] * of.distances[p]
        after += of.weights[p] * of.after[p]
    own.value = before - after


cdef void move_halves(crowd *of, part *own, Py_ssize_t at, const double *masses) noexcept nogil:
    """Let the means of both halves serve them, and choose the sample nearest to its mean.

    Sums are those of differences to a sample, so that the mean of equal samples is exact.
    """
    cdef Py_ssize_t p, f, h, first[2]
    cdef const double *row
    cdef const double *base
    cdef double nearest = INFINITY
    first[0], first[1] = own.start, at
    while of.is_near[first[0]] or not of.weights[first[0]] > 0.0:
        first[0] += 1
    memset(of.means, 0, 2 * of.n_features * sizeof(double))
    for p in range(own.start, own.end):
        h = of.is_near[p]
        row, base = of.values + p * of.n_features, of.values + first[h] * of.n_features
        for f in range(of.n_features):
            of.means[h * of.n_features + f] += of.weights[p] * (row[f] - base[f])
    for h in range(2):
        for f in range(of.n_features):
            of.means[h * of.n_features + f] = of.values[first[h] * of.n_features + f] + \
                of.means[h * of.n_features + f] / masses[h]
    find_distances(of, own, of.means, of.is_near + own.start, of.after + own.start)
    for p in range(own.start, own.end):
        if of.is_near[p] and of.after[p] < nearest and of.weights[p] > 0.0:
            nearest, own.chosen = of.after[p], p


cdef Py_ssize_t best_candidate(crowd *of, part *own, const double **to_best) noexcept nogil:
    """The sample that lowers the distances of the others most. The order of the samples does not matter.

    to_best : OUT [end - start], the distances to it.
    """
    cdef Py_ssize_t candidates[N_CANDIDATES + 1]
    cdef Py_ssize_t i, p, best
    cdef double drop, lower, most = -1.0
    cdef double *to_new
    candidates[N_CANDIDATES] = best = farthest(of, own)
    at_even_shares(of, own, of.distances[best], candidates)
    for i in range(N_CANDIDATES + 1):
        if i > 0 and candidates[i] == candidates[i - 1]:
            continue
        to_new = of.to_new + i * of.n_samples
        find_distances(of, own, of.values + candidates[i] * of.n_features, of.zeros, to_new)
        drop = 0.0
        for p in range(own.start, own.end):
            lower = of.distances[p] - to_new[p - own.start]
            drop += of.weights[p] * (lower if lower > 0.0 else 0.0)
        if drop > most:
            best, most, to_best[0] = candidates[i], drop, to_new
    return best


cdef void at_even_shares(crowd *of, part *own, double largest, Py_ssize_t *places) noexcept nogil:
    """Samples in the middle of even shares of what is left of the inertia of a part, as far as bins of distances tell.

    Of the samples in a bin it is the nearest one. So the order of the samples does not matter.
    """
    cdef double masses[N_BINS]
    cdef Py_ssize_t nearest[N_BINS]
    cdef Py_ssize_t p, n, bin_ = 0
    cdef double passed
    for n in range(N_BINS):
        masses[n], nearest[n] = 0.0, -1
    for p in range(own.start, own.end):
        if of.weights[p] * of.distances[p] > 0.0:
            n = min(<Py_ssize_t>(of.distances[p] / largest * N_BINS), N_BINS - 1)
            masses[n] += of.weights[p] * of.distances[p]
            if nearest[n] < 0 or of.distances[p] < of.distances[nearest[n]]:
                nearest[n] = p
    passed = masses[0]
    for n in range(N_CANDIDATES):
        while bin_ < N_BINS - 1 and (nearest[bin_] < 0 or not passed > (n + 0.5) / N_CANDIDATES * own.value):
            bin_ += 1
            passed += masses[bin_]
        places[n] = nearest[bin_] if nearest[bin_] >= 0 else farthest(of, own)


cdef Py_ssize_t farthest(crowd *of, part *own) noexcept nogil:
    cdef Py_ssize_t p, best = own.start
    cdef double largest = 0.0
    for p in range(own.start, own.end):
        if of.weights[p] > 0.0 and of.distances[p] > largest:
            best, largest = p, of.distances[p]
    return best


cdef void find_distances(crowd *of, const part *own, const double *centers, const int32_t *labels,
                         double *found) noexcept nogil:
    """Distances of the samples of a part to the centers of their labels, in the unit of `distances`."""
    cdef const c.kernels *table = in_use[0]
    cdef const double *rows = of.values + own.start * of.n_features
    cdef Py_ssize_t p, count = own.end - own.start
    if of.kind == MANHATTAN:
        table.own_distances_manhattan[0](rows, count, of.n_features, centers, labels, found)
        return
    table.own_sq_distances[0](rows, count, of.n_features, centers, labels, found)
    if of.kind == COSINE:
        for p in range(count):
            found[p] *= 0.5


cdef void part_ways(crowd *of, part *own) noexcept nogil:
    """Make two parts of a part as it was split: near samples first, each half in its order."""
    cdef Py_ssize_t p, h, to = own.start, n_features = of.n_features, size = of.n_features + 3
    cdef double *kept
    cdef part *rest = of.parts + of.n_parts
    for h in range(1, -1, -1):
        for p in range(own.start, own.end):
            if of.is_near[p] == h:
                kept = of.scratch + to * size
                memcpy(kept, of.values + p * n_features, n_features * sizeof(double))
                kept[n_features], kept[n_features + 1], kept[n_features + 2] = of.weights[p], of.after[p], of.order[p]
                to += 1
        if h == 1:
            rest.start, rest.end, rest.cluster = to, own.end, own.cluster
    for p in range(own.start, own.end):
        kept = of.scratch + p * size
        memcpy(of.values + p * n_features, kept, n_features * sizeof(double))
        of.weights[p], of.distances[p] = kept[n_features], kept[n_features + 1]
        of.order[p] = <int32_t>kept[n_features + 2]
    own.end = rest.start
    of.n_parts += 1
    weigh(of, own)
    weigh(of, rest)

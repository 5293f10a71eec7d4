# cython: language_level=3, freethreading_compatible=True, boundscheck=False, wraparound=False, cdivision=True
# cython: initializedcheck=False
"""One step of mini-batch k-means over dense rows: labels, running means, and labels with the moved centers.

D. Sculley, "Web-scale k-means clustering", WWW 2010, algorithm 1. Labels are exact. After the step few rows are
compared with all centers again: the first labels come with bounds, as in Yinyang k-means (kernels/yinyang.h), and
centers move little once they are means of many rows.
"""
from cython.parallel cimport prange, threadid
from libc.math cimport INFINITY, fabs, nextafterf, sqrt
from libc.stdint cimport int32_t
from libc.stdlib cimport free
from libc.string cimport memcpy

cimport kernels as c
from fastkmeans._core.sums cimport ClusterSums
from shared cimport (
    aligned, arena, arena_bytes, arena_in, begin_one_group, check_shape, follow_rows, interrupted, kernels_in_use,
    raise_interrupt, row_of, short_unit, signal_watch, start_watch, take,
)

cdef extern from "memory.h" nogil:
    void *take_memory(size_t size)

cdef const c.kernels **in_use = kernels_in_use()

cdef enum:
    BLOCK_ROWS = 1024  # a part that is cut, because it would take long, has whole blocks of so many rows

ctypedef fused real:
    float
    double


def check_and_measure(const real[:, ::1] X, real limit, double[::1] max_abs):
    """Write the largest |x| of each feature; return whether X holds a NaN, or a value beyond the limit on either side.

    For batches: one thread reads them.
    """
    cdef const c.kernels *table = in_use[0]
    cdef Py_ssize_t f
    cdef bint found = False
    check_shape("max_abs", max_abs.shape[0], 1, X.shape[1], 1)
    with nogil:
        table.find_largest[real is float](&X[0, 0], X.shape[0], X.shape[1], &max_abs[0])
        for f in range(X.shape[1]):
            found |= not max_abs[f] <= limit
    return found


def rounds_to(const double[:, ::1] values, const real[:, ::1] rounded):
    """Is each value, rounded to the type of `rounded`, the value there?"""
    cdef Py_ssize_t i, f
    check_shape("rounded", rounded.shape[0], rounded.shape[1], values.shape[0], values.shape[1])
    for i in range(values.shape[0]):
        for f in range(values.shape[1]):
            if <real>values[i, f] != rounded[i, f]:
                return False
    return True


cdef bint is_any_small(const double *sums, const double *needed, double unit, Py_ssize_t n) noexcept nogil:
    """Is the size of a sum, of its two parts, below needed * unit?   sums : [2][n].   needed : [n]."""
    cdef Py_ssize_t f, count = 0
    for f in range(n):
        count += fabs(sums[f] + sums[n + f]) < needed[f] * unit
    return count > 0


cdef void move_center(const double *sums, const double *center, double weight, double share, double *moved,
                      Py_ssize_t n_features) noexcept nogil:
    """Move a center by its share of the way to the mean of its rows.   sums : [2][n_features + 1].   moved : OUT."""
    cdef Py_ssize_t f
    if share < 1.0:
        for f in range(n_features):
            moved[f] = center[f] + ((sums[f] + sums[n_features + 1 + f]) / weight - center[f]) * share
    else:  # it was the mean of nothing, and takes the mean of the batch without a rounding
        for f in range(n_features):
            moved[f] = (sums[f] + sums[n_features + 1 + f]) / weight


cdef class BatchStep:
    """A batch, and what a step keeps of it.

    Parameters
    ----------
    X, sample_weight, max_abs, max_weight, n_clusters, n_threads : as ClusterSums.

    Call `label`, then `move`, then `relabel`.
    """

    cdef readonly ClusterSums clusters
    cdef const c.kernels *table
    cdef Py_ssize_t n_parts, part  # rows are cut into parts of so many, a multiple of 32
    cdef size_t packed_size, scratch_size
    cdef void *memory
    cdef double *offset          # [n_features]
    cdef double *previous        # [n_clusters][n_features], centers of the first labels
    cdef char *packed            # centers of the first labels
    cdef char *packed_again      # those of the second ones
    cdef int32_t *first_panel    # [2] all panels are one group
    cdef int32_t *center_of      # [n_clusters] 0, 1, 2 ...
    cdef int32_t *group_of       # [n_clusters] zeros
    cdef float *center_drift     # [n_clusters]
    cdef float *group_drift      # [1]
    cdef int32_t *first_labels   # [n_samples]
    cdef float *upper            # [n_parts * part] distance to the own center, at most
    cdef float *lower            # [n_parts * part] distance to every other one, at least
    cdef char *scratch           # [n_threads], scratch_size apart
    cdef c.bound_step bounds
    cdef signal_watch watch

    def __cinit__(self, X, sample_weight, max_abs, double max_weight, Py_ssize_t n_clusters, int n_threads):
        self.clusters = ClusterSums(X, sample_weight, max_abs, max_weight, n_clusters, n_threads)
        self.table = in_use[0]
        self.part = (self.clusters.n_samples + n_threads - 1) // n_threads
        self.part = short_unit((self.part + 31) // 32 * 32, BLOCK_ROWS, <double>n_clusters * self.clusters.n_features)
        self.n_parts = (self.clusters.n_samples + self.part - 1) // self.part
        self.memory = take_memory(self._divide(NULL))
        if self.memory == NULL:
            raise MemoryError("no memory for the bounds of a batch; use smaller batches, or fewer threads (n_threads).")
        self._divide(self.memory)
        begin_one_group(self.table, n_clusters, self.first_panel, self.center_of, self.group_of, self.center_drift,
                        self.group_drift, &self.bounds)

    def __dealloc__(self):
        free(self.memory)

    cdef size_t _divide(self, void *memory) noexcept nogil:
        """Divide memory, or count its bytes: see arena.h."""
        cdef arena parts = arena_in(memory)
        cdef Py_ssize_t k = self.clusters.n_clusters, d = self.clusters.n_features
        self.packed_size = aligned(self.table.packed_bytes(k, d))
        self.scratch_size = aligned(self.table.bound_scratch_bytes(k, d, self.part))
        self.offset = <double *>take(&parts, 2 * d * sizeof(double))
        self.previous = <double *>take(&parts, k * d * sizeof(double))
        self.packed = <char *>take(&parts, self.packed_size)
        self.packed_again = <char *>take(&parts, self.packed_size)
        self.first_panel = <int32_t *>take(&parts, 2 * sizeof(int32_t))
        self.center_of = <int32_t *>take(&parts, k * sizeof(int32_t))
        self.group_of = <int32_t *>take(&parts, k * sizeof(int32_t))
        self.center_drift = <float *>take(&parts, k * sizeof(float))
        self.group_drift = <float *>take(&parts, sizeof(float))
        self.first_labels = <int32_t *>take(&parts, self.clusters.n_samples * sizeof(int32_t))
        self.upper = <float *>take(&parts, self.n_parts * self.part * sizeof(float))
        self.lower = <float *>take(&parts, self.n_parts * self.part * sizeof(float))
        self.scratch = <char *>take(&parts, self.clusters.n_threads * self.scratch_size)
        return arena_bytes(&parts)

    def label(self, const double[:, ::1] centers):
        """Label every row with its nearest center, lowest index first; `clusters` follow.

        centers : (n_clusters, n_features) float64.
        """
        cdef Py_ssize_t k = self.clusters.n_clusters, d = self.clusters.n_features
        check_shape("centers", centers.shape[0], centers.shape[1], k, d)
        memcpy(self.previous, &centers[0, 0], k * d * sizeof(double))
        self._pack(self.previous, self.packed)
        self.bounds.unit = self.table.packed_scale(self.packed)
        self._label_all(NULL)

    def relabel(self, const double[:, ::1] centers):
        """Return the labels of the nearest of other centers, (n_samples,) int32; `clusters` stay as they are.

        centers : (n_clusters, n_features) float64, alive and unchanged until the call returns.
        """
        cdef Py_ssize_t k = self.clusters.n_clusters, d = self.clusters.n_features
        check_shape("centers", centers.shape[0], centers.shape[1], k, d)
        if self.clusters.label_view[0] < 0:
            raise ValueError("relabel needs labels; call label first.")
        labels = self.clusters.labels.copy()
        cdef int32_t[::1] label_view = labels
        self._find_drifts(&centers[0, 0])
        self._pack(&centers[0, 0], self.packed_again)
        self._label_all(&label_view[0])
        return labels

    cdef int _label_all(self, int32_t *labels) except -1:
        """Label all rows anew and let `clusters` follow; or if there are labels, where bounds do not prove them."""
        start_watch(&self.watch)
        with nogil:
            self._label_parts(labels)
            self.clusters.merge(self.table, &self.watch)
        return raise_interrupt(&self.watch)

    cdef void _pack(self, const double *centers, char *packed) noexcept nogil:
        cdef Py_ssize_t k = self.clusters.n_clusters, d = self.clusters.n_features
        self.table.find_offset(centers, k, d, self.offset)
        self.table.pack_centers(centers, k, d, self.offset, self.clusters.is_float32, packed)
        self.bounds.packed = self.bounds.grouped = packed

    cdef void _find_drifts(self, const double *centers) noexcept nogil:
        """How far each center is from where it was, in units, rounded up."""
        cdef Py_ssize_t j, f, d = self.clusters.n_features
        cdef double difference, sq_shift
        self.group_drift[0] = 0.0
        for j in range(self.clusters.n_clusters):
            sq_shift = 0.0
            for f in range(d):
                difference = (centers[j * d + f] - self.previous[j * d + f]) * self.bounds.unit
                sq_shift += difference * difference
            # The sum has at most d + 3 roundings. Squares that underflow are below 2^-1000 in all.
            self.center_drift[j] = nextafterf(<float>(sqrt(sq_shift) * (1.0 + (d + 4) * 1.2e-16) + 1e-150), INFINITY)
            if not sq_shift < 1e300:  # an overflow: every bound fails
                self.center_drift[j] = INFINITY
            self.group_drift[0] = max(self.group_drift[0], self.center_drift[j])

    # Parallel loops stand in `cdef ... nogil` methods: see lloyd.pyx.
    cdef void _label_parts(self, int32_t *labels) noexcept nogil:
        cdef Py_ssize_t p
        if self.n_parts == 1:
            self._label_part(0, labels, 0)
        else:
            for p in prange(self.n_parts, schedule="dynamic", chunksize=1, num_threads=self.clusters.n_threads):
                self._label_part(p, labels, threadid())

    cdef void _label_part(self, Py_ssize_t p, int32_t *labels, int t) noexcept nogil:
        cdef Py_ssize_t first = p * self.part, n_samples = self.clusters.n_samples
        cdef Py_ssize_t count = min(self.part, n_samples - first)
        cdef char *scratch = self.scratch + t * self.scratch_size
        cdef const char *rows = row_of(&self.clusters.follower, first)
        cdef c.bound_work work
        cdef int32_t *found
        if interrupted(&self.watch):
            return
        if labels != NULL:
            self.table.reassign_bounded[self.clusters.is_float32](
                rows, count, n_samples - first, &self.bounds, scratch, labels + first, self.upper + first,
                self.lower + first, self.part, &work)
            return
        found = self.first_labels + first
        self.table.assign_bounded[self.clusters.is_float32](
            rows, count, n_samples - first, &self.bounds, scratch, found, self.upper + first, self.lower + first,
            self.part)
        follow_rows(&self.clusters.follower, self.table, first, count, found, t)

    def move(self, const double[:, ::1] centers, const double[::1] counts, const double[::1] sample_weight,
             double[:, ::1] moved, double[::1] grown, const double[::1] needed):
        """Move each center to the mean of what it had before and what the batch adds.

        centers, counts : (n_clusters, n_features) and (n_clusters,), those before the step.
        sample_weight : (n_samples,) as the caller counts it, which may be in other units than that of the sums, or
        None.
        moved, grown : OUT, centers and counts after the step.
        needed : (n_features + 1,), how large the values of a cluster must be on average, so that the grids of the sums
        lose nothing of them; the last is for the weights.
        Returns whether some sum is smaller.
        """
        cdef ClusterSums clusters = self.clusters
        cdef Py_ssize_t i, j, f, k = clusters.n_clusters, d = clusters.n_features
        cdef double share, weight
        cdef double *sums
        cdef bint is_small = False
        check_shape("centers", centers.shape[0], centers.shape[1], k, d)
        check_shape("moved", moved.shape[0], moved.shape[1], k, d)
        check_shape("counts", counts.shape[0], grown.shape[0], k, k)
        check_shape("needed", needed.shape[0], 1, d + 1, 1)
        if sample_weight is not None:
            check_shape("sample_weight", sample_weight.shape[0], 1, clusters.n_samples, 1)
        with nogil:
            for j in range(k):
                grown[j] = 0.0
            for i in range(clusters.n_samples):
                grown[clusters.label_view[i]] += 1.0 if sample_weight is None else sample_weight[i]
            for j in range(k):
                if not grown[j] > 0.0:
                    grown[j] = counts[j]
                    for f in range(d):
                        moved[j, f] = centers[j, f]
                    continue
                sums = &clusters.total[j, 0, 0]
                share = counts[j] + grown[j]
                grown[j], share = share, grown[j] / share
                weight = sums[d] + sums[2 * d + 1]
                is_small |= is_any_small(
                    sums, &needed[0], weight if sample_weight is None else clusters.n_samples, d + 1)
                move_center(sums, &centers[j, 0], weight, share, &moved[j, 0], d)
        return is_small

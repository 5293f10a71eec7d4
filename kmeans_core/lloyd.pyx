# cython: language_level=3, freethreading_compatible=True, boundscheck=False, wraparound=False, cdivision=True
# cython: initializedcheck=False
"""Lloyd's algorithm: every sample against every center, every iteration.

S. P. Lloyd, "Least squares quantization in PCM", IEEE Transactions on Information Theory 28(2), 1982.
"""
from cython.parallel cimport prange, threadid
from libc.math cimport fabs, frexp, ldexp
from libc.stdint cimport int32_t, uint8_t, uintptr_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

cimport kernels as c
from shared cimport (
    LOCK_SIZE, add_carefully, align, aligned, check_count, follow_rows, interrupted, kernels_in_use, raise_interrupt,
    row_follower, short_unit, signal_watch, sort_by_label, start_watch, unit_samples,
)

cdef extern from "kernels/kernels.h" nogil:
    size_t block_samples(size_t n_features)

cdef extern from "memory.h" nogil:
    void *take_memory(size_t size)
    void *take_zeros(size_t size)

cdef const c.kernels **in_use = kernels_in_use()

# First labels are followed cluster by cluster where the sums are too large for a cache that a core has to itself, and the
# samples few enough to be sorted by one thread in a millisecond.
cdef Py_ssize_t LARGE_SUMS = 1 << 19, SORTED_SAMPLES = 1 << 18


cdef int ceil_log2(double value) noexcept nogil:
    """Smallest e with value <= 2**e; 0 for 0."""
    cdef int exponent
    cdef double mantissa = frexp(value, &exponent)
    return exponent - 1 if mantissa == 0.5 else exponent


# A grid for its 1.5 * 2^52.
cdef double QUANTUM = ldexp(1.0, -52) / 1.5

# Bytes that all sets of sums but the first may take. Sums outgrow them where clusters or features are so many that comparing takes
# far longer than adding, so that threads which share a set seldom meet.
cdef size_t MOST_PARTIAL = 64 << 20


cdef Py_ssize_t small_block(Py_ssize_t n_samples, int n_threads) noexcept nogil:
    """Rows of a block with which each thread gets four or more of few samples."""
    cdef Py_ssize_t rows = n_samples // (4 * n_threads) // 32 * 32
    return n_samples if n_threads == 1 else max(rows, 128)


cdef int check_samples(Py_ssize_t n_samples, Py_ssize_t n_features, Py_ssize_t n_maxima, Py_ssize_t n_weights) except -1:
    """Refuse arrays that do not fit together; n_weights is -1 without weights."""
    if n_samples < 1 or n_features < 1 or n_maxima != n_features or n_weights not in (-1, n_samples):
        raise ValueError(f"X ({n_samples}, {n_features}), max_abs ({n_maxima},) and sample_weight "
                         f"{None if n_weights < 0 else (n_weights,)} do not fit together.")
    return 0


cdef int check_rows(str name, const double[:, ::1] rows, Py_ssize_t n_rows, Py_ssize_t n_columns) except -1:
    if rows.shape[0] != n_rows or rows.shape[1] != n_columns:
        raise ValueError(f"{name} must have shape ({n_rows}, {n_columns}); got ({rows.shape[0]}, {rows.shape[1]}).")
    return 0


cdef void choose_grid(double largest, Py_ssize_t n_values, double *coarse, double *fine) noexcept nogil:
    """Grids on which so many values of at most that size add up, and are taken out again, without rounding.

    A sum of n values below 2**e stays below 2**(e + ceil(log2 n)), also while labels move; with one bit to
    spare, multiples of 2**(e + ceil(log2 n) + 1 - 53) within it are float64 numbers. What the coarse grid leaves
    over is below half of it, and gets a grid of its own by the same rule. No float64 has digits below 2**-1074.
    """
    cdef int count_bits = ceil_log2(<double>n_values if n_values > 4 else 4.0)
    cdef int coarse_bits = max(ceil_log2(largest) + count_bits + 1 - 53, -1074)
    cdef int fine_bits = max(coarse_bits + count_bits - 53, -1074)
    coarse[0] = ldexp(1.5, 52 + coarse_bits)
    fine[0] = ldexp(1.5, 52 + fine_bits)


cdef class LloydState:
    """What Lloyd's algorithm keeps between iterations: labels and the sums of each cluster.

    Parameters
    ----------
    X : (n_samples, n_features) float32 or float64, C order, finite.
    sample_weight : (n_samples,) float64 or None for ones.
    max_abs : (n_features,) float64, largest absolute value of each feature.
    max_weight : largest weight (1 without weights).
    n_clusters, n_threads : int >= 1.

    `step` allocates nothing, so that iteration 2 cannot fail where iteration 1 did not. Whatever a signal interrupts raises
    the exception of its handler, and the state is of no use then.
    """

    cdef const float[:, ::1] x32
    cdef const double[:, ::1] x64
    cdef const double[::1] sample_weight
    cdef bint is_float32
    cdef Py_ssize_t n_samples, n_features, n_clusters, block, unit
    cdef int n_threads
    cdef int n_cluster_threads   # one where there is too little to do for each cluster
    cdef int32_t[::1] label_view
    cdef readonly object grid    # (2, n_features + 1): 1.5 * 2^52 * grid, coarse and fine
    cdef double[:, ::1] grid_view
    cdef double[:, :, ::1] total
    cdef double *offset          # [n_features]
    cdef void *memory
    cdef void *partial
    cdef char *packed
    cdef char *scratch           # [n_threads], scratch_size apart: kernel's scratch, then labels of a block
    cdef size_t scratch_size, labels_at
    cdef row_follower follower
    cdef signal_watch watch
    cdef readonly object labels
    cdef readonly object sums
    cdef readonly Py_ssize_t n_decided
    cdef readonly str stepped_by  # the algorithm of the last step

    def __cinit__(self, X, sample_weight, max_abs, double max_weight, Py_ssize_t n_clusters, int n_threads):
        import numpy as np

        cdef const c.kernels *table = in_use[0]
        check_count("n_clusters", n_clusters)
        check_count("n_threads", n_threads)
        self.is_float32 = X.dtype.itemsize == 4
        if self.is_float32:
            self.x32 = X
        else:
            self.x64 = X
        self.sample_weight = sample_weight
        self.n_samples, self.n_features = X.shape
        check_samples(self.n_samples, self.n_features, len(max_abs), -1 if sample_weight is None else len(sample_weight))
        self.n_clusters = n_clusters
        self.n_threads = n_threads
        self.stepped_by = "lloyd"
        self.n_cluster_threads = n_threads if self.n_clusters * self.n_features > 20000 else 1
        self.block = min(<Py_ssize_t>block_samples(self.n_features), small_block(self.n_samples, n_threads))
        self.unit = unit_samples(self.n_samples, self.block, n_threads)
        self.unit = short_unit(self.unit, self.block, <double>n_clusters * self.n_features)
        self.labels = np.empty(self.n_samples, dtype=np.int32)
        self.labels.fill(-1)
        self.label_view = self.labels
        self.grid = np.empty((2, self.n_features + 1))
        self.grid_view = self.grid
        self.sums = np.empty((n_clusters, 2, self.n_features + 1))
        self.total = self.sums
        self._choose_grid(max_abs, max_weight)

        self.follower.touched_size = aligned(n_clusters)
        self.follower.partial_size = aligned(n_clusters * 2 * (self.n_features + 1) * sizeof(double))
        self.labels_at = aligned(table.scratch_bytes(n_clusters, self.n_features))
        self.scratch_size = self.labels_at + aligned(self.block * sizeof(int32_t))
        cdef size_t packed_size = aligned(table.packed_bytes(n_clusters, self.n_features))
        cdef size_t counts_size = n_threads * 16 * sizeof(size_t), offset_size = aligned(self.n_features * sizeof(double))
        cdef int n_sums = 1 + min(n_threads - 1, <int>(MOST_PARTIAL // self.follower.partial_size))
        cdef size_t locks_size = aligned(n_sums * LOCK_SIZE)
        self.follower.n_sums = n_sums
        self.memory = take_zeros(128 + packed_size + counts_size + offset_size + n_threads * self.scratch_size
                                 + n_sums * self.follower.touched_size + locks_size)
        self.partial = take_memory(128 + (n_sums - 1) * self.follower.partial_size)
        if self.memory == NULL or self.partial == NULL:
            raise MemoryError("no memory for the sums of each thread; use fewer threads (n_threads).")
        self.packed = align(self.memory)
        self.follower.counts = <size_t *>(self.packed + packed_size)
        self.offset = <double *>(<char *>self.follower.counts + counts_size)
        self.scratch = <char *>self.offset + offset_size
        self.follower.touched = <uint8_t *>(self.scratch + n_threads * self.scratch_size)
        memset(self.follower.touched, 1, n_clusters)  # the first set's, which are the total
        if n_sums < n_threads:
            self.follower.locks = self.follower.touched + n_sums * self.follower.touched_size
        self.follower.partial = align(self.partial)
        self.follower.total = &self.total[0, 0, 0]
        self.follower.x = <const char *>&self.x32[0, 0] if self.is_float32 else <const char *>&self.x64[0, 0]
        self.follower.row_bytes = self.n_features * (4 if self.is_float32 else 8)
        self.follower.is_float32 = self.is_float32
        self.follower.n_features = self.n_features
        self.follower.weights = NULL if sample_weight is None else &self.sample_weight[0]
        self.follower.labels = &self.label_view[0]
        self.follower.grid.coarse, self.follower.grid.fine = &self.grid_view[0, 0], &self.grid_view[1, 0]
        self._clear_sums()

    def __dealloc__(self):
        free(self.memory)
        free(self.partial)

    cdef void _clear_sums(self) noexcept nogil:
        """Let each thread write first, and so own, the pages of the sums that it merges.

        Zeros from the system, read before they are written, would be its one page of zeros, and each later write would tell
        every core that the page is another: 30 of 250 ms of a fit with 37 MB of sums (12 000 x 768, k=1000, two cores of a
        virtual machine).
        """
        cdef Py_ssize_t j, size = 2 * (self.n_features + 1) * sizeof(double)
        if self.n_cluster_threads == 1:
            memset(&self.total[0, 0, 0], 0, self.n_clusters * size)
        else:
            for j in prange(self.n_clusters, schedule="static", num_threads=self.n_cluster_threads):
                memset(&self.total[j, 0, 0], 0, size)

    cdef int _choose_grid(self, const double[::1] max_abs, double max_weight) except -1:
        cdef Py_ssize_t f
        for f in range(self.n_features + 1):
            choose_grid(max_weight * (max_abs[f] if f < self.n_features else 1.0), self.n_samples, &self.grid_view[0, f],
                        &self.grid_view[1, f])
        return 0

    def step(self, const double[:, ::1] centers):
        """Label every sample with its nearest center and follow the labels in `sums`.

        centers : (n_clusters, n_features) float64: the values of the stored centers; read only.
        Returns the number of labels that changed. `sums[j, 0] + sums[j, 1]` is then the sum of weight * x over cluster
        j, its last column the weight; n_decided counts the samples that needed float64.
        """
        cdef const c.kernels *table = in_use[0]
        check_rows("centers", centers, self.n_clusters, self.n_features)
        start_watch(&self.watch)
        with nogil:
            table.find_offset(&centers[0, 0], self.n_clusters, self.n_features, self.offset)
            table.pack_centers(&centers[0, 0], self.n_clusters, self.n_features, self.offset, self.is_float32,
                               self.packed)
            self._assign_units(table)
            self._merge(table)
        raise_interrupt(&self.watch)
        self.n_decided = self._take_count(1)
        return self._take_count(0)

    def follow(self, const int32_t[::1] new_labels):
        """Take over labels that another algorithm found, and let the sums follow them.

        new_labels : (n_samples,) int32, all >= 0; read only.   Returns the number of labels that changed.
        """
        cdef const c.kernels *table = in_use[0]
        cdef Py_ssize_t u, n_units = (self.n_samples + self.unit - 1) // self.unit
        if new_labels.shape[0] != self.n_samples:
            raise ValueError(f"new_labels must have shape ({self.n_samples},); got ({new_labels.shape[0]},).")
        start_watch(&self.watch)
        if self.label_view[0] < 0 and self._follow_by_cluster(table, &new_labels[0]):
            raise_interrupt(&self.watch)
            return self.n_samples
        with nogil:
            for u in prange(n_units, schedule="dynamic", chunksize=1, num_threads=self.n_threads):
                if not interrupted(&self.watch):
                    follow_rows(&self.follower, table, u * self.unit, min(self.unit, self.n_samples - u * self.unit),
                                &new_labels[u * self.unit], threadid())
            self._merge(table)
        raise_interrupt(&self.watch)
        return self._take_count(0)

    cdef bint _follow_by_cluster(self, const c.kernels *table, const int32_t *new_labels) noexcept:
        """Follow first labels with each cluster's sums in a core's cache, and none to merge; False where that would not pay.

        Row by row, sums come from memory for each: first labels of 12 000 x 384 samples and k=1000 took 3.9 ms, on two threads
        2.8; like this 2.8 and 1.6 (Zen 3).
        """
        cdef Py_ssize_t j
        cdef int32_t *rows
        cdef int32_t *starts
        if self.n_samples > SORTED_SAMPLES or self.n_clusters * 2 * (self.n_features + 1) * 8 < LARGE_SUMS:
            return False
        rows = <int32_t *>malloc((self.n_samples + self.n_clusters + 1) * sizeof(int32_t))
        if rows == NULL:
            return False
        starts = rows + self.n_samples
        with nogil:
            memcpy(&self.label_view[0], new_labels, self.n_samples * sizeof(int32_t))
            sort_by_label(new_labels, self.n_samples, self.n_clusters, rows, starts)
            for j in prange(self.n_clusters, schedule="dynamic", chunksize=4, num_threads=self.n_threads):
                self._add_rows(table, rows + starts[j], starts[j + 1] - starts[j], j)
        free(rows)
        return True

    cdef void _add_rows(self, const c.kernels *table, const int32_t *rows, size_t count, Py_ssize_t j) noexcept nogil:
        if interrupted(&self.watch):
            return
        if self.is_float32:
            table.add_rows_f32(<const float *>self.follower.x, self.n_features, rows, count, self.follower.weights,
                               self.follower.grid, &self.total[j, 0, 0])
        else:
            table.add_rows_f64(<const double *>self.follower.x, self.n_features, rows, count, self.follower.weights,
                               self.follower.grid, &self.total[j, 0, 0])

    @property
    def follower_address(self):
        """Where the row_follower of these sums lies: another algorithm's threads let them follow what they find."""
        return <uintptr_t>&self.follower

    def take_followed(self):
        """Bring `sums` up to date with the rows that follow_rows took; return the number of labels that changed."""
        start_watch(&self.watch)
        with nogil:
            self._merge(in_use[0])
        raise_interrupt(&self.watch)
        return self._take_count(0)

    cdef size_t _take_count(self, int which) noexcept nogil:
        """Add up a count over the threads, and start it anew."""
        cdef size_t total = 0
        cdef int t
        for t in range(self.n_threads):
            total += self.follower.counts[16 * t + which]
            self.follower.counts[16 * t + which] = 0
        return total

    def move(self, const double[:, ::1] centers, const double[::1] origin, double[:, ::1] moved, double[:, ::1] terms,
             double digits=0.0):
        """Write the center that the sums of each cluster ask for: their mean, rounded to the type of X.

        centers : (n_clusters, n_features), those of the last step.   origin : (n_features,), any point amid the data.
        moved : OUT (n_clusters, n_features); a cluster without weight keeps its center.
        terms : OUT (n_clusters, 4): weight; squared distance from center to moved; what the cluster takes off
        the scatter about the origin, the sum of weight * (|x - origin|^2 - |x - center|^2), so that
        inertia = sum of weight * |x - origin|^2 - sum of these; and 1 where a sum may have lost digits to the grids, else 0.
        digits : quanta of the fine grid that each weight * x of a cluster must come to on average, or a sum is one of those.
        Returns what totals_of makes of the terms.
        """
        cdef const c.kernels *table = in_use[0]
        cdef bint weighted = self.sample_weight is not None
        cdef const double *fine = &self.grid_view[1, 0]
        cdef Py_ssize_t j
        check_rows("centers", centers, self.n_clusters, self.n_features)
        check_rows("moved", moved, self.n_clusters, self.n_features)
        check_rows("terms", terms, self.n_clusters, 4)
        if origin.shape[0] != self.n_features:
            raise ValueError(f"origin must have shape ({self.n_features},); got ({origin.shape[0]},).")
        digits *= QUANTUM * (self.n_samples if weighted else 1)
        with nogil:
            if self.n_cluster_threads == 1:  # OpenMP takes a microsecond even for one thread
                for j in range(self.n_clusters):
                    table.move_center(&self.total[j, 0, 0], self.n_features, &centers[j, 0], &origin[0], fine, digits,
                                      self.is_float32, weighted, &moved[j, 0], &terms[j, 0])
            else:
                for j in prange(self.n_clusters, schedule="static", num_threads=self.n_cluster_threads):
                    table.move_center(&self.total[j, 0, 0], self.n_features, &centers[j, 0], &origin[0], fine, digits,
                                      self.is_float32, weighted, &moved[j, 0], &terms[j, 0])
        return totals_of(terms)

    cdef void _assign_units(self, const c.kernels *table) noexcept nogil:
        cdef Py_ssize_t u, n_units = (self.n_samples + self.unit - 1) // self.unit
        if self.n_threads == 1:
            for u in range(n_units):
                self._assign_unit(table, u, 0)
        else:
            for u in prange(n_units, schedule="dynamic", chunksize=1, num_threads=self.n_threads):
                self._assign_unit(table, u, threadid())

    cdef void _assign_unit(self, const c.kernels *table, Py_ssize_t u, int t) noexcept nogil:
        """Assign and follow the blocks of a unit, each while it is in this core's cache."""
        cdef char *scratch = self.scratch + t * self.scratch_size
        cdef int32_t *labels = <int32_t *>(scratch + self.labels_at)
        cdef Py_ssize_t first = u * self.unit, end = min(first + self.unit, self.n_samples), count
        if interrupted(&self.watch):
            return
        while first < end:
            count = min(self.block, end - first)
            if self.is_float32:
                self.follower.counts[16 * t + 1] += table.assign_f32(&self.x32[first, 0], count, self.n_samples - first,
                                                            self.packed, scratch, labels)
            else:
                self.follower.counts[16 * t + 1] += table.assign_f64(&self.x64[first, 0], count, self.n_samples - first,
                                                            self.packed, scratch, labels)
            follow_rows(&self.follower, table, first, count, labels, t)
            first = first + count

    cdef void _merge(self, const c.kernels *table) noexcept nogil:
        """Add what the other sets of sums saw change to the first; exact, so the order is free."""
        cdef Py_ssize_t j
        if self.n_cluster_threads == 1:
            for j in range(self.n_clusters):
                self._merge_cluster(table, j)
        else:
            for j in prange(self.n_clusters, schedule="static", num_threads=self.n_cluster_threads):
                self._merge_cluster(table, j)

    cdef void _merge_cluster(self, const c.kernels *table, Py_ssize_t j) noexcept nogil:
        cdef Py_ssize_t length = 2 * (self.n_features + 1)
        cdef int t
        if interrupted(&self.watch):
            return
        for t in range(1, self.follower.n_sums):
            if self.follower.touched[t * self.follower.touched_size + j]:
                table.merge_sums(<double *>(self.follower.partial + (t - 1) * self.follower.partial_size) + j * length,
                                 self.n_features, &self.total[j, 0, 0])
                self.follower.touched[t * self.follower.touched_size + j] = 0


cpdef tuple totals_of(const double[:, ::1] terms):
    """Sum of the squared shifts, sum of what is taken off the scatter, number of clusters without weight, and of those whose
    sums may have lost digits: see move."""
    cdef Py_ssize_t j, n_empty = 0, n_doubtful = 0
    cdef double center_shift = 0.0, explained = 0.0, lacking = 0.0
    with nogil:
        for j in range(terms.shape[0]):
            n_empty += not terms[j, 0] > 0.0
            n_doubtful += terms[j, 3] > 0.0
            center_shift += terms[j, 1]
            add_carefully(terms[j, 2], &explained, &lacking)
    return center_shift, explained + lacking, n_empty, n_doubtful


def explained_of(const double[:, :, ::1] sums, const double[:, ::1] centers, const double[::1] origin, int n_threads):
    """What the clusters take off the scatter about the origin, as move tells it, as a sum of two float64, the larger first."""
    import numpy as np

    cdef const c.kernels *table = in_use[0]
    cdef Py_ssize_t g, n_clusters = sums.shape[0], n_groups = (n_clusters + EXPLAINED_TOGETHER - 1) // EXPLAINED_TOGETHER
    cdef double[:, ::1] explained = np.empty((n_groups, 2))
    cdef double[2] total = [0.0, 0.0]
    check_count("n_threads", n_threads)
    with nogil:
        for g in prange(n_groups, schedule="static", num_threads=min(n_threads, n_groups)):
            explain_group(table, sums, centers, &origin[0], g * EXPLAINED_TOGETHER, &explained[g, 0])
        for g in range(n_groups):
            add_to_two(&explained[g, 0], total)
    return total[0], total[1]


cdef enum:
    EXPLAINED_TOGETHER = 128  # clusters


cdef void explain_group(const c.kernels *table, const double[:, :, ::1] sums, const double[:, ::1] centers,
                        const double *origin, Py_ssize_t first, double *explained) noexcept nogil:
    cdef Py_ssize_t j
    cdef double[2] own
    explained[0] = explained[1] = 0.0
    for j in range(first, min(first + EXPLAINED_TOGETHER, sums.shape[0])):
        table.explain_center(&sums[j, 0, 0], centers.shape[1], &centers[j, 0], origin, own)
        add_to_two(own, explained)


cdef inline void add_to_two(const double *term, double *total) noexcept nogil:
    """Add one sum of two float64 to another."""
    cdef double sum = total[0] + term[0]
    cdef double part = sum - total[0]
    cdef double low = total[1] + (((total[0] - (sum - part)) + (term[0] - part)) + term[1])
    total[0] = sum + low
    total[1] = low - (total[0] - sum)


def trust_some(X, const double[::1] sample_weight, const int32_t[::1] labels, const double[:, :, ::1] sums,
               const double[:, ::1] grid, const double[::1] losses, uint8_t[::1] doubtful):
    """Leave out of the doubtful clusters those whose values are large enough that the grids have lost none of their digits.

    sums, grid : of a LloydState.   doubtful : (n_clusters,) of 0 and 1, INOUT.
    losses : (n_features + 1,) what a value must come to on average, so that the sums have enough digits; 0 for any.
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
            n_rows = sums[j, 0, n_features] if sample_weight is None else <double>labels.shape[0]
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
    sums : (n_clusters, 2, n_features + 1), written where wanted, as those of a LloydState, with the weights in
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


cdef void sum_cluster(const c.kernels *table, const own_sums *of, const int32_t *rows, Py_ssize_t count, double *scratch,
                      double *sums, double *unit) noexcept nogil:
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
    if of.is_float32:
        table.add_rows_f32(<const float *>of.x, n_features, rows, count, of.scaled, grid, sums)
    else:
        table.add_rows_f64(<const double *>of.x, n_features, rows, count, of.scaled, grid, sums)


def move_anew(X, bint weighted, const double[:, :, ::1] sums, const double[::1] units, const uint8_t[::1] wanted,
              const double[:, ::1] centers, const double[::1] origin, double[:, ::1] moved, double[:, ::1] terms):
    """What LloydState.move writes, for some clusters, from sums of sum_anew; returns what it returns."""
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

# cython: language_level=3, freethreading_compatible=True, boundscheck=False, wraparound=False, cdivision=True
# cython: initializedcheck=False
"""The sums of each cluster, which follow the labels without rounding, and the move of centers to the means.

Each algorithm finds labels in its own way, and keeps one ClusterSums.
"""
from cython.parallel cimport prange, threadid
from libc.math cimport ldexp
from libc.stdint cimport int32_t, uint8_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

cimport kernels as c
from fastkmeans._core.csr cimport CsrRows
from fastkmeans._core.files cimport CachedRows
from fastkmeans._core.stored cimport StoredRows
from fastkmeans._core.sums cimport choose_grid
from shared cimport (
    LOCK_SIZE, PADDED_ROWS, add_carefully, aligned, arena, arena_bytes, arena_in, check_count, check_shape,
    follow_rows, interrupted,
    kernels_in_use, raise_interrupt, short_unit, signal_watch, sort_by_label, start_watch, take, take_count,
    unit_samples,
)

import numpy as np

cdef extern from "kernels/kernels.h" nogil:
    size_t block_samples(size_t n_features)

cdef extern from "memory.h" nogil:
    void *take_memory(size_t size)
    void *take_zeros(size_t size)

cdef const c.kernels **in_use = kernels_in_use()

# First labels are followed cluster by cluster if the sums are too large for a core's own cache, and samples are so few
# that one thread sorts them in a millisecond.
cdef Py_ssize_t LARGE_SUMS = 1 << 19, SORTED_SAMPLES = 1 << 18


# This times 1.5 * 2^52 * grid is the grid.
cdef double QUANTUM = ldexp(1.0, -52) / 1.5

# Most bytes of all sets of sums but the first. Sums need more only if clusters or features are so many that comparing
# takes far longer than adding; then threads that share a set seldom wait for each other.
cdef size_t MOST_PARTIAL = 64 << 20

# Beside sparse rows they take at most one of so many bytes: sums of 50 clusters may be as large as all rows.
cdef size_t LEAST_SHARE_OF_ROWS = 32


cdef Py_ssize_t small_block(Py_ssize_t n_samples, int n_threads) noexcept nogil:
    """Rows of a block such that each thread gets at least four blocks of few samples."""
    cdef Py_ssize_t rows = n_samples // (4 * n_threads) // 32 * 32
    return n_samples if n_threads == 1 else max(rows, 128)


cdef int check_samples(Py_ssize_t n_samples, Py_ssize_t n_features, Py_ssize_t n_maxima,
                       Py_ssize_t n_weights) except -1:
    """Refuse arrays that do not fit together; n_weights is -1 without weights."""
    if n_samples < 1 or n_features < 1 or n_maxima != n_features or n_weights not in (-1, n_samples):
        raise ValueError(f"X ({n_samples}, {n_features}), max_abs ({n_maxima},) and sample_weight "
                         f"{None if n_weights < 0 else (n_weights,)} do not fit together.")
    return 0


cdef class ClusterSums:
    """Labels, and the sums of each cluster.

    Parameters
    ----------
    X : (n_samples, n_features) float32 or float64, C order, finite; or CsrRows or StoredRows.
    sample_weight : (n_samples,) float64 or None for ones.
    max_abs : (n_features,) float64, largest absolute value of each feature.
    max_weight : largest weight (1 without weights).
    n_clusters, n_threads : int >= 1.
    n_grid_samples : number of samples that the grid is for, n_samples or more; 0 for n_samples. Sums over parts of the
        same samples have one grid, and may be added up, if each is given the number of all samples. max_abs and
        max_weight are then those of all samples, too.

    Attributes
    ----------
    labels : (n_samples,) int32, -1 before the first labels; overwritten by the next.
    sums : (n_clusters, 2, n_features + 1) float64. `sums[j, 0] + sums[j, 1]` is the sum of weight * x over cluster j;
        its last column is the weight.
    grid : (2, n_features + 1) float64: 1.5 * 2^52 * grid, coarse and fine.

    New labels allocate nothing, except that sorting the first ones does. If a signal interrupts a method, the method
    raises the exception of the signal's handler, and the sums must not be used any more.
    """

    def __cinit__(self, X, sample_weight, max_abs, double max_weight, Py_ssize_t n_clusters, int n_threads,
                  Py_ssize_t n_grid_samples=0):
        check_count("n_clusters", n_clusters)
        check_count("n_threads", n_threads)
        self.is_float32 = X.dtype.itemsize == 4
        if isinstance(X, CsrRows):
            self.sparse = X
        elif isinstance(X, StoredRows):
            self.stored = X
        elif self.is_float32:
            self.x32 = X
        else:
            self.x64 = X
        self.sample_weight = sample_weight
        self.n_samples, self.n_features = X.shape
        check_samples(self.n_samples, self.n_features, len(max_abs),
                      -1 if sample_weight is None else len(sample_weight))
        self.most_samples = self.n_samples
        self.n_clusters = n_clusters
        self.n_threads = n_threads
        self.n_cluster_threads = n_threads if n_clusters * self.n_features > 20000 else 1
        self.n_grid_samples = n_grid_samples if n_grid_samples else self.n_samples
        if self.n_grid_samples < self.n_samples:
            raise ValueError(f"n_grid_samples must be {self.n_samples} or more, or 0; got {n_grid_samples}.")
        self.block = min(<Py_ssize_t>block_samples(self.n_features), small_block(self.n_samples, n_threads))
        self.unit = unit_samples(self.n_samples, self.block, n_threads)
        self.unit = short_unit(self.unit, self.block, <double>n_clusters * self.n_features)
        self.own_labels = np.empty(self.n_samples, dtype=np.int32)
        self.label_view = self.own_labels
        memset(&self.label_view[0], 255, self.n_samples * sizeof(int32_t))  # each is -1
        self.grid = np.empty((2, self.n_features + 1))
        self.grid_view = self.grid
        self._choose_grid(max_abs, max_weight)
        self.sums = np.empty((n_clusters, 2, self.n_features + 1))
        self.total = self.sums
        self._take_memory()
        self._clear_sums()

    def __dealloc__(self):
        free(self.memory)
        free(self.partial)

    cdef int _take_memory(self) except -1:
        """Prepare the follower, and take memory for the sums that threads add up separately."""
        cdef size_t sums_size = self.n_clusters * 2 * (self.n_features + 1) * sizeof(double)
        cdef size_t most = MOST_PARTIAL
        if self.sparse is not None:
            self.follower.sparse = &self.sparse.rows
        elif self.stored is not None:
            self.follower.stored = &self.stored.rows
        else:
            self.follower.x = <const char *>&self.x32[0, 0] if self.is_float32 else <const char *>&self.x64[0, 0]
        self.follower.is_float32 = self.is_float32 if self.stored is None else self.stored.is_float32
        self.follower.row_bytes = self.n_features * (4 if self.follower.is_float32 else 8)
        self.follower.n_features = self.n_features
        self.follower.weights = NULL if self.sample_weight is None else &self.sample_weight[0]
        self.follower.labels = &self.label_view[0]
        self.follower.grid.coarse, self.follower.grid.fine = &self.grid_view[0, 0], &self.grid_view[1, 0]
        self.follower.total = &self.total[0, 0, 0]
        self.follower.touched_size = aligned(self.n_clusters)
        self.follower.partial_size = aligned(sums_size)
        if self.sparse is not None:
            most = min(most, self.sparse.size * (4 + self.sparse.dtype.itemsize) // LEAST_SHARE_OF_ROWS)
        self.follower.n_sums = 1 + min(self.n_threads - 1, <int>(most // self.follower.partial_size))
        self.memory = take_zeros(self._divide(NULL))
        self.partial = take_memory(self._divide_partial(NULL))
        if self.memory == NULL or self.partial == NULL:
            raise MemoryError("no memory for the sums of each thread; use fewer threads (n_threads).")
        self._divide(self.memory)
        self._divide_partial(self.partial)
        memset(self.follower.touched, 1, self.n_clusters)  # the first set's, which are the total
        return 0

    cdef size_t _divide(self, void *memory) noexcept nogil:
        """Divide memory, or count its bytes: see arena.h."""
        cdef arena parts = arena_in(memory)
        cdef row_follower *of = &self.follower
        of.counts = <size_t *>take(&parts, self.n_threads * 16 * sizeof(size_t))
        of.touched = <uint8_t *>take(&parts, of.n_sums * of.touched_size)
        if of.n_sums < self.n_threads:
            of.locks = <uint8_t *>take(&parts, of.n_sums * LOCK_SIZE)
        if self.stored is not None:
            of.wide_rows = self.block + PADDED_ROWS
            of.wide_size = aligned(of.wide_rows * self.n_features * (4 if of.is_float32 else 8))
            of.wide = <char *>take(&parts, self.n_threads * of.wide_size)
        return arena_bytes(&parts)

    cdef size_t _divide_partial(self, void *memory) noexcept nogil:
        """The same for memory that is not cleared: a set of sums is not read before its cluster is touched."""
        cdef arena parts = arena_in(memory)
        self.follower.partial = <char *>take(&parts, (self.follower.n_sums - 1) * self.follower.partial_size)
        return arena_bytes(&parts)

    cdef void _clear_sums(self) noexcept nogil:
        """Let each thread write first, and so own, the pages of the sums that it merges.

        If zeros from the system were read before they are written, all would be one shared page of zeros, and each
        later write would have to tell every core of a new page. That took 30 of 250 ms of a fit with 37 MB of sums (12
        000 x 768, k=1000, two cores of a virtual machine).
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
            choose_grid(max_weight * (max_abs[f] if f < self.n_features else 1.0), self.n_grid_samples,
                        &self.grid_view[0, f], &self.grid_view[1, f])
        return 0

    @property
    def labels(self):
        return self.own_labels

    def turn_to(self, X, labels, sample_weight):
        """Go on with other samples: from now on they take the place of those before, whose share of the sums stays.

        X : (n, n_features) of the same type, C order, where n is at most the number of the first samples; or any number
        of CachedRows, which only a step of Lloyd's algorithm reads.
        labels : (n,) int32, those by which the sums hold these samples, -1 where they do not; overwritten by the next.
        sample_weight : (n,) float64, or None as before.
        """
        cdef Py_ssize_t n_samples = X.shape[0]
        if (X.dtype.itemsize == 4) != self.is_float32 or self.sparse is not None:
            raise ValueError(f"X must be dense and of the type of the samples before; got {X.dtype}.")
        if (sample_weight is None) != (self.sample_weight is None):
            raise ValueError("sample_weight must be None if and only if it was None before.")
        check_samples(n_samples, X.shape[1], self.n_features, -1 if sample_weight is None else len(sample_weight))
        cached = isinstance(X, CachedRows)
        if cached and X.n_threads < self.n_threads:
            raise ValueError(f"X must have memory for {self.n_threads} threads; got {X.n_threads}.")
        if n_samples > self.most_samples and not cached or len(labels) != n_samples:
            raise ValueError(f"X must have at most {self.most_samples} rows, and as many labels; got {n_samples} rows "
                             f"and {len(labels)} labels.")
        self.cached = X if cached else None
        if cached:
            self.follower.cached = &self.cached.of
        else:
            self.follower.cached = NULL
            if self.is_float32:
                self.x32 = X
            else:
                self.x64 = X
            self.follower.x = <const char *>&self.x32[0, 0] if self.is_float32 else <const char *>&self.x64[0, 0]
        self.sample_weight = sample_weight
        self.n_samples = n_samples
        self.own_labels = labels
        self.label_view = labels
        self.follower.weights = NULL if self.sample_weight is None else &self.sample_weight[0]
        self.follower.labels = &self.label_view[0]

    def follow(self, const int32_t[::1] new_labels):
        """Take over labels that another algorithm found, and let the sums follow them.

        new_labels : (n_samples,) int32, all >= 0; read only.   Returns the number of labels that changed.
        """
        cdef const c.kernels *table = in_use[0]
        cdef Py_ssize_t u, n_units = (self.n_samples + self.unit - 1) // self.unit
        if new_labels.shape[0] != self.n_samples:
            raise ValueError(f"new_labels must have shape ({self.n_samples},); got ({new_labels.shape[0]},).")
        if self.cached is not None:
            raise ValueError("rows must lie in memory to be followed; let a step of Lloyd's algorithm read CachedRows.")
        start_watch(&self.watch)
        if self.label_view[0] < 0 and self._follow_by_cluster(table, &new_labels[0]):
            raise_interrupt(&self.watch)
            return self.n_samples
        with nogil:
            for u in prange(n_units, schedule="dynamic", chunksize=1, num_threads=self.n_threads):
                if not interrupted(&self.watch):
                    follow_rows(&self.follower, table, u * self.unit, min(self.unit, self.n_samples - u * self.unit),
                                &new_labels[u * self.unit], threadid())
            self.merge(table, &self.watch)
        raise_interrupt(&self.watch)
        return take_count(self.follower.counts, self.n_threads, 0)

    cdef bint _follow_by_cluster(self, const c.kernels *table, const int32_t *new_labels) noexcept:
        """Follow first labels cluster by cluster, so that sums stay in a core's cache and need no merge; False if that
        would not pay.

        Row by row, each row would fetch sums from memory. First labels of 12 000 x 384 samples and k=1000 took 3.9 ms,
        and 2.8 ms with two threads; cluster by cluster they take 2.8 and 1.6 ms (Zen 3).
        """
        cdef Py_ssize_t j
        cdef int32_t *rows
        cdef int32_t *starts
        if self.sparse is not None or self.stored is not None or self.n_samples > SORTED_SAMPLES:
            return False
        if self.n_clusters * 2 * (self.n_features + 1) * 8 < LARGE_SUMS:
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
        table.add_rows[self.follower.is_float32](self.follower.x, self.n_features, rows, count, self.follower.weights,
                                        self.follower.grid, &self.total[j, 0, 0])

    def move(self, const double[:, ::1] centers, const double[::1] origin, double[:, ::1] moved, double[:, ::1] terms,
             double digits=0.0):
        """Write the new center of each cluster: the mean by its sums, rounded to the type of X.

        centers : (n_clusters, n_features), those of the last step.   origin : (n_features,), any point amid the data.
        moved : OUT (n_clusters, n_features); a cluster without weight keeps its center.
        terms : OUT (n_clusters, 4): weight; squared distance from center to moved; the sum of
        weight * (|x - origin|^2 - |x - center|^2), which the cluster takes off the scatter about the origin, so that
        inertia = sum of weight * |x - origin|^2 - sum of these; 1 if a sum may have lost digits to the grids, else 0.
        digits : a sum has lost digits if its weight * x are less than so many quanta of the fine grid on average.
        Returns what totals_of makes of the terms.
        """
        return self._move(&self.total[0, 0, 0], centers, origin, moved, terms, digits)

    def move_by(self, const double[:, :, ::1] sums, const double[:, ::1] centers, const double[::1] origin,
                double[:, ::1] moved, double[:, ::1] terms, double digits=0.0):
        """As `move`, but by the sums over all parts of the samples; the samples here are one of the parts.

        sums : (n_clusters, 2, n_features + 1), the sum of those of all parts, which have the same grid.
        """
        check_shape("sums", sums.shape[0], sums.shape[2], self.n_clusters, self.n_features + 1)
        if sums.shape[1] != 2:
            raise ValueError(f"sums must be pairs; got {sums.shape[1]} of each.")
        return self._move(&sums[0, 0, 0], centers, origin, moved, terms, digits)

    cdef tuple _move(self, const double *sums, const double[:, ::1] centers, const double[::1] origin,
                     double[:, ::1] moved, double[:, ::1] terms, double digits):
        """sums : [n_clusters][2][n_features + 1]; the rest as for move."""
        cdef const c.kernels *table = in_use[0]
        cdef bint weighted = self.sample_weight is not None
        cdef const double *fine = &self.grid_view[1, 0]
        cdef Py_ssize_t j, length = 2 * (self.n_features + 1)
        check_shape("centers", centers.shape[0], centers.shape[1], self.n_clusters, self.n_features)
        check_shape("moved", moved.shape[0], moved.shape[1], self.n_clusters, self.n_features)
        check_shape("terms", terms.shape[0], terms.shape[1], self.n_clusters, 4)
        if origin.shape[0] != self.n_features:
            raise ValueError(f"origin must have shape ({self.n_features},); got ({origin.shape[0]},).")
        digits *= QUANTUM * (self.n_grid_samples if weighted else 1)
        with nogil:
            if self.n_cluster_threads == 1:  # OpenMP takes a microsecond even for one thread
                for j in range(self.n_clusters):
                    table.move_center(sums + j * length, self.n_features, &centers[j, 0], &origin[0], fine, digits,
                                      self.is_float32, weighted, &moved[j, 0], &terms[j, 0])
            else:
                for j in prange(self.n_clusters, schedule="static", num_threads=self.n_cluster_threads):
                    table.move_center(sums + j * length, self.n_features, &centers[j, 0], &origin[0], fine, digits,
                                      self.is_float32, weighted, &moved[j, 0], &terms[j, 0])
        return totals_of(terms)

    cdef void merge(self, const c.kernels *table, signal_watch *watch) noexcept nogil:
        """Bring `sums` up to date with the rows that follow_rows took: add the other sets of sums to the first. Nothing
        is rounded, so the order is free."""
        cdef Py_ssize_t j
        if self.follower.n_sums == 1:
            return
        if self.n_cluster_threads == 1:
            for j in range(self.n_clusters):
                self._merge_cluster(table, j, watch)
        else:
            for j in prange(self.n_clusters, schedule="static", num_threads=self.n_cluster_threads):
                self._merge_cluster(table, j, watch)

    cdef void _merge_cluster(self, const c.kernels *table, Py_ssize_t j, signal_watch *watch) noexcept nogil:
        cdef Py_ssize_t length = 2 * (self.n_features + 1)
        cdef int t
        if interrupted(watch):
            return
        for t in range(1, self.follower.n_sums):
            if self.follower.touched[t * self.follower.touched_size + j]:
                table.merge_sums(<double *>(self.follower.partial + (t - 1) * self.follower.partial_size) + j * length,
                                 self.n_features, &self.total[j, 0, 0])
                self.follower.touched[t * self.follower.touched_size + j] = 0


cpdef tuple totals_of(const double[:, ::1] terms):
    """Sum of the squared shifts, sum of what is taken off the scatter, number of clusters without weight, and number of
    clusters whose sums may have lost digits: see move."""
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
    """What the clusters take off the scatter about the origin (see move), as a sum of two float64, the larger first."""
    cdef const c.kernels *table = in_use[0]
    cdef Py_ssize_t g, n_clusters = sums.shape[0]
    cdef Py_ssize_t n_groups = (n_clusters + EXPLAINED_TOGETHER - 1) // EXPLAINED_TOGETHER
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



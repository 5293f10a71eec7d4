# cython: language_level=3, freethreading_compatible=True, boundscheck=False, wraparound=False, cdivision=True
# cython: initializedcheck=False
"""For two clusters: two numbers of each sample tell most labels, so that few samples are read again.

After G. Hamerly, "Making k-means even faster", SIAM International Conference on Data Mining, 2010. Two clusters have
one border. Here the bound is how far the border has turned out of a plane since a sample was read: the plane in which
it turned then (kernels/pair.h).
"""
from cython.parallel cimport prange, threadid
from libc.stdint cimport int32_t
from libc.stdlib cimport free

cimport kernels as c
from fastkmeans._core.sums cimport ClusterSums
from shared cimport (
    aligned, arena, arena_bytes, arena_in, check_shape, follow_block, follow_rows, interrupted, kernels_in_use,
    raise_interrupt, readable_from, row_follower, row_of, signal_watch, start_watch, take, take_count,
)

from fastkmeans._core.lloyd import LloydState

cdef extern from "memory.h" nogil:
    void *take_zeros(size_t size)

cdef const c.kernels **in_use = kernels_in_use()

cdef enum:
    N_LINES = 16  # planes that blocks may refer to: those of the last steps that read a block


cdef class PairState:
    """What is kept for two clusters: where each sample lies in a plane, and how far from it.

    Parameters are those of ClusterSums. LloydState takes all steps if n_clusters is not 2.

    Attributes
    ----------
    clusters, n_decided, stepped_by : as in LloydState.
    n_read : blocks that were read in the last step.
    """

    cdef readonly ClusterSums clusters
    cdef object _dense           # None for two clusters
    cdef Py_ssize_t n_units
    cdef double *offset          # [n_features]
    cdef double *centers         # [2][n_features] of this step: lines point here
    cdef double *previous        # [2][n_features] of the step before
    cdef void *memory
    cdef char *lines             # [N_LINES], line_size apart
    cdef Py_ssize_t[N_LINES] ages  # the step that each line began with; -1 for none
    cdef Py_ssize_t step_number
    cdef int now                 # the line of this step
    cdef Py_ssize_t *read_in     # [n_blocks] the step that read the block last, -1 for none
    cdef int *line_of            # [n_blocks]
    cdef float *along            # [n_samples padded], see kernels/pair.h
    cdef float *aside
    cdef float *rest
    cdef char *scratch           # [n_threads], scratch_size apart: kernel's scratch, then labels of a block
    cdef size_t line_size, scratch_size, labels_at
    cdef const c.kernels *table  # that of the first step: lines are as long as its vectors ask
    cdef signal_watch watch
    cdef readonly Py_ssize_t n_decided, n_read
    cdef readonly str stepped_by

    def __cinit__(self, X, sample_weight, max_abs, double max_weight, Py_ssize_t n_clusters, int n_threads,
                  Py_ssize_t n_grid_samples=0):
        cdef int i
        self.clusters = ClusterSums(X, sample_weight, max_abs, max_weight, n_clusters, n_threads, n_grid_samples)
        self.stepped_by = "pair"
        if n_clusters != 2:
            self._dense = LloydState(clusters=self.clusters)
            self.stepped_by = "lloyd"
            return
        self.table = in_use[0]
        self.n_units = (self.clusters.n_samples + self.clusters.unit - 1) // self.clusters.unit
        self.memory = take_zeros(self._divide(NULL))
        if self.memory == NULL:
            raise MemoryError("no memory for what is kept of each sample; use algorithm='lloyd'.")
        self._divide(self.memory)
        for i in range(N_LINES):
            self.ages[i] = -1

    def __dealloc__(self):
        free(self.memory)

    cdef size_t _divide(self, void *memory) noexcept nogil:
        """Divide memory, or count its bytes: see arena.h."""
        cdef arena parts = arena_in(memory)
        cdef Py_ssize_t n_features = self.clusters.n_features, block = self.clusters.block
        cdef Py_ssize_t n_blocks = (self.clusters.n_samples + block - 1) // block
        self.line_size = aligned(self.table.pair_bytes(n_features))
        self.labels_at = aligned(self.table.scratch_bytes(2, n_features))
        self.scratch_size = self.labels_at + aligned((block + 32) * sizeof(int32_t))
        self.offset = <double *>take(&parts, 2 * n_features * sizeof(double))
        self.centers = <double *>take(&parts, 2 * n_features * sizeof(double))
        self.previous = <double *>take(&parts, 2 * n_features * sizeof(double))
        self.lines = <char *>take(&parts, N_LINES * self.line_size)
        self.read_in = <Py_ssize_t *>take(&parts, n_blocks * sizeof(Py_ssize_t))
        self.line_of = <int *>take(&parts, n_blocks * sizeof(int))
        self.along = <float *>take(&parts, (self.clusters.n_samples + 32) * sizeof(float))
        self.aside = <float *>take(&parts, (self.clusters.n_samples + 32) * sizeof(float))
        self.rest = <float *>take(&parts, (self.clusters.n_samples + 32) * sizeof(float))
        self.scratch = <char *>take(&parts, self.clusters.n_threads * self.scratch_size)
        return arena_bytes(&parts)

    def step(self, const double[:, ::1] centers):
        """Label every sample with its nearest center and let the sums follow the labels.

        centers : (n_clusters, n_features) float64: the values of the stored centers; read only.
        Returns the number of labels that changed.
        """
        cdef ClusterSums clusters = self.clusters
        cdef Py_ssize_t n_changed
        if self._dense is not None:
            n_changed = self._dense.step(centers)
            self.n_decided = self._dense.n_decided
            return n_changed
        check_shape("centers", centers.shape[0], centers.shape[1], 2, clusters.n_features)
        start_watch(&self.watch)
        with nogil:
            self._turn(&centers[0, 0])
            self._label_units()
            clusters.merge(self.table, &self.watch)
        raise_interrupt(&self.watch)
        self.n_decided = take_count(clusters.follower.counts, clusters.n_threads, 1)
        self.n_read = take_count(clusters.follower.counts, clusters.n_threads, 2)
        self.step_number += 1
        if self.n_read:  # else no block refers to the line of this step, and the next one takes its place
            self.now = (self.now + 1) % N_LINES
        return take_count(clusters.follower.counts, clusters.n_threads, 0)

    cdef void _turn(self, const double *centers) noexcept nogil:
        """Begin the line of this step, and find where the centers lie along the others."""
        cdef Py_ssize_t f
        cdef int i
        for f in range(2 * self.clusters.n_features):
            self.previous[f] = self.centers[f]
            self.centers[f] = centers[f]
        self.table.find_offset(self.centers, 2, self.clusters.n_features, self.offset)
        self.table.pair_start(self.centers, self.previous if self.step_number else NULL, self.clusters.n_features,
                              self.offset, self.clusters.follower.is_float32, self.lines + self.now * self.line_size)
        self.ages[self.now] = self.step_number
        for i in range(N_LINES):
            if i != self.now and self.ages[i] >= 0:
                self.table.pair_turn(self.centers, self.lines + i * self.line_size)

    # Parallel loops stand in `cdef ... nogil` methods: see lloyd.pyx.
    cdef void _label_units(self) noexcept nogil:
        cdef Py_ssize_t u
        if self.clusters.n_threads == 1:
            for u in range(self.n_units):
                self._label_unit(u, 0)
        else:
            for u in prange(self.n_units, schedule="dynamic", chunksize=1, num_threads=self.clusters.n_threads):
                self._label_unit(u, threadid())

    cdef void _label_unit(self, Py_ssize_t u, int t) noexcept nogil:
        """Label and follow the blocks of a unit."""
        cdef row_follower *of = &self.clusters.follower
        cdef char *scratch = self.scratch + t * self.scratch_size
        cdef int32_t *labels = <int32_t *>(scratch + self.labels_at)
        cdef const char *now = self.lines + self.now * self.line_size
        cdef const char *kept
        cdef const char *rows
        cdef Py_ssize_t n_samples = self.clusters.n_samples, first = u * self.clusters.unit, count, b
        cdef Py_ssize_t end = min(first + self.clusters.unit, n_samples)
        if interrupted(&self.watch):
            return
        while first < end:
            count = min(self.clusters.block, end - first)
            b = first // self.clusters.block
            kept = NULL
            if of.labels[first] >= 0 and self.ages[self.line_of[b]] == self.read_in[b]:
                kept = self.lines + self.line_of[b] * self.line_size
            rows = row_of(of, first) if of.stored == NULL else of.wide + t * of.wide_size
            if self.table.pair_label[of.is_float32](
                    rows, of.stored, first, count, readable_from(of, n_samples, first), kept, now, scratch,
                    self.along + first, self.aside + first, self.rest + first, labels, &of.counts[16 * t + 1]):
                self.read_in[b], self.line_of[b] = self.step_number, self.now
                of.counts[16 * t + 2] += 1
                follow_block(of, self.table, rows, first, count, labels, t)
            else:
                follow_rows(of, self.table, first, count, labels, t)
            first = first + count

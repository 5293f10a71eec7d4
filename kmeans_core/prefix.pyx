# cython: language_level=3, freethreading_compatible=True, boundscheck=False, wraparound=False, cdivision=True
# cython: initializedcheck=False
"""The prefix filter: a few leading coordinates in 8 bits exclude most centers; the others are decided exactly.

Samples are turned once to principal directions, which a few of them tell. The proof that an excluded center is not the
nearest is in kernels/prefix.h; what remains is compared in float32 and float64 on the stored values.
"""
from cython.parallel cimport prange, threadid
from libc.stdint cimport int32_t, uintptr_t
from libc.stdlib cimport free
from libc.string cimport memcpy

cimport kernels as c
from fastkmeans._core.stored cimport reads_float32
from fastkmeans._core.sums cimport ClusterSums
from shared cimport (
    PADDED_ROWS, PIECE_WORK, aligned, arena, arena_bytes, arena_in, check_shape, follow_rows, interrupted,
    kernels_in_use, raise_interrupt,
    row_follower, row_of, short_unit, signal_watch, start_watch, take, take_count, unit_samples,
)

from fastkmeans._core.lloyd import LloydState
from fastkmeans._core.quantized import QuantizedState

cdef extern from "kernels/kernels.h" nogil:
    size_t block_samples(size_t n_features)

cdef extern from "memory.h" nogil:
    void *take_zeros(size_t size)

cdef const c.kernels **in_use = kernels_in_use()

cdef enum:
    SORTED_ROWS = 512
    PROBED_SHARE = 32  # one unit in so many, at least one, tells whether the filter pays again


cdef class PrefixState:
    """What the filter keeps between iterations: codes of every sample, and the sums of each cluster.

    Parameters
    ----------
    X, sample_weight, max_abs, max_weight, n_clusters, n_threads : as ClusterSums.
    copies : Codes of X, which others may share.
    n_directions : int or None. None lets the first step choose, by counting on a few rows; 0 leaves all to Lloyd's.

    The first step allocates memory, the others seldom do. If a step costs more than one of Lloyd's, the next one is
    tried on few samples, and steps of QuantizedState take over if it costs more, too; Lloyd's steps if the number of
    directions was given. Centers that settle are nearer to their samples, and more of the others can be excluded. So
    the filter is tried again after the first of such steps, and then whenever half as many labels change as at the
    last trial.
    """

    cdef readonly ClusterSums clusters
    cdef object dense, copies, rows, n_wanted
    cdef bint is_float32
    cdef Py_ssize_t n_samples, n_features, n_clusters, block, unit, n_wasted
    cdef Py_ssize_t tried_below  # if a step of Lloyd's changes at most so many labels, the filter is tried
    cdef bint tries_again        # whether the filter may pay for other centers
    cdef int n_threads
    cdef const c.kernels *table
    cdef void *memory
    cdef char *prefix
    cdef char *scratch           # [n_threads], scratch_size apart: the kernel's, then a unit of stored rows
    cdef size_t *counts          # [n_threads][16]: pairs compared, samples decided in float64; one cache line each
    cdef char *codes
    cdef size_t scratch_size, wide_at, tile_bytes
    cdef signal_watch watch
    cdef object found
    cdef int32_t[::1] found_view
    cdef double[:, ::1] bounds   # [n_samples][2]: of the score of the label
    cdef readonly Py_ssize_t n_directions  # -1 if the next step tries the filter, 0 while Lloyd's steps are taken
    cdef readonly Py_ssize_t n_compared    # pairs that the codes of the last step could not exclude, own labels aside
    cdef readonly Py_ssize_t n_decided     # samples that needed float64
    cdef readonly str stepped_by           # the algorithm of the last step

    def __cinit__(self, X, sample_weight, max_abs, double max_weight, Py_ssize_t n_clusters, int n_threads, copies,
                  n_directions=None, Py_ssize_t n_grid_samples=0):
        self.clusters = ClusterSums(X, sample_weight, max_abs, max_weight, n_clusters, n_threads, n_grid_samples)
        # Codes may have taken all memory that rows read in place leave for copies.
        if n_directions is None and copies.quantized is not None and self.clusters.stored is None:
            self.dense = QuantizedState(X, sample_weight, max_abs, max_weight, n_clusters, n_threads, copies.quantized,
                                        clusters=self.clusters)
        else:
            self.dense = LloydState(clusters=self.clusters)
        self.table = in_use[0]
        self.copies = copies
        self.is_float32 = reads_float32(X)
        self.n_samples, self.n_features = X.shape
        self.n_clusters = n_clusters
        self.n_threads = n_threads
        self.stepped_by = ""
        self.block = block_samples(self.n_features)
        self.unit = unit_samples(self.n_samples, self.block, n_threads)
        # The kernel sorts so many samples at a time. Stored rows are laid out for one such time.
        self.unit = short_unit(self.unit, self.block, <double>n_clusters * self.n_features, least=SORTED_ROWS)
        if self.clusters.stored is not None:
            self.unit = SORTED_ROWS
        self.n_wanted = n_directions
        self.tried_below = self.n_samples
        self.tries_again = n_directions is None
        self.n_directions = 0 if n_directions == 0 else -1

    def __dealloc__(self):
        free(self.memory)

    def step(self, const double[:, ::1] centers):
        """Label every sample with its nearest center and let the sums follow the labels, as LloydState.step does."""
        cdef Py_ssize_t n_units = (self.n_samples + self.unit - 1) // self.unit, n_probed = 0
        check_shape("centers", centers.shape[0], centers.shape[1], self.n_clusters, self.n_features)
        if self.n_directions < 0:
            self._begin(centers)
        if self.n_directions == 0:
            n_changed = self.dense.step(centers)
            self.n_compared, self.n_decided = self.n_samples * self.n_clusters, self.dense.n_decided
            self.stepped_by = self.dense.stepped_by
            self._plan_trial(n_changed)
            return n_changed
        start_watch(&self.watch)
        with nogil:
            self._pack_centers(centers)
            self.table.prefix_gather_moved(self.prefix)
        self.n_compared = self.n_decided = 0
        if self.n_wasted and self.tries_again:
            n_probed = (n_units + PROBED_SHARE - 1) // PROBED_SHARE
            self._assign_units(centers, 0, n_probed)
            if not self._pays(min(n_probed * self.unit, self.n_samples)):
                return self._give_up(centers)
        self._assign_units(centers, n_probed, n_units)
        self.stepped_by = "prefix"
        if self.clusters.stored is not None:
            n_changed = take_count(self.clusters.follower.counts, self.n_threads, 0)
        else:
            n_changed = self.clusters.follow(self.found)
        if self.n_wanted is None:
            self.n_wasted = not self._pays(self.n_samples)
        return n_changed

    def _begin(self, centers):
        """Code the samples, if that pays."""
        import numpy as np

        rows = self.copies.for_steps(centers, self.n_wanted)
        if rows is None:
            self.n_directions = 0
            self.tries_again = self.n_wanted is None and self.copies.may_pay_later
            return
        self.rows = rows
        self.n_directions = rows.n_directions
        self._take_codes(rows.directions, rows.offset)
        if self.clusters.stored is None:  # stored rows are followed unit by unit, and need no second array of labels
            self.found = self.clusters.labels.copy()
            self.found_view = self.found
        self.bounds = np.empty((self.n_samples, 2))

    cdef int _take_codes(self, const float[:, ::1] directions, const double[::1] offset) except -1:
        _, codes, self.tile_bytes = self.rows.addresses
        self.codes = <char *><uintptr_t>codes
        self.memory = take_zeros(self._divide(NULL))
        if self.memory == NULL:
            raise MemoryError("no memory for the codes of the centers; use algorithm='lloyd'.")
        self._divide(self.memory)
        self.table.prefix_start(&directions[0, 0], self.n_directions, self.rows.skew, &offset[0], self.rows.scale,
                                self.n_clusters, self.n_features, self.is_float32, self.prefix)
        return 0

    cdef size_t _divide(self, void *memory) noexcept nogil:
        """Divide memory, or count its bytes: see arena.h."""
        cdef const c.kernels *table = self.table
        cdef arena parts = arena_in(memory)
        self.wide_at = aligned(table.prefix_scratch_bytes(self.n_clusters, self.n_features, self.n_directions))
        self.scratch_size = self.wide_at
        if self.clusters.stored is not None:
            self.scratch_size += aligned((self.unit + PADDED_ROWS) * self.clusters.follower.row_bytes)
        self.prefix = <char *>take(&parts, table.prefix_bytes(self.n_clusters, self.n_features, self.n_directions,
                                                              True))
        self.counts = <size_t *>take(&parts, self.n_threads * 16 * sizeof(size_t))
        self.scratch = <char *>take(&parts, self.n_threads * self.scratch_size)
        return arena_bytes(&parts)

    cdef char *_codes_of(self, Py_ssize_t first) noexcept nogil:
        return self.codes + first // self.table.tile_samples * self.tile_bytes

    cdef void _pack_centers(self, const double[:, ::1] centers) noexcept nogil:
        cdef Py_ssize_t p, part, n_parts, tile = self.table.tile_samples  # so many are coded at a time
        n_parts = self.n_clusters * self.n_features * self.n_directions // PIECE_WORK
        n_parts = min((self.n_clusters + tile - 1) // tile, max(n_parts, <Py_ssize_t>4 * self.n_threads))
        part = ((self.n_clusters + n_parts - 1) // n_parts + tile - 1) // tile * tile
        n_parts = (self.n_clusters + part - 1) // part
        for p in prange(n_parts, schedule="dynamic", chunksize=1, num_threads=self.n_threads):
            if not interrupted(&self.watch):
                self.table.prefix_pack_centers(&centers[0, 0], p * part, min(part, self.n_clusters - p * part),
                                               self.prefix, self.scratch + threadid() * self.scratch_size)

    cdef int _assign_units(self, const double[:, ::1] centers, Py_ssize_t first, Py_ssize_t end) except -1:
        """Label the samples of some units, and count the work."""
        with nogil:
            self._assign_in_parallel(centers, first, end)
            if self.clusters.follower.stored != NULL:
                self.clusters.merge(self.table, &self.watch)
        raise_interrupt(&self.watch)
        self.n_compared += take_count(self.counts, self.n_threads, 0)
        self.n_decided += take_count(self.counts, self.n_threads, 1)
        return 0

    # Parallel loops stand in `cdef ... nogil` methods: see lloyd.pyx.
    cdef void _assign_in_parallel(self, const double[:, ::1] centers, Py_ssize_t first, Py_ssize_t end) noexcept nogil:
        cdef Py_ssize_t u
        for u in prange(first, end, schedule="dynamic", chunksize=1, num_threads=self.n_threads):
            self._assign_unit(centers, u, threadid())

    cdef void _assign_unit(self, const double[:, ::1] centers, Py_ssize_t u, int t) noexcept nogil:
        cdef Py_ssize_t first = u * self.unit, count = min(self.unit, self.n_samples - u * self.unit)
        cdef char *scratch = self.scratch + t * self.scratch_size
        cdef row_follower *of = &self.clusters.follower
        cdef int32_t[SORTED_ROWS] labels
        if interrupted(&self.watch):
            return
        if of.stored == NULL:
            self.table.prefix_assign[self.is_float32](row_of(of, first), NULL, 0, count, &centers[0, 0],
                                                      self._codes_of(first), self.prefix, scratch,
                                                      &self.found_view[first], &self.bounds[first, 0],
                                                      self.counts + 16 * t)
            return
        memcpy(labels, of.labels + first, count * sizeof(int32_t))
        self.table.prefix_assign[self.is_float32](scratch + self.wide_at, of.stored, first, count, &centers[0, 0],
                                                  self._codes_of(first), self.prefix, scratch, labels,
                                                  &self.bounds[first, 0], self.counts + 16 * t)
        follow_rows(of, self.table, first, count, labels, t)

    cdef void _plan_trial(self, Py_ssize_t n_changed) noexcept:
        """Let the next step try the filter if few enough labels have changed."""
        if self.tries_again and n_changed <= self.tried_below:
            self.n_directions = -1
            self.tried_below = n_changed // 2

    cdef bint _pays(self, Py_ssize_t n_samples):
        """Has the filter cost no more than Lloyd's steps for so many samples? By counted work and not by time."""
        return self.copies.pays(self.n_directions, self.n_compared / <double>n_samples, self.n_clusters)

    cdef Py_ssize_t _give_up(self, const double[:, ::1] centers) except -1:
        """Take this step by Lloyd's algorithm, and those to come until the next trial."""
        self.n_directions = 0
        free(self.memory)
        self.memory = NULL
        self.rows = self.found = None
        return self.step(centers)

# cython: language_level=3, freethreading_compatible=True, boundscheck=False, wraparound=False, cdivision=True
# cython: initializedcheck=False
"""Lloyd's algorithm: every sample against every center, every iteration.

S. P. Lloyd, "Least squares quantization in PCM", IEEE Transactions on Information Theory 28(2), 1982.
"""
from cython.parallel cimport prange, threadid
from libc.stdint cimport int32_t
from libc.stdlib cimport free

cimport kernels as c
from fastkmeans._core.sums cimport ClusterSums
from shared cimport (
    aligned, arena, arena_bytes, arena_in, block_of, check_shape, follow_block, interrupted, kernels_in_use,
    pack_for_assign, raise_interrupt, readable_from, row_follower, signal_watch, start_watch, take, take_count,
)

cdef extern from "memory.h" nogil:
    void *take_zeros(size_t size)

cdef const c.kernels **in_use = kernels_in_use()


cdef class LloydState:
    """Lloyd's algorithm: a step is a pass over all pairs of sample and center.

    Parameters
    ----------
    X, sample_weight, max_abs, max_weight, n_clusters, n_threads : as ClusterSums.
    clusters : in place of these, a ClusterSums that the state of another algorithm keeps.

    Attributes
    ----------
    clusters : ClusterSums, which follow the labels.
    n_decided : samples that needed float64 in the last step.
    stepped_by : the algorithm of the last step.

    `step` allocates nothing, so that iteration 2 cannot fail if iteration 1 did not. If a signal interrupts a step, the
    step raises the exception of the signal's handler, and the state must not be used any more.
    """

    cdef readonly ClusterSums clusters
    cdef Py_ssize_t n_units
    cdef double *offset          # [n_features]
    cdef void *memory
    cdef char *packed
    cdef char *scratch           # [n_threads], scratch_size apart: kernel's scratch, then labels of a block
    cdef size_t scratch_size, labels_at
    cdef signal_watch watch
    cdef readonly Py_ssize_t n_decided
    cdef readonly str stepped_by

    def __cinit__(self, *samples, ClusterSums clusters=None, Py_ssize_t n_grid_samples=0):
        if samples and clusters is not None:
            raise TypeError("LloydState takes samples, or clusters that have them; got both.")
        self.clusters = clusters
        if clusters is None:
            self.clusters = ClusterSums(*samples, n_grid_samples=n_grid_samples)
        self.stepped_by = "lloyd"
        self.memory = take_zeros(self._divide(NULL))
        if self.memory == NULL:
            raise MemoryError("no memory for the scratch of each thread; use fewer threads (n_threads).")
        self._divide(self.memory)

    def __dealloc__(self):
        free(self.memory)

    cdef size_t _divide(self, void *memory) noexcept nogil:
        """Divide memory, or count its bytes: see arena.h."""
        cdef const c.kernels *table = in_use[0]
        cdef arena parts = arena_in(memory)
        cdef Py_ssize_t n_clusters = self.clusters.n_clusters, n_features = self.clusters.n_features
        self.labels_at = aligned(table.scratch_bytes(n_clusters, n_features))
        self.scratch_size = self.labels_at + aligned(self.clusters.block * sizeof(int32_t))
        self.packed = <char *>take(&parts, table.packed_bytes(n_clusters, n_features))
        self.offset = <double *>take(&parts, 2 * n_features * sizeof(double))
        self.scratch = <char *>take(&parts, self.clusters.n_threads * self.scratch_size)
        return arena_bytes(&parts)

    def step(self, const double[:, ::1] centers):
        """Label every sample with its nearest center and let the sums follow the labels.

        centers : (n_clusters, n_features) float64: the values of the stored centers; read only.
        Returns the number of labels that changed.
        """
        cdef const c.kernels *table = in_use[0]
        cdef ClusterSums clusters = self.clusters
        check_shape("centers", centers.shape[0], centers.shape[1], clusters.n_clusters, clusters.n_features)
        self.n_units = (clusters.n_samples + clusters.unit - 1) // clusters.unit
        start_watch(&self.watch)
        with nogil:
            pack_for_assign(table, &centers[0, 0], clusters.n_clusters, clusters.n_features,
                            clusters.follower.is_float32, self.offset, self.packed)
            self._assign_units(table)
            clusters.merge(table, &self.watch)
        raise_interrupt(&self.watch)
        self.n_decided = take_count(clusters.follower.counts, clusters.n_threads, 1)
        return take_count(clusters.follower.counts, clusters.n_threads, 0)

    # Parallel loops stand in `cdef ... nogil` methods, and these read fields by `self.clusters`: Cython cannot take a
    # Python object such as a local variable `clusters` into a parallel region.
    cdef void _assign_units(self, const c.kernels *table) noexcept nogil:
        cdef Py_ssize_t u
        if self.clusters.n_threads == 1:
            for u in range(self.n_units):
                self._assign_unit(table, u, 0)
        else:
            for u in prange(self.n_units, schedule="dynamic", chunksize=1, num_threads=self.clusters.n_threads):
                self._assign_unit(table, u, threadid())

    cdef void _assign_unit(self, const c.kernels *table, Py_ssize_t u, int t) noexcept nogil:
        """Assign and follow the blocks of a unit, each while it is in this core's cache.

        Rows of files that would have to be waited for keep their labels, and the sums stay as they are.
        """
        cdef row_follower *of = &self.clusters.follower
        cdef char *scratch = self.scratch + t * self.scratch_size
        cdef int32_t *labels = <int32_t *>(scratch + self.labels_at)
        cdef Py_ssize_t n_samples = self.clusters.n_samples, first = u * self.clusters.unit, count
        cdef Py_ssize_t end = min(first + self.clusters.unit, n_samples)
        cdef const char *rows
        if interrupted(&self.watch):
            return
        while first < end:
            count = min(self.clusters.block, end - first)
            rows = block_of(of, table, first, count, t)
            if rows == NULL:
                return
            of.counts[16 * t + 1] += table.assign[of.is_float32](rows, count, readable_from(of, n_samples, first),
                                                                 self.packed, scratch, labels)
            follow_block(of, table, rows, first, count, labels, t)
            first = first + count

# cython: language_level=3, freethreading_compatible=True, boundscheck=False, wraparound=False, cdivision=True
# cython: initializedcheck=False
"""Sparse rows: Lloyd's algorithm, and the distances that are asked for outside the iterations."""
from cython.parallel cimport prange, threadid
from libc.stdint cimport int32_t
from libc.stdlib cimport calloc, free

cimport kernels as c
from fastkmeans._core.csr cimport CsrRows
from fastkmeans._core.sums cimport ClusterSums
from shared cimport (
    aligned, arena, arena_bytes, arena_in, check_count, check_shape, follow_rows, interrupted, kernels_in_use,
    raise_interrupt, row_follower, signal_watch, start_watch, take, take_count,
)

import numpy as np

cdef extern from "memory.h" nogil:
    void *take_memory(size_t size)
    void *take_zeros(size_t size)

cdef const c.kernels **in_use = kernels_in_use()

cdef enum:
    ROWS = 256  # of a block: labels of a block are followed while its rows are in a cache
    LEAF = 1024  # rows whose inertia is summed in an order of its own

CANCELS = c.SPARSE_SHARE


cdef inline Py_ssize_t n_blocks_of(Py_ssize_t n_samples) noexcept nogil:
    return (n_samples + ROWS - 1) // ROWS


cdef class SparseState:
    """Lloyd's algorithm over sparse rows: see LloydState.

    rows, sample_weight, max_abs, max_weight, n_clusters, n_threads : as ClusterSums, with CsrRows that are measured.
    """

    cdef readonly ClusterSums clusters
    cdef CsrRows rows
    cdef void *memory
    cdef char *scratch           # [n_threads], scratch_size apart
    cdef size_t scratch_size, labels_at
    cdef signal_watch watch
    cdef readonly Py_ssize_t n_decided
    cdef readonly str stepped_by

    def __cinit__(self, CsrRows rows, sample_weight, max_abs, double max_weight, Py_ssize_t n_clusters, int n_threads,
                  Py_ssize_t n_grid_samples=0):
        self.rows = rows
        self.clusters = ClusterSums(rows, sample_weight, max_abs, max_weight, n_clusters, n_threads, n_grid_samples)
        self.stepped_by = "lloyd"
        if rows.norms is None:
            raise ValueError("rows must be measured before a step.")
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
        self.labels_at = aligned(table.sparse_scratch_bytes(self.clusters.n_clusters, self.clusters.n_features))
        self.scratch_size = self.labels_at + aligned(ROWS * sizeof(int32_t))
        self.scratch = <char *>take(&parts, self.clusters.n_threads * self.scratch_size)
        return arena_bytes(&parts)

    def step(self, const double[:, ::1] centers):
        """Label every sample with its nearest center, let the sums follow, and return how many labels changed."""
        cdef const c.kernels *table = in_use[0]
        cdef ClusterSums clusters = self.clusters
        cdef void *packed  # not kept: centers may be as large as the rows, and they move while nothing is packed
        check_shape("centers", centers.shape[0], centers.shape[1], clusters.n_clusters, clusters.n_features)
        packed = take_memory(table.sparse_centers_bytes(clusters.n_clusters, clusters.n_features))
        if packed == NULL:
            raise MemoryError("no memory to lay out the centers; use fewer clusters (n_clusters).")
        start_watch(&self.watch)
        with nogil:
            table.pack_sparse_centers(&centers[0, 0], clusters.n_clusters, clusters.n_features, clusters.is_float32,
                                      packed)
            self._assign_blocks(table, packed)
            free(packed)
            clusters.merge(table, &self.watch)
        raise_interrupt(&self.watch)
        self.n_decided = take_count(clusters.follower.counts, clusters.n_threads, 1)
        return take_count(clusters.follower.counts, clusters.n_threads, 0)

    cdef void _assign_blocks(self, const c.kernels *table, const void *packed) noexcept nogil:
        cdef Py_ssize_t b
        for b in prange(n_blocks_of(self.clusters.n_samples), schedule="dynamic", chunksize=1,
                        num_threads=self.clusters.n_threads):
            self._assign_block(table, packed, b * ROWS, threadid())

    cdef void _assign_block(self, const c.kernels *table, const void *packed, Py_ssize_t first, int t) noexcept nogil:
        cdef row_follower *of = &self.clusters.follower
        cdef char *scratch = self.scratch + t * self.scratch_size
        cdef int32_t *labels = <int32_t *>(scratch + self.labels_at)
        cdef Py_ssize_t count = min(<Py_ssize_t>ROWS, self.clusters.n_samples - first)
        if interrupted(&self.watch):
            return
        of.counts[16 * t + 1] += table.assign_sparse[of.is_float32](of.sparse, first, count, &self.rows.norms[0],
                                                                    packed, scratch, labels)
        follow_rows(of, table, first, count, labels, t)


cdef int check_centers(const double[:, ::1] centers, Py_ssize_t n_features) except -1:
    if centers.shape[0] < 1 or centers.shape[1] != n_features:
        raise ValueError(f"centers must have shape (n_clusters >= 1, {n_features}); "
                         f"got ({centers.shape[0]}, {centers.shape[1]}).")
    return 0


def nearest(CsrRows rows, const double[:, ::1] centers, int32_t[::1] labels, int n_threads):
    """Label each row with its float64 nearest center; a tie goes to the lowest index.

    rows : measured.   labels : (n_samples,), written.   Returns the number of rows that needed float64.
    """
    cdef const c.kernels *table = in_use[0]
    cdef Py_ssize_t b, n_clusters = centers.shape[0], n_features = rows.n_features, n_decided = 0
    cdef size_t packed_size, scratch_size
    cdef signal_watch watch
    check_count("n_threads", n_threads)
    check_centers(centers, n_features)
    check_shape("labels", labels.shape[0], 1, rows.n_samples, 1)
    packed_size = aligned(table.sparse_centers_bytes(n_clusters, n_features))
    scratch_size = aligned(table.sparse_scratch_bytes(n_clusters, n_features))
    cdef char *memory = <char *>calloc(1, packed_size + n_threads * scratch_size)
    if memory == NULL:
        raise MemoryError("no memory to lay out the centers; use fewer threads (n_threads).")
    start_watch(&watch)
    with nogil:
        table.pack_sparse_centers(&centers[0, 0], n_clusters, n_features, rows.is_float32, memory)
        for b in prange(n_blocks_of(rows.n_samples), schedule="dynamic", chunksize=1, num_threads=n_threads):
            if not interrupted(&watch):
                n_decided += table.assign_sparse[rows.is_float32](
                    &rows.rows, b * ROWS, min(<Py_ssize_t>ROWS, rows.n_samples - b * ROWS), &rows.norms[0], memory,
                    memory + packed_size + threadid() * scratch_size, &labels[b * ROWS])
    free(memory)
    raise_interrupt(&watch)
    return n_decided


def sq_norms(const double[:, ::1] centers):
    """(n_clusters,) float64: |c|^2."""
    return np.einsum("jf,jf->j", centers, centers)


def own_sq_distances(CsrRows rows, const double[:, ::1] centers, const int32_t[::1] labels, double[::1] sq_distances,
                     int n_threads, bint as_dense=False):
    """Squared distance of each row to the center of its label.

    sq_distances : (n_samples,), written.
    as_dense : whether with the bits of dense rows, which takes a few times longer.
    """
    cdef const c.kernels *table = in_use[0]
    cdef Py_ssize_t b, n_samples = rows.n_samples, n_blocks = (n_samples + LEAF - 1) // LEAF
    cdef const double[::1] norms = sq_norms(centers)
    cdef char[:, ::1] dense = np.zeros((n_threads, rows.n_features * 8), dtype=np.int8)
    cdef double[:, ::1] trees
    cdef signal_watch watch
    check_count("n_threads", n_threads)
    check_centers(centers, rows.n_features)
    trees = np.empty((centers.shape[0], table.nodes_of(rows.n_features)))
    check_shape("labels", labels.shape[0], sq_distances.shape[0], n_samples, n_samples)
    start_watch(&watch)
    with nogil:
        table.fill_trees(&centers[0, 0], centers.shape[0], rows.n_features, &trees[0, 0])
        for b in prange(n_blocks, schedule="static", num_threads=n_threads):
            if not interrupted(&watch):
                table.own_sq_distances_sparse[rows.is_float32](
                    &rows.rows, b * LEAF, min(<Py_ssize_t>LEAF, n_samples - b * LEAF), rows.n_features, &centers[0, 0],
                    &norms[0], &trees[0, 0], as_dense, &labels[b * LEAF], &dense[threadid(), 0],
                    &sq_distances[b * LEAF])
    raise_interrupt(&watch)


def eight_sq_distances(CsrRows rows, const double[:, ::1] columns, const double[::1] norms, double[:, ::1] sq_distances,
                       int n_threads):
    """Squared distance of each row to eight targets.

    columns : (n_features, 8).   norms : (8,), |c|^2 of each.   sq_distances : (n_samples, 8), written.
    """
    cdef const c.kernels *table = in_use[0]
    cdef Py_ssize_t b, n_samples = rows.n_samples
    cdef signal_watch watch
    check_count("n_threads", n_threads)
    check_shape("columns", columns.shape[0], columns.shape[1], rows.n_features, 8)
    check_shape("sq_distances", sq_distances.shape[0], sq_distances.shape[1], n_samples, norms.shape[0])
    start_watch(&watch)
    with nogil:
        for b in prange(n_blocks_of(n_samples), schedule="static", num_threads=n_threads):
            if not interrupted(&watch):
                table.eight_sq_distances_sparse[rows.is_float32](
                    &rows.rows, b * ROWS, min(<Py_ssize_t>ROWS, n_samples - b * ROWS), &columns[0, 0], &norms[0],
                    &sq_distances[b * ROWS, 0])
    raise_interrupt(&watch)

# cython: language_level=3, freethreading_compatible=True, boundscheck=False, wraparound=False, cdivision=True
# cython: initializedcheck=False
"""For few features: if one center owns a tile of neighbouring samples, the samples are not read.

D. Pelleg and A. Moore, "Accelerating exact k-means algorithms with geometric reasoning", KDD 1999; T. Kanungo et
al., "An efficient k-means clustering algorithm", IEEE Trans. Pattern Analysis and Machine Intelligence 24(7), 2002.
Here there are two flat levels, tiles and groups of tiles. Of each tile only its owner is kept between iterations.
"""
from cython.parallel cimport prange, threadid
from libc.stdint cimport int32_t, uint8_t
from libc.stdlib cimport calloc, free

cimport kernels as c
from fastkmeans._core.stored cimport StoredRows, reads_float32
from fastkmeans._core.sums cimport ClusterSums
from fastkmeans._core.tile_order cimport TileOrder
from shared cimport (
    aligned, arena, arena_bytes, arena_in, check_count, check_shape, interrupted, kernels_in_use, raise_interrupt,
    signal_watch, start_watch, take, take_count,
)

from fastkmeans._core.lloyd import LloydState
from fastkmeans._core.tile_order import can_be_ordered

cdef const c.kernels **in_use = kernels_in_use()

# With fewer samples even one pass over all pairs costs less than putting them in order.
MIN_SAMPLES = 256
# Samples of a tile. With small tiles fewer samples lie between centers; with large tiles there are fewer boxes to test.
# Large data gets TILES_A_CLUSTER tiles per cluster.
MIN_TILE_ROWS, TILES_A_CLUSTER = 128, 2048
# With fewer clusters the order by cells is good enough: splitting them costs as much as several dense steps.
SPLIT_FROM_CLUSTERS = 24
# Work in units of one score of a dense step, fitted to timings at 2 to 16 features: what a sample costs in a dense step
# besides its scores, and in a mixed tile; a score in a mixed tile; a test of a center against a box. Lloyd's steps take
# over for good when the work of a step reaches this share of a dense step's.
DENSE_SAMPLE_WORK, MIXED_SAMPLE_WORK, SCORE_WORK, TEST_WORK = 10.0, 14.0, 1.5, 16.0
WORTH = 0.8
_max_features = c.MAX_TILED_FEATURES


cdef class TileSums(ClusterSums):
    """Sums of samples in tile order. Its labels are in the order of the caller."""

    cdef TileOrder order
    cdef object callers_labels
    cdef bint stale              # whether labels have changed since they were last read

    cdef int take_order(self, TileOrder order) except -1:
        import numpy as np

        self.order = order
        self.callers_labels = np.empty(self.n_samples, dtype=np.int32)
        self.stale = True
        return 0

    @property
    def labels(self):
        """(n_samples,) int32 in the caller's order: labels of the last step. A later read may overwrite the array."""
        if self.stale:
            self.order.write_labels(&self.label_view[0], self.callers_labels)
            self.stale = False
        return self.callers_labels


cdef class TilesState:
    """What the tile filter keeps: the samples in tile order, boxes and sums of tiles, and their owners.

    Parameters are those of ClusterSums. LloydState takes over for good if tiles do not pay: with more than 16 features,
    with few samples, or after a step whose counted work is near that of a dense one.

    Attributes
    ----------
    clusters, n_decided, stepped_by : as in LloydState.
    is_tiled : whether the next step uses tiles.
    n_tested, n_mixed, n_scored : of the last step with tiles: centers tested against boxes, samples of tiles that lie
        between centers, and pairs of sample and center that were scored.
    """

    cdef readonly ClusterSums clusters
    cdef TileOrder order         # None where there are no tiles
    cdef object _dense, _boxes, _group_boxes, _tile_sums, _lanes, _in_lanes
    cdef bint is_float32
    cdef Py_ssize_t n_samples, n_features, n_clusters, n_tiles, n_groups, tile_rows
    cdef int n_threads
    cdef const c.kernels *table  # that of the first step: `lanes` are as wide as its vectors
    cdef c.tiling tiles
    cdef c.sum_grid sum_grid
    cdef const double *weights
    cdef void *memory
    cdef double *columns         # [n_features][padded n_clusters]
    cdef size_t *counts          # [n_threads][16], see kernels.h
    cdef char *scratch           # [n_threads], scratch_size apart
    cdef char *partial           # [n_threads], partial_size apart: sums of each cluster
    cdef uint8_t *touched        # [n_threads], touched_size apart: sums that changed
    cdef size_t scratch_size, partial_size, touched_size
    cdef signal_watch watch
    cdef readonly bint is_tiled
    cdef readonly str stepped_by  # the algorithm of the last step
    cdef readonly Py_ssize_t n_decided, n_tested, n_mixed, n_scored

    def __cinit__(self, X, sample_weight, max_abs, double max_weight, Py_ssize_t n_clusters, int n_threads,
                  Py_ssize_t n_grid_samples=0):
        check_count("n_clusters", n_clusters)
        check_count("n_threads", n_threads)
        self.n_samples, self.n_features = X.shape
        if sample_weight is not None and len(sample_weight) != self.n_samples:
            raise ValueError(f"sample_weight must have length {self.n_samples}; got {len(sample_weight)}.")
        self.n_clusters = n_clusters
        self.n_threads = n_threads
        self.stepped_by = ""
        self.is_float32 = reads_float32(X)
        self.is_tiled = (n_clusters > 1 and self.n_features <= _max_features
                         and MIN_SAMPLES <= self.n_samples < 1 << 31)
        cdef bint is_stored = isinstance(X, StoredRows)
        if is_stored:  # their order takes splits
            self.is_tiled = self.is_tiled and n_clusters >= SPLIT_FROM_CLUSTERS and can_be_ordered(X)
        self.table = in_use[0]
        if self.is_tiled:
            self._take_memory(is_stored)
            self.order = TileOrder(X, sample_weight, self.tile_rows, n_clusters >= SPLIT_FROM_CLUSTERS, n_threads)
            self.clusters = TileSums(self.order.X, self.order.weights, max_abs, max_weight, n_clusters, n_threads,
                                     n_grid_samples)
            (<TileSums>self.clusters).take_order(self.order)
            self._describe_tiles()
        else:
            self.clusters = ClusterSums(X, sample_weight, max_abs, max_weight, n_clusters, n_threads, n_grid_samples)
        self._dense = LloydState(clusters=self.clusters)

    def __dealloc__(self):
        free(self.memory)

    def _take_memory(self, is_stored):
        """All that `step` needs."""
        import numpy as np

        wanted = self.n_samples // (TILES_A_CLUSTER * self.n_clusters)
        self.tile_rows = MIN_TILE_ROWS
        while self.tile_rows < wanted and self.tile_rows < c.MAX_TILE_ROWS:
            self.tile_rows *= 2
        self.n_tiles = (self.n_samples + self.tile_rows - 1) // self.tile_rows
        self.n_groups = (self.n_tiles + c.GROUP_TILES - 1) // c.GROUP_TILES
        self._boxes = np.empty((self.n_tiles, 2 * self.n_features + 2))
        self._group_boxes = np.empty((self.n_groups, 2 * self.n_features + 2))
        n_lanes = 1 if is_stored else self.n_tiles * self.tile_rows
        self._lanes = np.empty((n_lanes, self.n_features), dtype=np.float32)
        self._in_lanes = np.zeros(self.n_tiles + 1, dtype=np.int32)
        self._tile_sums = np.empty((self.n_tiles, 2, self.n_features + 1))

        self.memory = calloc(1, self._divide(NULL))
        if self.memory == NULL:
            raise MemoryError("no memory for the sums of each thread; use fewer threads (n_threads).")
        self._divide(self.memory)

    cdef size_t _divide(self, void *memory) noexcept nogil:
        """Divide memory, or count its bytes: see arena.h."""
        cdef arena parts = arena_in(memory)
        self.touched_size = aligned(self.n_clusters)
        self.scratch_size = aligned(self.table.tile_scratch_bytes(self.n_clusters, self.n_features))
        self.partial_size = aligned(self.n_clusters * 2 * (self.n_features + 1) * sizeof(double))
        self.columns = <double *>take(&parts, (self.n_clusters + 8) * self.n_features * sizeof(double))
        self.counts = <size_t *>take(&parts, self.n_threads * 16 * sizeof(size_t))
        self.scratch = <char *>take(&parts, self.n_threads * self.scratch_size)
        self.partial = <char *>take(&parts, self.n_threads * self.partial_size)
        self.touched = <uint8_t *>take(&parts, self.n_threads * self.touched_size)
        return arena_bytes(&parts)

    def _describe_tiles(self):
        """Boxes and sums of all tiles, on the grid of the sums of clusters."""
        cdef const double[::1] weights = self.order.weights
        cdef double[:, ::1] boxes = self._boxes, group_boxes = self._group_boxes
        cdef double[:, :, ::1] tile_sums = self._tile_sums
        cdef float[:, ::1] lanes = self._lanes
        cdef int32_t[::1] in_lanes = self._in_lanes
        cdef const c.kernels *table = self.table
        cdef Py_ssize_t g
        self.sum_grid = self.clusters.follower.grid
        self.weights = NULL if weights is None else &weights[0]
        self.tiles.n_samples, self.tiles.n_features = self.n_samples, self.n_features
        self.tiles.tile_rows = self.tile_rows
        self.tiles.x, self.tiles.stored = self.clusters.follower.x, self.clusters.follower.stored
        self.tiles.boxes, self.tiles.group_boxes = &boxes[0, 0], &group_boxes[0, 0]
        self.tiles.sums = &tile_sums[0, 0, 0]
        self.tiles.lanes, self.tiles.in_lanes, self.tiles.n_in_lanes = &lanes[0, 0], &in_lanes[1], &in_lanes[0]
        self.tiles.owners, self.tiles.labels = &self.order.owners[0], self.clusters.follower.labels
        start_watch(&self.watch)
        with nogil:
            for g in prange(self.n_groups, schedule="static", num_threads=self.n_threads):
                self._describe_group(table, g)
        raise_interrupt(&self.watch)

    cdef void _describe_group(self, const c.kernels *table, Py_ssize_t g) noexcept nogil:
        if interrupted(&self.watch):
            return
        table.describe_group[self.is_float32](&self.tiles, g, self.weights, self.sum_grid)

    # ------------------------------------------------------------ steps

    def step(self, const double[:, ::1] centers):
        """Label every sample with its nearest center and let the sums follow the labels: as LloydState.step."""
        cdef const c.kernels *table = self.table
        cdef Py_ssize_t n_changed, u, unit, n_units
        cdef double work
        if self.order is not None:
            (<TileSums>self.clusters).stale = True
        if not self.is_tiled:
            n_changed = self._dense.step(centers)
            self.n_decided = self._dense.n_decided
            self.stepped_by = "lloyd"
            return n_changed
        self.stepped_by = "tiles"
        check_shape("centers", centers.shape[0], centers.shape[1], self.n_clusters, self.n_features)
        unit = max(1, self.n_groups // (16 * self.n_threads))
        n_units = (self.n_groups + unit - 1) // unit
        start_watch(&self.watch)
        with nogil:
            table.center_columns(&centers[0, 0], NULL, self.n_clusters, self.n_features, self.columns)
            for u in prange(n_units, schedule="dynamic", chunksize=1, num_threads=self.n_threads):
                self._step_groups(table, u * unit, min((u + 1) * unit, self.n_groups), &centers[0, 0], threadid())
            for u in range(self.n_clusters):
                self._merge_cluster(u, &self.clusters.total[u, 0, 0])
        raise_interrupt(&self.watch)
        n_changed = take_count(self.counts, self.n_threads, c.TILES_CHANGED)
        self.n_decided = take_count(self.counts, self.n_threads, c.TILES_DECIDED)
        self.n_tested = take_count(self.counts, self.n_threads, c.TILES_TESTED)
        self.n_mixed = take_count(self.counts, self.n_threads, c.TILES_MIXED_ROWS)
        self.n_scored = take_count(self.counts, self.n_threads, c.TILES_SCORED)
        work = self.n_mixed * MIXED_SAMPLE_WORK + self.n_scored * SCORE_WORK + self.n_tested * TEST_WORK
        if work > WORTH * self.n_samples * (DENSE_SAMPLE_WORK + self.n_clusters):
            self._give_up()
        return n_changed

    cdef void _step_groups(self, const c.kernels *table, Py_ssize_t first, Py_ssize_t end, const double *centers,
                           int t) noexcept nogil:
        cdef Py_ssize_t g
        cdef void *scratch = self.scratch + t * self.scratch_size
        cdef double *sums = <double *>(self.partial + t * self.partial_size)
        cdef uint8_t *touched = self.touched + t * self.touched_size
        cdef size_t *counts = self.counts + 16 * t
        for g in range(first, end):
            if interrupted(&self.watch):
                return
            table.step_group[self.is_float32](&self.tiles, g, centers, self.columns, self.n_clusters, self.weights,
                                              self.sum_grid, scratch, sums, touched, counts)

    cdef void _merge_cluster(self, Py_ssize_t j, double *total) noexcept nogil:
        """Add the changes that each thread found to the sums of cluster j; they are exact, so the order is free."""
        cdef int t
        for t in range(self.n_threads):
            if self.touched[t * self.touched_size + j]:
                self.table.merge_sums(<double *>(self.partial + t * self.partial_size) + j * 2 * (self.n_features + 1),
                                      self.n_features, total)
                self.touched[t * self.touched_size + j] = 0

    cdef int _give_up(self) except -1:
        """Leave all further steps to LloydState, which needs the labels of owned tiles for that."""
        cdef Py_ssize_t t, i
        with nogil:
            for t in prange(self.n_tiles, schedule="static", num_threads=self.n_threads):
                if self.tiles.owners[t] >= 0:
                    for i in range(t * self.tile_rows, min((t + 1) * self.tile_rows, self.n_samples)):
                        self.tiles.labels[i] = self.tiles.owners[t]
                    self.tiles.owners[t] = c.TILE_MIXED
        self.is_tiled = False
        return 0

# cython: language_level=3, freethreading_compatible=True, boundscheck=False, wraparound=False, cdivision=True
# cython: initializedcheck=False
"""Few features: tiles of neighbouring samples that one center owns need no look at their samples.

D. Pelleg and A. Moore, "Accelerating exact k-means algorithms with geometric reasoning", KDD 1999; T. Kanungo et
al., "An efficient k-means clustering algorithm", IEEE Trans. Pattern Analysis and Machine Intelligence 24(7), 2002.
Here on two flat levels, tiles and groups of tiles; no bound is kept between iterations, but for the owner of each tile.
"""
from cython.parallel cimport prange, threadid
from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free

cimport kernels as c
from shared cimport align, aligned, check_count, interrupted, kernels_in_use, raise_interrupt, signal_watch, start_watch

cdef const c.kernels **in_use = kernels_in_use()

# Below so few samples even one pass over all pairs is cheaper than an order.
MIN_SAMPLES = 256
# Samples of a tile. Small tiles leave fewer samples between centers, large ones fewer boxes to test: large data gets
# TILES_A_CLUSTER tiles for each cluster.
MIN_TILE_ROWS, TILES_A_CLUSTER = 128, 2048
CELL_BITS = 14
# With fewer clusters the cells alone order well enough: splitting them costs as much as several dense steps.
SPLIT_FROM_CLUSTERS = 24
# Work in scores of the dense step, fitted to timings at 2 to 16 features: what a sample costs there beside its scores,
# and in a mixed tile; a score in a mixed tile; a test of a center against a box. Tiles are left for good when a step's
# work comes to this share of a dense step's.
DENSE_SAMPLE_WORK, MIXED_SAMPLE_WORK, SCORE_WORK, TEST_WORK = 10.0, 14.0, 1.5, 16.0
WORTH = 0.8
SPREAD_SAMPLES = 4096
cdef Py_ssize_t ROWS_OF_A_PIECE = 1 << 18  # that are put in order between two looks for signals: milliseconds
_max_features = c.MAX_TILED_FEATURES


cdef class TilesState:
    """What the tile filter keeps: the samples in tile order, boxes and sums of tiles, and their owners.

    Parameters are those of LloydState, which holds the sums of the clusters and the labels in tile order, and takes
    over for good where tiles do not pay: more than 16 features, few samples, or a step whose counted work comes near
    that of a dense one.

    Attributes
    ----------
    labels, sums, grid, n_decided : as in LloydState.
    is_tiled : whether the next step uses tiles.
    n_tested, n_mixed, n_scored : of the last step with tiles: centers tested against boxes, samples of tiles that lie
        between centers, and pairs of sample and center that were scored.
    """

    cdef object _dense
    cdef object _cells, _cell_starts, _first_place, _next_place, _cell_owners   # None where cells were split
    cdef object _x, _weights, _order, _labels, _boxes, _group_boxes, _tile_sums, _lanes, _in_lanes, _owners
    cdef bint is_float32, stale
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

    def __cinit__(self, X, sample_weight, max_abs, double max_weight, Py_ssize_t n_clusters, int n_threads):
        from fastkmeans._core.lloyd import LloydState

        check_count("n_clusters", n_clusters)
        check_count("n_threads", n_threads)
        self.n_samples, self.n_features = X.shape
        if sample_weight is not None and len(sample_weight) != self.n_samples:
            raise ValueError(f"sample_weight must have length {self.n_samples}; got {len(sample_weight)}.")
        self.n_clusters = n_clusters
        self.n_threads = n_threads
        self.stepped_by = ""
        self.is_float32 = X.dtype.itemsize == 4
        self.is_tiled = (n_clusters > 1 and self.n_features <= _max_features
                         and MIN_SAMPLES <= self.n_samples < 1 << 31)
        self.table = in_use[0]
        if self.is_tiled:
            self._take_memory()
            self._order_samples(X, sample_weight)
            self._dense = LloydState(self._x, self._weights, max_abs, max_weight, n_clusters, n_threads)
            self._describe_tiles()
        else:
            self._dense = LloydState(X, sample_weight, max_abs, max_weight, n_clusters, n_threads)

    def __dealloc__(self):
        free(self.memory)

    def _take_memory(self):
        """All that `step` needs."""
        import numpy as np

        cdef const c.kernels *table = self.table
        wanted = self.n_samples // (TILES_A_CLUSTER * self.n_clusters)
        self.tile_rows = MIN_TILE_ROWS
        while self.tile_rows < wanted and self.tile_rows < c.MAX_TILE_ROWS:
            self.tile_rows *= 2
        self.n_tiles = (self.n_samples + self.tile_rows - 1) // self.tile_rows
        self.n_groups = (self.n_tiles + c.GROUP_TILES - 1) // c.GROUP_TILES
        self._labels = np.empty(self.n_samples, dtype=np.int32)
        self.stale = True
        self._owners = np.full(self.n_tiles, c.TILE_FRESH, dtype=np.int32)
        self._boxes = np.empty((self.n_tiles, 2 * self.n_features + 2))
        self._group_boxes = np.empty((self.n_groups, 2 * self.n_features + 2))
        self._lanes = np.empty((self.n_tiles * self.tile_rows, self.n_features), dtype=np.float32)
        self._in_lanes = np.zeros(self.n_tiles + 1, dtype=np.int32)
        self._tile_sums = np.empty((self.n_tiles, 2, self.n_features + 1))

        cdef size_t columns_size = aligned((self.n_clusters + 8) * self.n_features * sizeof(double))
        cdef size_t counts_size = self.n_threads * 16 * sizeof(size_t)
        self.touched_size = aligned(self.n_clusters)
        self.scratch_size = aligned(table.tile_scratch_bytes(self.n_clusters, self.n_features))
        self.partial_size = aligned(self.n_clusters * 2 * (self.n_features + 1) * sizeof(double))
        self.memory = calloc(1, 128 + columns_size + counts_size
                             + self.n_threads * (self.scratch_size + self.partial_size + self.touched_size))
        if self.memory == NULL:
            raise MemoryError("no memory for the sums of each thread; use fewer threads (n_threads).")
        self.columns = <double *>align(self.memory)
        self.counts = <size_t *>(<char *>self.columns + columns_size)
        self.scratch = <char *>self.counts + counts_size
        self.partial = self.scratch + self.n_threads * self.scratch_size
        self.touched = <uint8_t *>(self.partial + self.n_threads * self.partial_size)

    # ------------------------------------------------------------ the order, once

    def _order_samples(self, X, sample_weight):
        """Copy the samples into an order that keeps neighbours together: by cells, then by splits of runs of cells."""
        import numpy as np

        cdef bint split = self.n_clusters >= SPLIT_FROM_CLUSTERS
        cdef int n_bits = min(CELL_BITS if self.n_samples < 1 << 24 else 16, int(self.n_samples // 4).bit_length() - 1)
        lowest, per_unit, last, starts, numbers = _cells_of(X, n_bits)
        cdef const double[::1] lowest_view = lowest, per_unit_view = per_unit, last_view = last
        cdef const size_t[::1] starts_view = starts
        cdef const uint16_t[::1] numbers_view = numbers
        cdef c.cell_grid grid
        grid.lowest, grid.per_unit, grid.last = &lowest_view[0], &per_unit_view[0], &last_view[0]
        grid.starts, grid.numbers = &starts_view[0], &numbers_view[0]

        self._x = np.empty((self.n_samples, self.n_features), dtype=X.dtype)
        self._order = np.empty(self.n_samples if split else 0, dtype=np.int32)
        self._weights = None if sample_weight is None else np.empty(self.n_samples)
        cdef const double[::1] given_weights = sample_weight
        cdef const double *given = NULL if sample_weight is None else &given_weights[0]
        cdef int32_t[::1] order_view = self._order
        cdef int32_t *order = &order_view[0] if split else NULL
        cdef double[::1] weights = self._weights
        cdef double *weights_out = NULL if sample_weight is None else &weights[0]
        self.weights = weights_out
        cdef char *rows = <char *><size_t>X.ctypes.data
        cdef char *ordered = <char *><size_t>self._x.ctypes.data

        # Each thread orders a run of the caller's rows, and finds its places behind those of the threads before it:
        # the order is the same for any number of threads.
        cdef const c.kernels *table = self.table
        cdef int t, n_threads = min(self.n_threads, 16)
        cdef Py_ssize_t j, n_cells = 1 << n_bits, part = (self.n_samples + n_threads - 1) // n_threads
        cdef uint16_t[::1] cells = np.empty(self.n_samples, dtype=np.uint16)
        cdef uint32_t[:, ::1] counts = np.zeros((n_threads, n_cells), dtype=np.uint32)
        cdef uint32_t[:, ::1] first_place = np.empty((n_threads, n_cells), dtype=np.uint32)
        cdef uint32_t[::1] cell_starts = np.empty(n_cells + 1, dtype=np.uint32)
        cdef uint32_t place = 0
        start_watch(&self.watch)
        with nogil:
            for t in prange(n_threads, schedule="static", chunksize=1, num_threads=n_threads):
                self._find_cells(table, rows, t * part, min(part, self.n_samples - t * part), grid, &cells[0],
                                 &counts[t, 0])
            for j in range(n_cells):
                cell_starts[j] = place
                for t in range(n_threads):
                    first_place[t, j] = place
                    place += counts[t, j]
            cell_starts[n_cells] = place
            counts[:, :] = first_place
            for t in prange(n_threads, schedule="static", chunksize=1, num_threads=n_threads):
                self._order_by_cell(table, rows, t * part, min(part, self.n_samples - t * part), given, &cells[0],
                                    &counts[t, 0], ordered, order, weights_out)
        raise_interrupt(&self.watch)

        self.tiles.n_samples = self.n_samples
        self.tiles.n_features = self.n_features
        self.tiles.tile_rows = self.tile_rows
        self.tiles.x = ordered
        if split:
            self._split_cells(cell_starts, n_cells, ordered, order, weights_out)
        else:
            self._cells, self._cell_starts = cells.base, cell_starts.base
            self._first_place, self._next_place = first_place.base, counts.base
            self._cell_owners = np.zeros(n_cells, dtype=np.int32)

    cdef void _find_cells(self, const c.kernels *table, const char *rows, Py_ssize_t first, Py_ssize_t count,
                          c.cell_grid grid, uint16_t *cells, uint32_t *counts) noexcept nogil:
        cdef Py_ssize_t end = first + count
        while first < end and not interrupted(&self.watch):
            count = min(ROWS_OF_A_PIECE, end - first)
            if self.is_float32:
                table.find_cells_f32(<const float *>rows + first * self.n_features, count, self.n_features, grid,
                                     cells + first, counts)
            else:
                table.find_cells_f64(<const double *>rows + first * self.n_features, count, self.n_features, grid,
                                     cells + first, counts)
            first = first + count

    cdef void _order_by_cell(self, const c.kernels *table, const char *rows, Py_ssize_t first, Py_ssize_t count,
                             const double *given, const uint16_t *cells, uint32_t *next_place, char *ordered,
                             int32_t *order, double *weights) noexcept nogil:
        cdef Py_ssize_t end = first + count
        cdef const double *weight
        while first < end and not interrupted(&self.watch):
            count = min(ROWS_OF_A_PIECE, end - first)
            weight = NULL if given == NULL else given + first
            if self.is_float32:
                table.order_by_cell_f32(<const float *>rows + first * self.n_features, count, self.n_features, weight,
                                        cells + first, first, next_place, <float *>ordered, order, weights)
            else:
                table.order_by_cell_f64(<const double *>rows + first * self.n_features, count, self.n_features, weight,
                                        cells + first, first, next_place, <double *>ordered, order, weights)
            first = first + count

    cdef int _split_cells(self, const uint32_t[::1] cell_starts, Py_ssize_t n_cells, char *ordered, int32_t *order,
                          double *weights) except -1:
        """Split runs of groups; a run ends where no cell straddles that is itself large."""
        import numpy as np

        cdef Py_ssize_t group = c.GROUP_TILES * self.tile_rows, longest = c.MAX_SPLIT_GROUPS * group
        cdef Py_ssize_t n_runs = 0, cell = 0, end = 0, size
        cdef Py_ssize_t[::1] run_starts = np.empty(self.n_groups + 1, dtype=np.intp)
        while end < self.n_samples:
            run_starts[n_runs] = end
            n_runs += 1
            end += group
            while end < self.n_samples and end - run_starts[n_runs - 1] < longest:
                while <Py_ssize_t>cell_starts[cell + 1] <= end:
                    cell += 1
                size = cell_starts[cell + 1] - cell_starts[cell]
                if <Py_ssize_t>cell_starts[cell] == end or size <= group // 2:
                    break
                end += group
        run_starts[n_runs] = self.n_samples
        cdef size_t row_size = self.n_features * (4 if self.is_float32 else 8)
        cdef size_t scratch_size = aligned(longest * (sizeof(uint64_t) + row_size))
        cdef uint8_t[::1] scratch = np.empty(128 + self.n_threads * scratch_size, dtype=np.uint8)
        cdef char *memory = align(&scratch[0])
        cdef const c.kernels *table = self.table
        cdef Py_ssize_t r
        with nogil:
            for r in prange(n_runs, schedule="dynamic", chunksize=1, num_threads=self.n_threads):
                self._split_run(table, run_starts[r], run_starts[r + 1] - run_starts[r], ordered, order, weights,
                                memory + threadid() * scratch_size)
        raise_interrupt(&self.watch)
        return 0

    cdef void _split_run(self, const c.kernels *table, Py_ssize_t first, Py_ssize_t count, char *ordered,
                         int32_t *order, double *weights, char *scratch) noexcept nogil:
        cdef double *run_weights = NULL if weights == NULL else weights + first
        if interrupted(&self.watch):
            return
        if self.is_float32:
            table.order_by_splits_f32(<float *>ordered + first * self.n_features, count, self.n_features,
                                      self.tile_rows, order + first, run_weights, scratch)
        else:
            table.order_by_splits_f64(<double *>ordered + first * self.n_features, count, self.n_features,
                                      self.tile_rows, order + first, run_weights, scratch)

    def _describe_tiles(self):
        """Boxes and sums of all tiles, on the grid of the keeper of sums."""
        cdef const double[:, ::1] grid = self._dense.grid
        cdef double[:, ::1] boxes = self._boxes, group_boxes = self._group_boxes
        cdef double[:, :, ::1] tile_sums = self._tile_sums
        cdef int32_t[::1] owners = self._owners, labels = self._dense.labels
        cdef float[:, ::1] lanes = self._lanes
        cdef int32_t[::1] in_lanes = self._in_lanes
        cdef const c.kernels *table = self.table
        cdef Py_ssize_t g
        self.sum_grid.coarse, self.sum_grid.fine = &grid[0, 0], &grid[1, 0]
        self.tiles.boxes, self.tiles.group_boxes = &boxes[0, 0], &group_boxes[0, 0]
        self.tiles.sums = &tile_sums[0, 0, 0]
        self.tiles.lanes, self.tiles.in_lanes, self.tiles.n_in_lanes = &lanes[0, 0], &in_lanes[1], &in_lanes[0]
        self.tiles.owners, self.tiles.labels = &owners[0], &labels[0]
        start_watch(&self.watch)
        with nogil:
            for g in prange(self.n_groups, schedule="static", num_threads=self.n_threads):
                self._describe_group(table, g)
        raise_interrupt(&self.watch)

    cdef void _describe_group(self, const c.kernels *table, Py_ssize_t g) noexcept nogil:
        if interrupted(&self.watch):
            return
        if self.is_float32:
            table.describe_group_f32(&self.tiles, g, self.weights, self.sum_grid)
        else:
            table.describe_group_f64(&self.tiles, g, self.weights, self.sum_grid)

    # ------------------------------------------------------------ steps

    def step(self, const double[:, ::1] centers):
        """Label every sample with its nearest center and follow the labels in `sums`: as LloydState.step."""
        cdef const c.kernels *table = self.table
        cdef Py_ssize_t n_changed, u, unit, n_units
        cdef double work
        self.stale = True
        if not self.is_tiled:
            n_changed = self._dense.step(centers)
            self.n_decided = self._dense.n_decided
            self.stepped_by = "lloyd"
            return n_changed
        self.stepped_by = "tiles"
        if centers.shape[0] != self.n_clusters or centers.shape[1] != self.n_features:
            raise ValueError(f"centers must have shape ({self.n_clusters}, {self.n_features}); "
                             f"got ({centers.shape[0]}, {centers.shape[1]}).")
        cdef double[:, :, ::1] total = self._dense.sums
        unit = max(1, self.n_groups // (16 * self.n_threads))
        n_units = (self.n_groups + unit - 1) // unit
        start_watch(&self.watch)
        with nogil:
            table.center_columns(&centers[0, 0], NULL, self.n_clusters, self.n_features, self.columns)
            for u in prange(n_units, schedule="dynamic", chunksize=1, num_threads=self.n_threads):
                self._step_groups(table, u * unit, min((u + 1) * unit, self.n_groups), &centers[0, 0], threadid())
            for u in range(self.n_clusters):
                self._merge_cluster(u, &total[u, 0, 0])
        raise_interrupt(&self.watch)
        n_changed = self._take_count(c.TILES_CHANGED)
        self.n_decided = self._take_count(c.TILES_DECIDED)
        self.n_tested = self._take_count(c.TILES_TESTED)
        self.n_mixed = self._take_count(c.TILES_MIXED_ROWS)
        self.n_scored = self._take_count(c.TILES_SCORED)
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
            if self.is_float32:
                table.step_group_f32(&self.tiles, g, centers, self.columns, self.n_clusters, self.weights,
                                     self.sum_grid, scratch, sums, touched, counts)
            else:
                table.step_group_f64(&self.tiles, g, centers, self.columns, self.n_clusters, self.weights,
                                     self.sum_grid, scratch, sums, touched, counts)

    cdef void _merge_cluster(self, Py_ssize_t j, double *total) noexcept nogil:
        """Add what each thread saw change to the sums of the keeper; exact, so the order is free."""
        cdef int t
        for t in range(self.n_threads):
            if self.touched[t * self.touched_size + j]:
                self.table.merge_sums(<double *>(self.partial + t * self.partial_size) + j * 2 * (self.n_features + 1),
                                      self.n_features, total)
                self.touched[t * self.touched_size + j] = 0

    cdef size_t _take_count(self, int which) noexcept nogil:
        """Add up a count over the threads, and start it anew."""
        cdef size_t total = 0
        cdef int t
        for t in range(self.n_threads):
            total += self.counts[16 * t + which]
            self.counts[16 * t + which] = 0
        return total

    cdef int _give_up(self) except -1:
        """Leave all further steps to the keeper, which needs the labels of owned tiles for that."""
        cdef Py_ssize_t t, i
        with nogil:
            for t in prange(self.n_tiles, schedule="static", num_threads=self.n_threads):
                if self.tiles.owners[t] >= 0:
                    for i in range(t * self.tile_rows, min((t + 1) * self.tile_rows, self.n_samples)):
                        self.tiles.labels[i] = self.tiles.owners[t]
                    self.tiles.owners[t] = c.TILE_MIXED
        self.is_tiled = False
        return 0

    cdef void _write_labels(self, Py_ssize_t first, Py_ssize_t end, const int32_t *order,
                            int32_t *labels) noexcept nogil:
        """Bring the labels of samples in tile order to the places of the caller's."""
        cdef Py_ssize_t i
        cdef int32_t owner
        if interrupted(&self.watch):
            return
        for i in range(first, end):
            owner = self.tiles.owners[i // self.tile_rows]
            labels[order[i]] = owner if owner >= 0 else self.tiles.labels[i]

    cdef int _write_labels_by_cell(self, int32_t *labels) except -1:
        """The same where tiles are runs of cells: look up the owner of a cell, or walk to a place once more."""
        cdef const uint16_t[::1] cells = self._cells
        cdef const uint32_t[::1] starts = self._cell_starts
        cdef uint32_t[:, ::1] next_place = self._next_place
        cdef int32_t[::1] owners = self._cell_owners
        cdef Py_ssize_t tile, cell, n_cells = owners.shape[0], n_parts = next_place.shape[0]
        cdef Py_ssize_t part = (self.n_samples + n_parts - 1) // n_parts
        cdef int t
        self._next_place[:] = self._first_place
        with nogil:
            for cell in range(n_cells):
                if starts[cell] == starts[cell + 1]:
                    continue
                owners[cell] = self.tiles.owners[starts[cell] // self.tile_rows]
                for tile in range(starts[cell] // self.tile_rows + 1, (starts[cell + 1] - 1) // self.tile_rows + 1):
                    if self.tiles.owners[tile] != owners[cell]:
                        owners[cell] = c.TILE_MIXED
            for t in prange(n_parts, schedule="static", chunksize=1, num_threads=self.n_threads):
                self._write_part(t * part, min((t + 1) * part, self.n_samples), &cells[0], &owners[0],
                                 &next_place[t, 0], labels)
        raise_interrupt(&self.watch)
        return 0

    cdef void _write_part(self, Py_ssize_t first, Py_ssize_t end, const uint16_t *cells, const int32_t *owners,
                          uint32_t *next_place, int32_t *labels) noexcept nogil:
        """Piece by piece: a look for signals within the loop over rows took a third longer for all of it."""
        while first < end and not interrupted(&self.watch):
            self._write_piece(first, min(first + ROWS_OF_A_PIECE, end), cells, owners, next_place, labels)
            first = first + ROWS_OF_A_PIECE

    cdef void _write_piece(self, Py_ssize_t first, Py_ssize_t end, const uint16_t *cells, const int32_t *owners,
                           uint32_t *next_place, int32_t *labels) noexcept nogil:
        # Held in registers: what is written might lie anywhere, for all that the compiler knows.
        cdef const int32_t *tile_owners = self.tiles.owners
        cdef const int32_t *ordered_labels = self.tiles.labels
        cdef Py_ssize_t i, tile_rows = self.tile_rows
        cdef uint32_t place
        cdef int32_t label
        for i in range(first, end):
            label = owners[cells[i]]
            if label < 0:
                place = next_place[cells[i]]
                next_place[cells[i]] = place + 1
                label = tile_owners[place // tile_rows]
                if label < 0:
                    label = ordered_labels[place]
            labels[i] = label

    def move(self, centers, origin, moved, terms, digits=0.0):
        """As LloydState.move."""
        return self._dense.move(centers, origin, moved, terms, digits)

    @property
    def labels(self):
        """(n_samples,) int32 in the caller's order: the labels of the last step, overwritten when asked for later."""
        cdef const int32_t[::1] order
        cdef int32_t[::1] labels
        cdef Py_ssize_t g, group = c.GROUP_TILES * self.tile_rows
        if self._order is None:
            return self._dense.labels
        if not self.stale:
            return self._labels
        order, labels = self._order, self._labels
        start_watch(&self.watch)
        if self._cells is None:
            with nogil:
                for g in prange(self.n_groups, schedule="static", num_threads=self.n_threads):
                    self._write_labels(g * group, min((g + 1) * group, self.n_samples), &order[0], &labels[0])
            raise_interrupt(&self.watch)
        else:
            self._write_labels_by_cell(&labels[0])
        self.stale = False
        return self._labels

    @property
    def sums(self):
        """(n_clusters, 2, n_features + 1): as in LloydState."""
        return self._dense.sums

    @property
    def grid(self):
        """(2, n_features + 1): as in LloydState."""
        return self._dense.grid


def _cells_of(X, int n_bits):
    """Choose cells for samples: lowest, per_unit, last, starts and numbers of a cell_grid (kernels.h).

    Each bit of a cell's number halves the side that is widest by then. Where sides begin and end is read off a few
    samples, without the outermost of them: a sample outside belongs to the cell at the edge.
    """
    import numpy as np

    n_samples, n_features = X.shape
    sample = np.sort(X[::max(1, n_samples // SPREAD_SAMPLES)].astype(np.float64), axis=0)
    margin = len(sample) // 50
    lowest, highest = sample[margin].copy(), sample[-1 - margin]
    side = highest - lowest
    bits = [[] for _ in range(n_features)]
    for bit in reversed(range(n_bits)):
        f = int(side.argmax())
        bits[f].append(bit)
        side[f] /= 2
    last = np.array([float((1 << len(own)) - 1) for own in bits])
    with np.errstate(divide="ignore", over="ignore"):
        per_unit = (last + 1) / (highest - lowest)
    tables = []
    for own in bits:
        step = np.arange(1 << len(own))
        table = np.zeros(1 << len(own), dtype=np.uint16)
        for i, bit in enumerate(own):
            table |= ((step >> (len(own) - 1 - i) & 1) << bit).astype(np.uint16)
        tables.append(table)
    starts = np.cumsum([0] + [len(table) for table in tables[:-1]]).astype(np.uintp)
    return lowest, per_unit, last, starts, np.concatenate(tables)

# cython: language_level=3, freethreading_compatible=True, boundscheck=False, wraparound=False, cdivision=True
# cython: initializedcheck=False
"""Samples in an order that keeps neighbours together, and labels back to the order of the caller."""
from cython.parallel cimport prange, threadid
from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

cimport kernels as c
from fastkmeans._core.stored cimport StoredRows, reads_float32
from shared cimport align, aligned, interrupted, kernels_in_use, raise_interrupt, start_watch

cdef const c.kernels **in_use = kernels_in_use()

CELL_BITS = 14
SPREAD_SAMPLES = 4096
cdef Py_ssize_t ROWS_OF_A_PIECE = 1 << 18  # rows put in order between two looks for signals: some milliseconds
cdef Py_ssize_t LAID_OUT_ROWS = 4096       # stored rows that are laid out at a time to find their cells


cdef inline void copy_row(char *to, const char *row, size_t row_bytes) noexcept nogil:
    """A few bytes, for which a call takes longer than copying them."""
    cdef size_t byte
    if row_bytes == 3:
        to[0], to[1], to[2] = row[0], row[1], row[2]
    elif row_bytes <= 16:
        for byte in range(row_bytes):
            to[byte] = row[byte]
    else:
        memcpy(to, row, row_bytes)


cdef class TileOrder:
    """The samples in tile order.

    Parameters
    ----------
    X : (n_samples, n_features) float32 or float64, C order, finite; or StoredRows with can_be_ordered.
    sample_weight : (n_samples,) float64 or None.
    tile_rows : samples of a tile.
    split : whether to split runs of cells. With few clusters the cells alone order well enough.
    n_threads : int >= 1.

    Attributes
    ----------
    X, weights : copies in tile order, X as it is stored.
    owners : (n_tiles,) int32, the center that owns each tile; steps write it.
    """

    def __cinit__(self, X, sample_weight, Py_ssize_t tile_rows, bint split, int n_threads):
        import numpy as np

        self.n_samples, self.n_features = X.shape
        self.is_float32 = reads_float32(X)
        if isinstance(X, StoredRows):
            self.stored = X
        self.row_bytes = self.n_features * (4 if self.is_float32 else 8)
        self.tile_rows = tile_rows
        self.n_tiles = (self.n_samples + tile_rows - 1) // tile_rows
        self.n_threads = n_threads
        self.owners = np.full(self.n_tiles, c.TILE_FRESH, dtype=np.int32)
        self._order_samples(X, sample_weight, split)

    def _order_samples(self, X, sample_weight, bint split):
        """Copy the samples into an order that keeps neighbours together: by cells, then by splits of runs of cells."""
        import numpy as np

        cdef int n_bits = min(CELL_BITS if self.n_samples < 1 << 24 else 16, int(self.n_samples // 4).bit_length() - 1)
        lowest, per_unit, last, starts, numbers = _cells_of(X, n_bits)
        cdef const double[::1] lowest_view = lowest, per_unit_view = per_unit, last_view = last
        cdef const size_t[::1] starts_view = starts
        cdef const uint16_t[::1] numbers_view = numbers
        cdef c.cell_grid grid
        grid.lowest, grid.per_unit, grid.last = &lowest_view[0], &per_unit_view[0], &last_view[0]
        grid.starts, grid.numbers = &starts_view[0], &numbers_view[0]

        cdef bint is_stored = self.stored is not None
        self.X = np.empty((self.n_samples, self.n_features), dtype=X.values.dtype if is_stored else X.dtype)
        self._order = np.empty(self.n_samples if split else 0, dtype=np.int32)
        self.weights = None if sample_weight is None else np.empty(self.n_samples)
        cdef const double[::1] given_weights = sample_weight
        cdef const double *given = NULL if sample_weight is None else &given_weights[0]
        cdef int32_t[::1] order_view = self._order
        cdef int32_t *order = &order_view[0] if split else NULL
        cdef double[::1] weights = self.weights
        cdef double *weights_out = NULL if sample_weight is None else &weights[0]
        cdef char *rows = NULL if is_stored else <char *><size_t>X.ctypes.data
        cdef char *ordered = <char *><size_t>self.X.ctypes.data

        # Each thread orders a run of the caller's rows. Within a cell its rows come after those of the threads before
        # it, so the order is the same for any number of threads.
        cdef const c.kernels *table = in_use[0]
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
                if is_stored:
                    self._store_by_cell(t * part, min(part, self.n_samples - t * part), given, &cells[0],
                                        &counts[t, 0], ordered, order, weights_out)
                else:
                    self._order_by_cell(table, rows, t * part, min(part, self.n_samples - t * part), given, &cells[0],
                                        &counts[t, 0], ordered, order, weights_out)
        raise_interrupt(&self.watch)
        if self.lacks_memory:
            raise MemoryError("no memory for stored rows; use algorithm='lloyd'.")

        if split:
            self._split_cells(cell_starts, n_cells, ordered, order, weights_out)
            if is_stored:
                self.X = StoredRows(self.X, X.dtype)
        else:
            self._cells, self._cell_starts = cells.base, cell_starts.base
            self._first_place, self._next_place = first_place.base, counts.base
            self._cell_owners = np.zeros(n_cells, dtype=np.int32)

    cdef void _find_cells(self, const c.kernels *table, const char *rows, Py_ssize_t first, Py_ssize_t count,
                          c.cell_grid grid, uint16_t *cells, uint32_t *counts) noexcept nogil:
        cdef Py_ssize_t end = first + count
        cdef char *wide
        if rows == NULL:
            wide = <char *>malloc(LAID_OUT_ROWS * self.row_bytes)
            while first < end and wide != NULL and not interrupted(&self.watch):
                count = min(LAID_OUT_ROWS, end - first)
                table.widen[self.is_float32](&self.stored.rows, first, count, wide)
                table.find_cells[self.is_float32](wide, count, self.n_features, grid, cells + first, counts)
                first = first + count
            self.lacks_memory |= wide == NULL
            free(wide)
            return
        while first < end and not interrupted(&self.watch):
            count = min(ROWS_OF_A_PIECE, end - first)
            table.find_cells[self.is_float32](rows + first * self.row_bytes, count, self.n_features, grid,
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
            table.order_by_cell[self.is_float32](rows + first * self.row_bytes, count, self.n_features, weight,
                                                 cells + first, first, next_place, ordered, order, weights)
            first = first + count

    cdef void _store_by_cell(self, Py_ssize_t first, Py_ssize_t count, const double *given, const uint16_t *cells,
                             uint32_t *next_place, char *ordered, int32_t *order, double *weights) noexcept nogil:
        """As _order_by_cell, for stored rows."""
        cdef c.stored_rows stored = self.stored.rows
        cdef const char *row = stored.values + first * stored.row_stride
        cdef size_t row_bytes = stored.n_features * stored.feature_stride
        cdef Py_ssize_t i
        cdef uint32_t place
        for i in range(first, first + count):
            place = next_place[cells[i]]
            next_place[cells[i]] = place + 1
            order[place] = <int32_t>i
            copy_row(ordered + place * row_bytes, row, row_bytes)
            row = row + stored.row_stride
            if given != NULL:
                weights[place] = given[i]

    cdef int _split_cells(self, const uint32_t[::1] cell_starts, Py_ssize_t n_cells, char *ordered, int32_t *order,
                          double *weights) except -1:
        """Split runs of groups. A run ends where no large cell lies on both sides."""
        import numpy as np

        cdef Py_ssize_t group = c.GROUP_TILES * self.tile_rows, longest = c.MAX_SPLIT_GROUPS * group
        cdef Py_ssize_t n_runs = 0, cell = 0, end = 0, size
        cdef Py_ssize_t[::1] run_starts = np.empty((self.n_samples + group - 1) // group + 1, dtype=np.intp)
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
        cdef size_t scratch_size = aligned(longest * (sizeof(uint64_t) + self.row_bytes))
        if self.stored is not None:
            scratch_size += aligned(longest * (2 * sizeof(int32_t) + 2 * self.row_bytes)) + 256
        cdef uint8_t[::1] scratch = np.empty(128 + self.n_threads * scratch_size, dtype=np.uint8)
        cdef char *memory = align(&scratch[0])
        cdef const c.kernels *table = in_use[0]
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
        if self.stored is not None:
            self._split_stored(table, first, count, ordered, order, run_weights, scratch)
            return
        table.order_by_splits[self.is_float32](ordered + first * self.row_bytes, count, self.n_features, self.tile_rows,
                                               order + first, run_weights, scratch)

    cdef void _split_stored(self, const c.kernels *table, Py_ssize_t first, Py_ssize_t count, char *ordered,
                            int32_t *order, double *weights, char *scratch) noexcept nogil:
        """Split a run of stored rows: lay it out, split that, and bring the rows themselves into the same order."""
        cdef size_t row_bytes = self.stored.rows.n_features * self.stored.rows.feature_stride
        cdef int32_t *places = <int32_t *>scratch
        cdef int32_t *old_order = places + count
        cdef char *old_rows = <char *>(old_order + count)
        cdef char *wide = align(old_rows + count * row_bytes)
        cdef c.stored_rows run = self.stored.rows
        cdef Py_ssize_t i
        run.values, run.row_stride = ordered + first * row_bytes, row_bytes
        table.widen[self.is_float32](&run, 0, count, wide)
        for i in range(count):
            places[i] = <int32_t>i
        table.order_by_splits[self.is_float32](wide, count, self.n_features, self.tile_rows, places, weights,
                                               align(wide + count * self.row_bytes))
        memcpy(old_order, order + first, count * sizeof(int32_t))
        memcpy(old_rows, run.values, count * row_bytes)
        for i in range(count):
            order[first + i] = old_order[places[i]]
            copy_row(ordered + (first + i) * row_bytes, old_rows + places[i] * row_bytes, row_bytes)

    cdef int write_labels(self, const int32_t *ordered_labels, int32_t[::1] labels) except -1:
        """Write labels in the order of the caller's samples: of each tile its owner, or if it has none its own labels.

        ordered_labels : [n_samples], in tile order.   labels : OUT (n_samples,), in the caller's order.
        """
        cdef const int32_t[::1] order = self._order
        cdef Py_ssize_t g, group = c.GROUP_TILES * self.tile_rows
        start_watch(&self.watch)
        if self._cells is not None:
            return self._write_labels_by_cell(ordered_labels, &labels[0])
        with nogil:
            for g in prange((self.n_samples + group - 1) // group, schedule="static", num_threads=self.n_threads):
                self._write_labels(g * group, min((g + 1) * group, self.n_samples), &order[0], ordered_labels,
                                   &labels[0])
        raise_interrupt(&self.watch)
        return 0

    cdef void _write_labels(self, Py_ssize_t first, Py_ssize_t end, const int32_t *order, const int32_t *ordered_labels,
                            int32_t *labels) noexcept nogil:
        cdef Py_ssize_t i
        cdef int32_t owner
        if interrupted(&self.watch):
            return
        for i in range(first, end):
            owner = self.owners[i // self.tile_rows]
            labels[order[i]] = owner if owner >= 0 else ordered_labels[i]

    cdef int _write_labels_by_cell(self, const int32_t *ordered_labels, int32_t *labels) except -1:
        """The same if tiles are runs of cells: by the owner of a cell, or by finding the place of each sample again."""
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
                owners[cell] = self.owners[starts[cell] // self.tile_rows]
                for tile in range(starts[cell] // self.tile_rows + 1, (starts[cell + 1] - 1) // self.tile_rows + 1):
                    if self.owners[tile] != owners[cell]:
                        owners[cell] = c.TILE_MIXED
            for t in prange(n_parts, schedule="static", chunksize=1, num_threads=self.n_threads):
                self._write_part(t * part, min((t + 1) * part, self.n_samples), &cells[0], &owners[0],
                                 &next_place[t, 0], ordered_labels, labels)
        raise_interrupt(&self.watch)
        return 0

    cdef void _write_part(self, Py_ssize_t first, Py_ssize_t end, const uint16_t *cells, const int32_t *owners,
                          uint32_t *next_place, const int32_t *ordered_labels, int32_t *labels) noexcept nogil:
        """Piece by piece: with a look for signals within the loop over rows it took a third longer."""
        while first < end and not interrupted(&self.watch):
            self._write_piece(first, min(first + ROWS_OF_A_PIECE, end), cells, owners, next_place, ordered_labels,
                              labels)
            first = first + ROWS_OF_A_PIECE

    cdef void _write_piece(self, Py_ssize_t first, Py_ssize_t end, const uint16_t *cells, const int32_t *owners,
                           uint32_t *next_place, const int32_t *ordered_labels, int32_t *labels) noexcept nogil:
        # Copies, which stay in registers: the compiler must assume that what is written changes attributes.
        cdef const int32_t *tile_owners = &self.owners[0]
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


def can_be_ordered(X):
    """Can StoredRows be put in order? The values of a row must be side by side, and rows be numbered as the array's."""
    rows = <StoredRows?>X
    return rows.numbers is None and rows.origin is None and rows.values.strides[1] == rows.values.dtype.itemsize


def _cells_of(X, int n_bits):
    """Choose cells for samples: lowest, per_unit, last, starts and numbers of a cell_grid (kernels.h).

    Each bit of a cell's number halves the side that is widest by then. A few samples, without the outermost of them,
    tell where sides begin and end. A sample beyond an end belongs to the cell at that end.
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

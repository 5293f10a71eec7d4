# cython: language_level=3, freethreading_compatible=True, boundscheck=False, wraparound=False, cdivision=True
# cython: initializedcheck=False
"""Quantized samples: 8 or 16 bits per feature tell most labels, and rows are read only for the others.

Every sample is compared with every center, in whole numbers and without rounding. The proof of a label is in
kernels/quantized.h. Labels without a proof are decided in float64 on the stored values.
"""
from cython.parallel cimport prange, threadid
from libc.stdint cimport int32_t, uintptr_t
from libc.stdlib cimport calloc, free

cimport kernels as c
from fastkmeans._core.stored cimport StoredRows, reads_float32
from fastkmeans._core.sums cimport ClusterSums
from shared cimport (
    aligned, arena, arena_bytes, arena_in, block_of, check_count, check_shape, follow_block, follow_rows, interrupted,
    kernels_in_use, pack_for_assign, raise_interrupt, readable_from, row_follower, row_of, short_unit, signal_watch,
    start_watch, take, take_count, unit_samples,
)

from fastkmeans._core.lloyd import LloydState

import numpy as np

cdef extern from "kernels/kernels.h" nogil:
    size_t block_samples(size_t n_features)

cdef extern from "memory.h" nogil:
    void *take_memory(size_t size)

cdef const c.kernels **in_use = kernels_in_use()

# After so many steps a choice of 8 bits is reconsidered.
CHECKED_STEP = 3


def exact_bytes(X, int bits):
    """The offset, (n_features,) float64, and the `largest` of QuantizedRows that nothing is rounded away of, because
    the values are whole numbers of 8 bits; None for other rows.   X : array or StoredRows.   bits : 8 or 16."""
    cdef const c.kernels *table = in_use[0]
    cdef StoredRows stored
    if not isinstance(X, StoredRows):
        return None
    stored = X
    largest = table.exact_bytes_limit(&stored.rows, bits)
    if not largest:
        return None
    return np.full(X.shape[1], 0.0 if stored.rows.kind == c.STORED_INT8 else 128.0), largest


cdef class QuantizedRows:
    """The samples as whole numbers.

    Parameters
    ----------
    X : (n_samples, n_features) float32 or float64, C order, finite; or StoredRows.
    offset : (n_features,) float64, any point amid the data.
    largest : see quantizer_start in kernels/kernels.h.
    bits : 8 or 16.   n_threads : int >= 1.
    filled : whether to quantize now; else the first step does so block by block, and reads the samples only once.
    n_kept : the number of StoredRows to keep whole numbers of, from the first one on; rounded down to whole blocks.

    Keeps per sample 8 bytes, and one or two per feature. Each step quantizes the blocks anew that are not kept. Rows of
    8 bits a value are whole numbers (kernels/quantized_bytes.h): then offset and largest must be what
    exact_bytes returns.

    Attributes
    ----------
    is_filled : whether the kept samples have been quantized.
    """

    cdef const float[:, ::1] x32
    cdef const double[:, ::1] x64
    cdef StoredRows stored
    cdef const char *x           # whichever of these there is; NULL for StoredRows
    cdef size_t row_bytes
    cdef bint is_float32, is_exact
    cdef Py_ssize_t n_samples, n_features, block
    cdef Py_ssize_t n_kept       # n_samples, or whole blocks of StoredRows
    cdef void *memory
    cdef char *how
    cdef char *scratch
    cdef char *tiles             # of the kept samples
    cdef char *passing           # [n_threads]: the tiles of a block that is not kept
    cdef size_t tile_bytes, scratch_size
    cdef readonly int bits, n_threads
    cdef public bint is_filled

    def __cinit__(self, X, const double[::1] offset, double largest, int bits, int n_threads, bint filled=True,
                  Py_ssize_t n_kept=0):
        cdef const c.kernels *table = in_use[0]
        check_count("n_threads", n_threads)
        if bits not in (8, 16):
            raise ValueError(f"bits must be 8 or 16; got {bits}.")
        if bits == 8 and not table.has_dot8:
            raise ValueError(f"bits must be 16 with the instruction set in use ({table.name.decode()}); got 8.")
        self.is_float32 = reads_float32(X)
        if isinstance(X, StoredRows):
            self.stored = X
            self.is_exact = largest > 0.0 and table.exact_bytes_limit(&self.stored.rows, bits) == largest
        elif self.is_float32:
            self.x32 = X
        else:
            self.x64 = X
        self.n_samples, self.n_features = X.shape
        if offset.shape[0] != self.n_features:
            raise ValueError(f"offset must have shape ({self.n_features},); got ({offset.shape[0]},).")
        self.block = block_samples(self.n_features)
        self.n_kept = self.n_samples
        if self.stored is not None:
            self.n_kept = self.n_samples if n_kept >= self.n_samples else max(0, n_kept) // self.block * self.block
        else:
            self.x = <const char *>&self.x32[0, 0] if self.is_float32 else <const char *>&self.x64[0, 0]
        self.row_bytes = self.n_features * (4 if self.is_float32 else 8)
        self.bits = bits
        self.n_threads = n_threads
        # Not zeroed: each thread touches first what it writes.
        self.memory = take_memory(self._divide(NULL))
        if self.memory == NULL:
            raise MemoryError("no memory for the quantized samples; use algorithm='lloyd'.")
        self._divide(self.memory)
        table.quantizer_start(&offset[0], largest, self.n_features, bits, self.is_float32, self.how)
        if filled:
            self.fill()

    cdef size_t _divide(self, void *memory) noexcept nogil:
        """Divide memory, or count its bytes: see arena.h."""
        cdef const c.kernels *table = in_use[0]
        cdef arena parts = arena_in(memory)
        cdef Py_ssize_t n_tiles = (self.n_kept + table.tile_samples - 1) // table.tile_samples
        self.scratch_size = aligned(table.quantized_scratch_bytes(1, self.n_features))
        self.tile_bytes = table.quantized_tile_bytes(self.n_features, self.bits)
        self.how = <char *>take(&parts, table.quantizer_bytes(self.n_features))
        self.scratch = <char *>take(&parts, self.n_threads * self.scratch_size)
        self.tiles = <char *>take(&parts, n_tiles * self.tile_bytes)
        if self.stored is not None:
            self.passing = <char *>take(&parts, self.n_threads * self._tiles_of_block(table) * self.tile_bytes)
        return arena_bytes(&parts)

    cdef Py_ssize_t _tiles_of_block(self, const c.kernels *table) noexcept nogil:
        return (self.block + table.tile_samples - 1) // table.tile_samples

    cdef char *_tiles_from(self, const c.kernels *table, Py_ssize_t first, int t) noexcept nogil:
        """Where the tiles from a sample on lie."""
        if first >= self.n_kept:
            return self.passing + t * self._tiles_of_block(table) * self.tile_bytes
        return self.tiles + first // table.tile_samples * self.tile_bytes

    def fill(self):
        """Quantize the samples, unless they are StoredRows: steps do that."""
        if self.stored is not None:
            return
        cdef const c.kernels *table = in_use[0]
        cdef Py_ssize_t unit = unit_samples(self.n_samples, block_samples(self.n_features), self.n_threads)
        cdef Py_ssize_t u, n_units = (self.n_samples + unit - 1) // unit
        cdef signal_watch watch
        start_watch(&watch)
        with nogil:
            for u in prange(n_units, schedule="static", num_threads=self.n_threads):
                if not interrupted(&watch):
                    self._quantize(table, self.x + u * unit * self.row_bytes, u * unit,
                                   min(unit, self.n_samples - u * unit), self.n_samples - u * unit, threadid())
        raise_interrupt(&watch)
        self.is_filled = True

    def __dealloc__(self):
        free(self.memory)

    @property
    def scale(self):
        """The factor from x - offset to whole numbers."""
        return in_use[0].quantizer_scale(self.how)

    @property
    def addresses(self):
        """(quantizer, tiles, bytes of a tile): two addresses, for kernels."""
        return <uintptr_t>self.how, <uintptr_t>self.tiles, self.tile_bytes

    cdef void _quantize(self, const c.kernels *table, const char *rows, Py_ssize_t first, Py_ssize_t count,
                        Py_ssize_t n_readable, int t) noexcept nogil:
        """Quantize some samples.   rows : from `first` on, as kernels read them."""
        table.quantize[self.is_float32](rows, count, n_readable, self.how, self.scratch + t * self.scratch_size,
                                        self._tiles_from(table, first, t))


cdef class QuantizedState:
    """Lloyd's algorithm on quantized samples.

    Parameters
    ----------
    X, sample_weight, max_abs, max_weight, n_clusters, n_threads : as ClusterSums.
    copies : QuantizedCopies of X, which others may share.
    bits : 8, 16 or None. None lets the first step choose, by counting on a few rows.
    keeps_stored : whether whole numbers of StoredRows are kept, as far as there is memory for them.
    clusters : a ClusterSums of these samples that the state of another algorithm keeps; None for one of its own.

    The first step allocates memory, the others do not. If too many labels need float64, Lloyd's steps take over.
    """

    cdef readonly ClusterSums clusters
    cdef object dense, copies, asked_bits
    cdef QuantizedRows rows
    cdef bint is_float32, started, keeps_stored
    cdef Py_ssize_t n_samples, n_features, n_clusters, block, unit, n_wasted, n_steps
    cdef int n_threads
    cdef const c.kernels *table
    cdef void *memory
    cdef char *how
    cdef char *tiles
    cdef char *quantized
    cdef char *scratch           # [n_threads], scratch_size apart: the kernel's, then labels of a unit
    cdef double *offset          # [2 n_features], of packed
    cdef char *packed            # centers in float32, for samples that are gathered; NULL if rows are too long
    cdef char *many              # [n_threads], many_size apart: scratch, rows and labels of gathered samples
    cdef size_t many_size, many_rows_at, many_labels_at
    cdef size_t *counts          # [n_threads][16]: samples decided in float64, and n_crowded; cache lines of a thread
    cdef size_t scratch_size, labels_at, tile_bytes
    cdef signal_watch watch
    cdef readonly Py_ssize_t n_decided
    cdef readonly str stepped_by  # the algorithm of the last step
    cdef readonly double share   # of the cost of Lloyd's step that the last one had

    def __cinit__(self, X, sample_weight, max_abs, double max_weight, Py_ssize_t n_clusters, int n_threads, copies,
                  bits=None, Py_ssize_t n_grid_samples=0, bint keeps_stored=True, ClusterSums clusters=None):
        self.clusters = clusters
        if clusters is None:
            self.clusters = ClusterSums(X, sample_weight, max_abs, max_weight, n_clusters, n_threads, n_grid_samples)
        self.dense = LloydState(clusters=self.clusters)
        self.table = in_use[0]
        self.copies = copies
        self.asked_bits = bits
        self.keeps_stored = keeps_stored
        self.is_float32 = reads_float32(X)
        self.n_samples, self.n_features = X.shape
        self.n_clusters = n_clusters
        self.n_threads = n_threads
        self.stepped_by = ""
        self.block = block_samples(self.n_features) if self.clusters.stored is None else self.clusters.block
        self.unit = unit_samples(self.n_samples, self.block, n_threads)
        self.unit = short_unit(self.unit, self.block, <double>n_clusters * self.n_features)
        self.share = 1.0

    def __dealloc__(self):
        free(self.memory)
        free(self.counts)

    @property
    def quantized(self):
        """QuantizedRows of the last step, filled unless they are of StoredRows; None for Lloyd's float32."""
        if self.rows is not None and not self.rows.is_filled:
            self.rows.fill()
        return self.rows

    @property
    def bits(self):
        """Bits per feature in the last step; 0 for Lloyd's float32."""
        return self.rows.bits if self.rows is not None else 0

    def step(self, const double[:, ::1] centers):
        """Label every sample with its nearest center and let the sums follow the labels, as LloydState.step does."""
        check_shape("centers", centers.shape[0], centers.shape[1], self.n_clusters, self.n_features)
        if not self.started:
            self._begin(centers)
        if self.rows is None or not self._assign(centers):
            n_changed = self.dense.step(centers)
            self.n_decided = self.dense.n_decided
            self.stepped_by = "lloyd"
            return n_changed
        self.stepped_by = "quantized"
        self.n_decided = take_count(self.counts, self.n_threads, 0)
        n_changed = take_count(self.clusters.follower.counts, self.n_threads, 0)
        self._weigh()
        return n_changed

    def _begin(self, centers):
        """Choose how to quantize the samples."""
        self.started = True
        if self.n_clusters == 1:
            return
        self.counts = <size_t *>calloc(self.n_threads * 16, sizeof(size_t))
        if self.counts == NULL:
            raise MemoryError("no memory for counts.")
        bits = self.asked_bits or self.copies.choose_bits(centers)
        if bits:
            self._take_rows(self.copies.rows(bits, filled=False, keeps_stored=self.keeps_stored))

    def _take_rows(self, rows):
        """Use these rows from now on."""
        self.rows = rows
        how, tiles, self.tile_bytes = rows.addresses
        self.how, self.tiles = <char *><uintptr_t>how, <char *><uintptr_t>tiles
        free(self.memory)
        self.memory = calloc(1, self._divide(NULL))
        if self.memory == NULL:
            raise MemoryError("no memory for the quantized centers; use algorithm='lloyd'.")
        self._divide(self.memory)

    cdef size_t _divide(self, void *memory) noexcept nogil:
        """Divide memory, or count its bytes: see arena.h."""
        cdef const c.kernels *table = self.table
        cdef arena parts = arena_in(memory)
        self.labels_at = aligned(table.quantized_scratch_bytes(self.n_clusters, self.n_features))
        self.scratch_size = self.labels_at + aligned(self.unit * sizeof(int32_t))
        self.quantized = <char *>take(&parts, table.quantized_centers_bytes(self.n_clusters, self.n_features,
                                                                           self.rows.bits))
        self.scratch = <char *>take(&parts, self.n_threads * self.scratch_size)
        self.packed = NULL
        if not table.may_gather(self.n_features):
            return arena_bytes(&parts)
        self.many_rows_at = aligned(table.scratch_bytes(self.n_clusters, self.n_features))
        self.many_labels_at = self.many_rows_at + aligned(
            block_samples(self.n_features) * self.n_features * (4 if self.is_float32 else 8))
        self.many_size = self.many_labels_at + aligned(block_samples(self.n_features) * sizeof(int32_t))
        self.offset = <double *>take(&parts, 2 * self.n_features * sizeof(double))
        self.packed = <char *>take(&parts, table.packed_bytes(self.n_clusters, self.n_features))
        self.many = <char *>take(&parts, self.n_threads * self.many_size)
        return arena_bytes(&parts)

    cdef bint _assign(self, const double[:, ::1] centers) except -1:
        """Label the samples, and let the sums follow them, unless the centers lie too far out."""
        cdef Py_ssize_t u, n_units = (self.n_samples + self.unit - 1) // self.unit
        cdef QuantizedRows rows = self.rows
        if not self.table.quantize_centers(&centers[0, 0], self.n_clusters, self.how, self.quantized):
            return False
        if rows.n_threads < self.n_threads and (rows.stored is not None or not rows.is_filled):
            if rows.stored is not None:
                raise ValueError(f"copies must be of {self.n_threads} threads or more; got {rows.n_threads}.")
            rows.fill()  # it has no room for so many threads
        start_watch(&self.watch)
        with nogil:
            if self.packed != NULL:
                pack_for_assign(self.table, &centers[0, 0], self.n_clusters, self.n_features, self.is_float32,
                                self.offset, self.packed)
            for u in prange(n_units, schedule="dynamic", chunksize=1, num_threads=self.n_threads):
                self._assign_unit(rows, u, threadid())
            self.clusters.merge(self.table, &self.watch)
        raise_interrupt(&self.watch)
        rows.is_filled = True
        return True

    cdef void _assign_unit(self, QuantizedRows rows, Py_ssize_t u, int t) noexcept nogil:
        """Assign the blocks of a unit, then follow it. If rows must be quantized first, follow each block while it
        is in this core's cache."""
        cdef row_follower *of = &self.clusters.follower
        cdef Py_ssize_t start = u * self.unit, first = start, end = min(first + self.unit, self.n_samples), count
        cdef char *scratch = self.scratch + t * self.scratch_size
        cdef int32_t *labels = <int32_t *>(scratch + self.labels_at)
        cdef const char *x
        cdef char *many = self.many + t * self.many_size
        cdef c.gathered_rows gathered
        cdef bint is_laid_out
        if interrupted(&self.watch):
            return
        gathered.packed, gathered.scratch = self.packed, many
        gathered.rows, gathered.labels = many + self.many_rows_at, <int32_t *>(many + self.many_labels_at)
        gathered.n_crowded = self.counts + 16 * t + 1
        while first < end:
            count = min(self.block, (end if first >= rows.n_kept else min(end, rows.n_kept)) - first)
            is_laid_out = not rows.is_filled or first >= rows.n_kept
            if is_laid_out and rows.is_exact:
                is_laid_out = False
                self.table.quantize_bytes(of.stored, first, count, rows.how, rows.scratch + t * rows.scratch_size,
                                          rows._tiles_from(self.table, first, t))
            if is_laid_out:
                x = block_of(of, self.table, first, count, t)
                rows._quantize(self.table, x, first, count, readable_from(of, self.n_samples, first), t)
            else:
                x = row_of(of, first) if of.stored == NULL else of.wide + t * of.wide_size
            self.counts[16 * t] += self.table.assign_quantized[self.is_float32](
                x, NULL if is_laid_out else of.stored, first, count, rows._tiles_from(self.table, first, t),
                self.quantized, scratch, labels + (first - start), &gathered if self.packed != NULL else NULL)
            if is_laid_out:
                follow_block(of, self.table, x, first, count, labels + (first - start), t)
            elif of.stored != NULL:
                follow_rows(of, self.table, first, count, labels + (first - start), t)
            first = first + count
        if rows.is_filled and of.stored == NULL:  # few labels change, so their rows are prefetched
            follow_rows(of, self.table, start, end - start, labels, t)

    cdef int _weigh(self) except -1:
        """Go over to Lloyd's steps after two steps in a row that cost more, by counted work and not by time."""
        undecided = self.n_decided / <double>self.n_samples
        crowded = take_count(self.counts, self.n_threads, 1) / <double>self.n_samples
        self.share = self.copies.share_of_dense(self.n_clusters, self.rows.bits, undecided, crowded)
        self.n_wasted = self.n_wasted + 1 if self.share > 1.0 else 0
        self.n_steps += 1
        if self.asked_bits is None and (self.n_wasted == 2 or self.n_steps == CHECKED_STEP and self.rows.bits == 8):
            if self.rows.bits == 8 and self.copies.prefers_16_bits(self.n_clusters, undecided, crowded):
                self.rows = None
                self._take_rows(self.copies.rows(16, keeps_stored=self.keeps_stored))
                self.n_wasted = 0
            elif self.n_wasted == 2:
                self.rows = None
                self.share = 1.0
        return 0

# cython: language_level=3, freethreading_compatible=True, boundscheck=False, wraparound=False, cdivision=True
# cython: initializedcheck=False
"""Quantized samples: 8 or 16 bits a feature tell most labels, and the rows are read for the others alone.

Every sample is compared with every center, in whole numbers and without rounding. The proof of a label is in
kernels/quantized.h; what it leaves open is decided in float64 on the stored values.
"""
from cython.parallel cimport prange, threadid
from libc.stdint cimport int32_t, uintptr_t
from libc.stdlib cimport calloc, free

cimport kernels as c
from fastkmeans._core.sums cimport ClusterSums
from shared cimport (
    aligned, arena, arena_bytes, arena_in, check_count, check_shape, follow_rows, interrupted, kernels_in_use,
    raise_interrupt, row_of, short_unit, signal_watch, start_watch, take, take_count, unit_samples,
)

from fastkmeans._core.lloyd import LloydState

cdef extern from "kernels/kernels.h" nogil:
    size_t block_samples(size_t n_features)

cdef extern from "memory.h" nogil:
    void *take_memory(size_t size)

cdef const c.kernels **in_use = kernels_in_use()

# Rows that tell how large values are, fewer where they are long: with 2048 rows of 784 features it took a quarter of a
# seeding. And the pairs of rows and centers on which 8 and 16 bits are tried.
SIZE_ROWS, SIZE_VALUES = 2048, 1 << 18
TRIAL_PAIRS = 1 << 16
# With 8 bits the first centers leave more samples open than the later ones, on average over 20 steps by this factor
# (bigk and mid of the benchmarks: 0.41 and 0.37 of the samples at first, 0.02 to 0.04 at last; where clusters overlap
# it stays). Where it did not fall by step CHECKED_STEP, 16 bits are taken, which leave about a fortieth open.
LATER_SHARE = 0.35
CHECKED_STEP = 3
SHARE_OF_16 = 0.025
# A word of two products where one instruction multiplies and another adds, in multiply-adds of float32 (Zen 3, AVX2: 12
# to 64 features).
TWO_STEP_WORD = 1.45
# Values of which the largest is smaller have squares that float64 rounds to few digits: only float64 knows which are
# equal.
LEAST_SIZE = 1e-140
# Values beyond this share of all are cut; with 16 bits there is room for some that are larger.
LARGEST_SHARE = 0.9995
ROOM_16 = 16.0


def dense_cost(n_features, n_clusters):
    """Cost of a sample and step of Lloyd's algorithm, in vector instructions per 16 samples.

    A sample is laid out once, a pair pays its multiply-adds and five instructions for the best two.
    """
    return 3.0 * n_features + n_clusters * (n_features + 5.0)


def quantized_cost(n_features, n_clusters, bits, undecided, has_dot8):
    """The same with quantized samples, of which the share `undecided` needs float64.

    Such a sample is scored once more, alone, and its row comes from memory; fitted to times at 12 to 64 features.
    """
    words = n_features * bits / 32.0 * (1.0 if has_dot8 else TWO_STEP_WORD)
    alone = 16.0 * (150.0 + 3.0 * n_features + n_clusters * (words / 12.0 + 1.0))
    return 30.0 + n_clusters * (words + 5.0) + undecided * alone


def quantum(rows, offset, bits, limit):
    """What one whole number stands for, from a few rows, and the largest |x - offset| that it can hold."""
    import numpy as np

    sizes = np.abs(rows - offset).ravel()
    most = float(sizes.max())
    # As np.quantile does, which imports numpy.ma: a process that is forked meanwhile would wait for that import for
    # ever.
    place = LARGEST_SHARE * (len(sizes) - 1)
    below, above = int(place), min(int(place) + 1, len(sizes) - 1)
    ordered = np.partition(sizes, (below, above))
    largest = float(ordered[below] + (place - below) * (ordered[above] - ordered[below]))
    largest = min(largest * (ROOM_16 if bits == 16 else 1.0), most) or most
    return largest / limit, largest


def share_undecided(rows, centers, offset, bits, limit):
    """Share of the rows whose label whole numbers would leave open, by the bound of kernels/quantized.h.

    rows : (n_rows, n_features), centers : (n_clusters, n_features), float64.
    """
    import numpy as np

    unit = quantum(rows, offset, bits, limit)[0]
    if not 0.0 < unit < 1e300:
        return 1.0
    x, y = (rows - offset) / unit, (centers - offset) / unit
    rest = np.linalg.norm(x - np.clip(np.rint(x), -limit, limit), axis=1)
    center_unit = max(float(np.abs(y).max()) / limit, 1e-30)
    rest += center_unit * float(np.linalg.norm(y / center_unit - np.rint(y / center_unit), axis=1).max())
    sq_distances = (x**2).sum(axis=1)[:, None] + (y**2).sum(axis=1) - 2.0 * (x @ y.T)
    own, other = np.sqrt(np.maximum(np.partition(sq_distances, 1, axis=1)[:, :2].T, 0.0))
    return float(np.count_nonzero(other - own <= 2.0 * rest)) / len(rows)


def choose_bits(rows, centers, offset, has_dot8):
    """Bits a feature with the least cost, counted on rows; 0 if the float32 tile costs less."""
    import numpy as np

    n_clusters, n_features = centers.shape
    best, best_cost = 0, 0.9 * dense_cost(n_features, n_clusters)
    for bits in [8, 16] if has_dot8 else [16]:
        limit = min(127.0 if bits == 8 else 32767.0, np.floor(np.sqrt(2.0**29 / n_features)))
        undecided = share_undecided(rows, centers, offset, bits, limit) * (LATER_SHARE if bits == 8 else 1.0)
        cost = quantized_cost(n_features, n_clusters, bits, undecided, has_dot8)
        if cost < best_cost:
            best, best_cost = bits, cost
    return best


cdef class QuantizedRows:
    """The samples as whole numbers.

    Parameters
    ----------
    X : (n_samples, n_features) float32 or float64, C order, finite.
    offset : (n_features,) float64, any point amid the data.
    largest : see quantizer_start in kernels/kernels.h.
    bits : 8 or 16.   n_threads : int >= 1.
    filled : whether to quantize now; else the first step does it, block by block, and reads the samples once for all.

    Keeps 8 bytes a sample, and one or two a feature.
    """

    cdef const float[:, ::1] x32
    cdef const double[:, ::1] x64
    cdef const char *x           # whichever of these there is
    cdef size_t row_bytes
    cdef bint is_float32
    cdef Py_ssize_t n_samples, n_features
    cdef void *memory
    cdef char *how
    cdef char *scratch
    cdef char *tiles
    cdef size_t tile_bytes, scratch_size
    cdef readonly int bits, n_threads
    cdef public bint is_filled

    def __cinit__(self, X, const double[::1] offset, double largest, int bits, int n_threads, bint filled=True):
        cdef const c.kernels *table = in_use[0]
        check_count("n_threads", n_threads)
        if bits not in (8, 16):
            raise ValueError(f"bits must be 8 or 16; got {bits}.")
        if bits == 8 and not table.has_dot8:
            raise ValueError(f"bits must be 16 with the instruction set in use ({table.name.decode()}); got 8.")
        self.is_float32 = X.dtype.itemsize == 4
        if self.is_float32:
            self.x32 = X
        else:
            self.x64 = X
        self.n_samples, self.n_features = X.shape
        if offset.shape[0] != self.n_features:
            raise ValueError(f"offset must have shape ({self.n_features},); got ({offset.shape[0]},).")
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
        cdef Py_ssize_t n_tiles = (self.n_samples + table.tile_samples - 1) // table.tile_samples
        self.scratch_size = aligned(table.quantized_scratch_bytes(1, self.n_features))
        self.tile_bytes = table.quantized_tile_bytes(self.n_features, self.bits)
        self.how = <char *>take(&parts, table.quantizer_bytes(self.n_features))
        self.scratch = <char *>take(&parts, self.n_threads * self.scratch_size)
        self.tiles = <char *>take(&parts, n_tiles * self.tile_bytes)
        return arena_bytes(&parts)

    def fill(self):
        """Quantize the samples."""
        cdef const c.kernels *table = in_use[0]
        cdef Py_ssize_t unit = unit_samples(self.n_samples, block_samples(self.n_features), self.n_threads)
        cdef Py_ssize_t u, n_units = (self.n_samples + unit - 1) // unit
        cdef signal_watch watch
        start_watch(&watch)
        with nogil:
            for u in prange(n_units, schedule="static", num_threads=self.n_threads):
                if not interrupted(&watch):
                    self._quantize(table, u * unit, min(unit, self.n_samples - u * unit), threadid())
        raise_interrupt(&watch)
        self.is_filled = True

    def __dealloc__(self):
        free(self.memory)

    @property
    def scale(self):
        """What brings x - offset to whole numbers."""
        return in_use[0].quantizer_scale(self.how)

    @property
    def addresses(self):
        """(quantizer, tiles, bytes of a tile): where kernels find them."""
        return <uintptr_t>self.how, <uintptr_t>self.tiles, self.tile_bytes

    cdef void _quantize(self, const c.kernels *table, Py_ssize_t first, Py_ssize_t count, int t) noexcept nogil:
        cdef char *scratch = self.scratch + t * self.scratch_size
        cdef char *tiles = self.tiles + first // table.tile_samples * self.tile_bytes
        table.quantize[self.is_float32](self.x + first * self.row_bytes, count, self.n_samples - first, self.how,
                                        scratch, tiles)


class QuantizedCopies:
    """The quantized copies of an array, made when they are first asked for: several starts share them.

    X : (n_samples, n_features) float32 or float64, C order, finite.   n_threads : int >= 1.
    """

    def __init__(self, X, n_threads):
        self.X, self.n_threads = X, n_threads
        self._rows = self._offset = self._copy = None
        self._bits = {}

    def choose_bits(self, centers):
        """Bits a feature with which a step from such centers costs least; 0 for the float32 tile.

        Starts with as many centers share the answer.
        """
        if len(centers) not in self._bits:
            self._bits[len(centers)] = self._count_bits(centers)
        return self._bits[len(centers)]

    def _count_bits(self, centers):
        import numpy as np

        cdef const c.kernels *table = in_use[0]
        rows, offset = self._sample()
        if np.abs(rows - offset).max() < LEAST_SIZE:
            return 0
        n_trial = min(max(64, TRIAL_PAIRS // len(centers)), 512, len(rows))
        trial = rows[:: len(rows) // n_trial][:n_trial]
        with np.errstate(all="ignore"):
            return choose_bits(trial, np.asarray(centers, dtype=np.float64), offset, table.has_dot8)

    def least_bits(self):
        """The fewest bits that this CPU multiplies: what a filter that may leave much open reads."""
        return 8 if in_use[0].has_dot8 else 16

    def rows(self, bits, filled=True):
        """QuantizedRows of X. One copy is kept: asking for other bits makes it anew.

        filled : False if whoever asks may fill them.
        """
        import numpy as np

        if self._copy is None or self._copy.bits != bits:
            rows, offset = self._sample()
            self._copy = None  # its memory first
            with np.errstate(all="ignore"):
                largest = quantum(rows, offset, bits, 1.0)[1]
            self._copy = QuantizedRows(self.X, offset, largest, bits, self.n_threads, filled=False)
        if filled and not self._copy.is_filled:
            self._copy.fill()
        return self._copy

    def _sample(self):
        """A few rows in float64, and their mean."""
        import numpy as np

        if self._rows is None:
            n_rows = min(SIZE_ROWS, max(64, SIZE_VALUES // self.X.shape[1]))
            self._rows = self.X[::-(-len(self.X) // n_rows)].astype(np.float64)
            self._offset = self._rows.mean(axis=0)
            if self.X.dtype.itemsize == 4:
                self._offset = self._offset.astype(np.float32).astype(np.float64)
        return self._rows, self._offset


cdef class QuantizedState:
    """Lloyd's algorithm on quantized samples.

    Parameters
    ----------
    X, sample_weight, max_abs, max_weight, n_clusters, n_threads : as ClusterSums.
    copies : QuantizedCopies of X that others may share, or None.
    bits : 8, 16 or None. None lets the first step choose, by counting on a few rows.

    The first step allocates, the others nothing. Where whole numbers leave too much open, Lloyd's steps are taken.
    """

    cdef readonly ClusterSums clusters
    cdef object dense, copies, asked_bits
    cdef QuantizedRows rows
    cdef bint is_float32, started
    cdef Py_ssize_t n_samples, n_features, n_clusters, block, unit, n_wasted, n_steps
    cdef int n_threads
    cdef const c.kernels *table
    cdef void *memory
    cdef char *how
    cdef char *tiles
    cdef char *quantized
    cdef char *scratch           # [n_threads], scratch_size apart: the kernel's, then labels of a unit
    cdef size_t *counts          # [n_threads][16]: samples decided in float64; one cache line each
    cdef size_t scratch_size, labels_at, tile_bytes
    cdef signal_watch watch
    cdef readonly Py_ssize_t n_decided
    cdef readonly str stepped_by  # the algorithm of the last step
    cdef readonly double share   # of the cost of Lloyd's step that the last one had

    def __cinit__(self, X, sample_weight, max_abs, double max_weight, Py_ssize_t n_clusters, int n_threads, copies=None,
                  bits=None, Py_ssize_t n_grid_samples=0):
        self.clusters = ClusterSums(X, sample_weight, max_abs, max_weight, n_clusters, n_threads, n_grid_samples)
        self.dense = LloydState(clusters=self.clusters)
        self.table = in_use[0]
        self.copies = QuantizedCopies(X, n_threads) if copies is None else copies
        self.asked_bits = bits
        self.is_float32 = X.dtype.itemsize == 4
        self.n_samples, self.n_features = X.shape
        self.n_clusters = n_clusters
        self.n_threads = n_threads
        self.stepped_by = ""
        self.block = block_samples(self.n_features)
        self.unit = unit_samples(self.n_samples, self.block, n_threads)
        self.unit = short_unit(self.unit, self.block, <double>n_clusters * self.n_features)
        self.share = 1.0

    def __dealloc__(self):
        free(self.memory)
        free(self.counts)

    @property
    def quantized(self):
        """QuantizedRows of the last step, filled; None for Lloyd's float32."""
        if self.rows is not None and not self.rows.is_filled:
            self.rows.fill()
        return self.rows

    @property
    def bits(self):
        """Bits a feature of the last step; 0 for Lloyd's float32."""
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
            self._take_rows(self.copies.rows(bits, filled=False))

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
        return arena_bytes(&parts)

    cdef bint _assign(self, const double[:, ::1] centers) except -1:
        """Label the samples, and let the sums follow them, unless the centers lie too far out."""
        cdef Py_ssize_t u, n_units = (self.n_samples + self.unit - 1) // self.unit
        cdef QuantizedRows rows = self.rows
        if not self.table.quantize_centers(&centers[0, 0], self.n_clusters, self.how, self.quantized):
            return False
        if rows.n_threads < self.n_threads and not rows.is_filled:
            rows.fill()  # it has no room for so many threads
        start_watch(&self.watch)
        with nogil:
            for u in prange(n_units, schedule="dynamic", chunksize=1, num_threads=self.n_threads):
                self._assign_unit(rows, u, threadid())
            self.clusters.merge(self.table, &self.watch)
        raise_interrupt(&self.watch)
        rows.is_filled = True
        return True

    cdef void _assign_unit(self, QuantizedRows rows, Py_ssize_t u, int t) noexcept nogil:
        """Assign the blocks of a unit and then follow it; where rows have to be quantized first, each block while its
        rows are in this core's cache."""
        cdef Py_ssize_t start = u * self.unit, first = start, end = min(first + self.unit, self.n_samples), count
        cdef char *scratch = self.scratch + t * self.scratch_size
        cdef int32_t *labels = <int32_t *>(scratch + self.labels_at)
        cdef const char *tiles
        if interrupted(&self.watch):
            return
        while first < end:
            count = min(self.block, end - first)
            if not rows.is_filled:
                rows._quantize(self.table, first, count, t)
            tiles = self.tiles + first // self.table.tile_samples * self.tile_bytes
            self.counts[16 * t] += self.table.assign_quantized[self.is_float32](
                row_of(&self.clusters.follower, first), count, tiles, self.quantized, scratch,
                labels + (first - start))
            if not rows.is_filled:
                follow_rows(&self.clusters.follower, self.table, first, count, labels + (first - start), t)
            first = first + count
        if rows.is_filled:  # few labels change: their rows are fetched ahead
            follow_rows(&self.clusters.follower, self.table, start, end - start, labels, t)

    cdef int _weigh(self) except -1:
        """Go over to Lloyd's steps after two in a row that did more work. Counted, never timed."""
        undecided = self.n_decided / <double>self.n_samples
        has_dot8 = self.table.has_dot8
        cost = quantized_cost(self.n_features, self.n_clusters, self.rows.bits, undecided, has_dot8)
        self.share = cost / dense_cost(self.n_features, self.n_clusters)
        self.n_wasted = self.n_wasted + 1 if self.share > 1.0 else 0
        self.n_steps += 1
        if self.asked_bits is None and (self.n_wasted == 2 or self.n_steps == CHECKED_STEP and self.rows.bits == 8):
            finer = quantized_cost(self.n_features, self.n_clusters, 16, SHARE_OF_16 * undecided, has_dot8)
            if self.rows.bits == 8 and 1.15 * finer < cost:
                self.rows = None
                self._take_rows(self.copies.rows(16))
                self.n_wasted = 0
            elif self.n_wasted == 2:
                self.rows = None
                self.share = 1.0
        return 0

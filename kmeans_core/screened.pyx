# cython: language_level=3, freethreading_compatible=True, boundscheck=False, wraparound=False, cdivision=True
# cython: initializedcheck=False
"""Quantized samples whose rows lie elsewhere: they tell most labels, and which rows must be fetched for the others.

The proof of a label is that of quantized.pyx (kernels/quantized.h). There the rows of undecided samples are at hand;
here the caller fetches them, and decides.
"""
from cython.parallel cimport prange, threadid
from libc.math cimport HUGE_VAL, ldexp, sqrt
from libc.stdint cimport int32_t
from libc.stdlib cimport calloc, free

cimport kernels as c
from shared cimport (
    align, aligned, arena, arena_bytes, arena_in, check_count, check_shape, interrupted, kernels_in_use,
    raise_interrupt, short_unit, signal_watch, start_watch, take, take_count,
)

cdef extern from "kernels/kernels.h" nogil:
    size_t block_samples(size_t n_features)

cdef extern from "memory.h" nogil:
    void *take_memory(size_t size)

cdef const c.kernels **in_use = kernels_in_use()


cdef class ScreenedRows:
    """Samples as whole numbers, without the samples.

    Parameters
    ----------
    n_samples, n_features : int >= 1.   is_float32 : whether the samples are float32, else they are float64.
    offset : (n_features,) float64, any point amid the data.
    largest : see quantizer_start in kernels/kernels.h.
    bits : 8 or 16.   n_threads : int >= 1.

    `put` all samples, then `begin` each step and `screen` parts of the samples. Keeps per sample 8 bytes, and one or
    two per feature.
    """

    cdef const c.kernels *table
    cdef Py_ssize_t n_samples, n_features, n_clusters, block
    cdef bint is_float32
    cdef void *memory
    cdef void *step_memory
    cdef char *how
    cdef char *tiles
    cdef char *fill_scratch
    cdef char *centers
    cdef char *scratch           # [n_threads], scratch_size apart
    cdef size_t *counts          # [n_threads][16]: undecided samples; one cache line each
    cdef size_t tile_bytes, scratch_size, fill_size
    cdef const double[:, ::1] held  # the kernel's centers point to these
    cdef signal_watch watch
    cdef readonly int bits, n_threads

    def __cinit__(self, Py_ssize_t n_samples, Py_ssize_t n_features, bint is_float32, const double[::1] offset,
                  double largest, int bits, int n_threads):
        self.table = in_use[0]
        check_count("n_samples", n_samples)
        check_count("n_features", n_features)
        check_count("n_threads", n_threads)
        if bits not in (8, 16) or bits == 8 and not self.table.has_dot8:
            raise ValueError(f"bits must be 16, or 8 where bytes can be multiplied; got {bits}.")
        if offset.shape[0] != n_features:
            raise ValueError(f"offset must have shape ({n_features},); got ({offset.shape[0]},).")
        self.n_samples, self.n_features, self.is_float32 = n_samples, n_features, is_float32
        self.bits, self.n_threads = bits, n_threads
        self.block = block_samples(n_features)
        self.memory = take_memory(self._divide(NULL))
        if self.memory == NULL:
            raise MemoryError("no memory for the quantized samples; lower memory_limit.")
        self._divide(self.memory)
        self.table.quantizer_start(&offset[0], largest, n_features, bits, is_float32, self.how)

    def __dealloc__(self):
        free(self.memory)
        free(self.step_memory)

    cdef size_t _divide(self, void *memory) noexcept nogil:
        """Divide memory, or count its bytes: see arena.h."""
        cdef arena parts = arena_in(memory)
        cdef Py_ssize_t n_tiles = (self.n_samples + self.table.tile_samples - 1) // self.table.tile_samples
        self.fill_size = aligned(self.table.quantized_scratch_bytes(1, self.n_features))
        self.tile_bytes = self.table.quantized_tile_bytes(self.n_features, self.bits)
        self.how = <char *>take(&parts, self.table.quantizer_bytes(self.n_features))
        self.fill_scratch = <char *>take(&parts, self.n_threads * self.fill_size)
        self.tiles = <char *>take(&parts, n_tiles * self.tile_bytes)
        return arena_bytes(&parts)

    cdef size_t _divide_step(self, void *memory) noexcept nogil:
        cdef arena parts = arena_in(memory)
        self.scratch_size = aligned(self.table.quantized_scratch_bytes(self.n_clusters, self.n_features))
        self.centers = <char *>take(&parts, self.table.quantized_centers_bytes(self.n_clusters, self.n_features,
                                                                              self.bits))
        self.scratch = <char *>take(&parts, self.n_threads * self.scratch_size)
        self.counts = <size_t *>take(&parts, self.n_threads * 16 * sizeof(size_t))
        return arena_bytes(&parts)

    cdef int _check_place(self, Py_ssize_t first, Py_ssize_t count) except -1:
        if first < 0 or first % self.table.tile_samples or count < 1 or first + count > self.n_samples:
            raise ValueError(f"first must be a multiple of {self.table.tile_samples}, and the samples among "
                             f"{self.n_samples}; got {count} from {first} on.")
        return 0

    def put(self, X, Py_ssize_t first):
        """Quantize samples.   X : (n, n_features) of the samples' type, C order.   first : number of the first."""
        cdef const float[:, ::1] x32
        cdef const double[:, ::1] x64
        cdef const char *x
        cdef Py_ssize_t count = X.shape[0], size = self.n_features * (4 if self.is_float32 else 8), b, start
        check_shape("X", count, X.shape[1], count, self.n_features)
        self._check_place(first, count)
        if self.is_float32:
            x32 = X
            x = <const char *>&x32[0, 0]
        else:
            x64 = X
            x = <const char *>&x64[0, 0]
        start_watch(&self.watch)
        with nogil:
            for b in prange((count + self.block - 1) // self.block, schedule="static", num_threads=self.n_threads):
                start = b * self.block
                if not interrupted(&self.watch):
                    self.table.quantize[self.is_float32](
                        x + start * size, min(self.block, count - start), count - start, self.how,
                        self.fill_scratch + threadid() * self.fill_size,
                        self.tiles + (first + start) // self.table.tile_samples * self.tile_bytes)
        raise_interrupt(&self.watch)

    def begin(self, const double[:, ::1] centers):
        """Begin a step. Returns False if whole numbers cannot hold the centers.

        centers : (n_clusters, n_features) float64, read only, which the next calls of `screen` compare with.
        """
        check_shape("centers", centers.shape[0], centers.shape[1], centers.shape[0], self.n_features)
        check_count("n_clusters", centers.shape[0])
        if centers.shape[0] != self.n_clusters:
            free(self.step_memory)
            self.n_clusters = centers.shape[0]
            self.step_memory = calloc(1, self._divide_step(NULL))
            if self.step_memory == NULL:
                self.n_clusters = 0
                raise MemoryError("no memory for the quantized centers; use algorithm='lloyd'.")
            self._divide_step(self.step_memory)
        self.held = centers
        return bool(self.table.quantize_centers(&centers[0, 0], self.n_clusters, self.how, self.centers))

    def screen(self, Py_ssize_t first, int32_t[::1] labels):
        """Label some samples; return how many are left undecided.

        first : number of the first of them.   labels : OUT (n,) int32, below 0 where samples must decide.
        """
        cdef Py_ssize_t count = labels.shape[0], unit, n_units, u
        self._check_place(first, count)
        if self.n_clusters == 0:
            raise ValueError("begin a step before samples are screened.")
        unit = short_unit(self.block, self.block, <double>self.n_clusters * self.n_features, self.table.tile_samples)
        n_units = (count + unit - 1) // unit
        start_watch(&self.watch)
        with nogil:
            for u in prange(n_units, schedule="dynamic", chunksize=1, num_threads=self.n_threads):
                self._screen_unit(first, u * unit, min(unit, count - u * unit), &labels[0], threadid())
        raise_interrupt(&self.watch)
        return take_count(self.counts, self.n_threads, 0)

    cdef void _screen_unit(self, Py_ssize_t first, Py_ssize_t start, Py_ssize_t count, int32_t *labels,
                           int t) noexcept nogil:
        if interrupted(&self.watch):
            return
        self.counts[16 * t] += self.table.screen_quantized(
            count, self.tiles + (first + start) // self.table.tile_samples * self.tile_bytes, self.centers,
            self.scratch + t * self.scratch_size, labels + start)


def decide(X, const double[:, ::1] centers, int32_t[::1] labels, double[::1] gaps, int n_threads):
    """Label rows by float64 distances to all centers, and tell how far centers may move until a label may change.

    X : (n, n_features) float32 or float64, C order.   centers : (n_clusters, n_features), at least two.
    labels : OUT (n,) int32: the nearest center, the lowest index among equals.
    gaps : OUT (n,): the distance to the second nearest center minus that to the nearest, less than it by what rounding
    may take here and in a later decision. As long as the own center and any other one together have moved less than the
    gap, by 2^-20 of the way, the label stays.
    """
    cdef const c.kernels *table = in_use[0]
    cdef const float[:, ::1] x32
    cdef const double[:, ::1] x64
    cdef const char *x
    cdef bint is_float32 = X.dtype.itemsize == 4
    cdef Py_ssize_t n_rows = X.shape[0], n_features = X.shape[1], n_clusters = centers.shape[0], i
    cdef size_t row_bytes = n_features * (4 if is_float32 else 8), thread_bytes = aligned(n_clusters * sizeof(double))
    cdef double rounding = ldexp(1.0, -40) + n_features * ldexp(1.0, -50)
    cdef void *memory
    cdef char *rows
    cdef signal_watch watch
    check_count("n_threads", n_threads)
    check_count("n_clusters - 1", n_clusters - 1)
    check_shape("centers", n_clusters, centers.shape[1], n_clusters, n_features)
    if labels.shape[0] != n_rows or gaps.shape[0] != n_rows:
        raise ValueError(f"labels and gaps must have {n_rows} entries; got {labels.shape[0]} and {gaps.shape[0]}.")
    if n_rows == 0:
        return
    if is_float32:
        x32 = X
        x = <const char *>&x32[0, 0]
    else:
        x64 = X
        x = <const char *>&x64[0, 0]
    memory = calloc(1, 128 + n_threads * thread_bytes)
    if memory == NULL:
        raise MemoryError("no memory for a row of distances of each thread; use fewer threads (n_threads).")
    rows = align(memory)
    start_watch(&watch)
    with nogil:
        for i in prange(n_rows, schedule="static", num_threads=n_threads):
            if not interrupted(&watch):
                decide_row(table, x + i * row_bytes, is_float32, n_features, &centers[0, 0], n_clusters, rounding,
                           <double *>(rows + threadid() * thread_bytes), &labels[i], &gaps[i])
    free(memory)
    raise_interrupt(&watch)


cdef void decide_row(const c.kernels *table, const char *x, bint is_float32, Py_ssize_t n_features,
                     const double *centers, Py_ssize_t n_clusters, double rounding, double *sq_distances,
                     int32_t *label, double *gap) noexcept nogil:
    cdef double best = HUGE_VAL, second = HUGE_VAL
    cdef Py_ssize_t j
    table.all_sq_distances[is_float32](x, 1, n_features, centers, n_clusters, sq_distances)
    label[0] = 0
    for j in range(n_clusters):
        if sq_distances[j] < best:
            second = best
            best = sq_distances[j]
            label[0] = <int32_t>j
        elif sq_distances[j] < second:
            second = sq_distances[j]
    gap[0] = sqrt(second) * (1.0 - rounding) - sqrt(best) * (1.0 + rounding)

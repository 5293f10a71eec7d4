# cython: language_level=3, freethreading_compatible=True, boundscheck=False, wraparound=False, cdivision=True
# cython: initializedcheck=False
"""Quantized samples whose rows lie elsewhere: they tell most labels, and which rows must be fetched for the others.

The proof of a label is that of quantized.pyx (kernels/quantized.h). There the rows of undecided samples are at hand;
here the caller fetches them, and decides (gaps.pyx).
"""
from cython.parallel cimport prange, threadid
from libc.stdint cimport int32_t
from libc.stdlib cimport calloc, free
from libc.string cimport memmove

cimport kernels as c
from shared cimport (
    aligned, arena, arena_bytes, arena_in, check_count, check_shape, interrupted, kernels_in_use, raise_interrupt,
    short_unit, signal_watch, start_watch, take,
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
    cdef char *scratch           # [n_threads], scratch_size apart: labels of a unit, then the kernel's
    cdef size_t tile_bytes, scratch_size, found_size, fill_size
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
        self.found_size = aligned(self.block * sizeof(int32_t))
        self.scratch_size = self.found_size + aligned(
            self.table.quantized_scratch_bytes(self.n_clusters, self.n_features))
        self.centers = <char *>take(&parts, self.table.quantized_centers_bytes(self.n_clusters, self.n_features,
                                                                              self.bits))
        self.scratch = <char *>take(&parts, self.n_threads * self.scratch_size)
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

    def screen(self, Py_ssize_t first, const int32_t[::1] before, float[::1] until, const double[::1] ways,
               Py_ssize_t[::1] places, int32_t[::1] labels):
        """List the samples whose rows are needed: those that codes leave undecided, and those whose label has changed.

        first : number of the first sample of a run.
        before : (n,) int32, the labels so far, all >= 0.
        until, ways : INOUT (n,) float32, and (n_clusters,) float64. A sample with a larger `until` than the way of its
        center keeps its label unseen: see kernels/screen.h.
        places, labels : OUT (n,) first entries: where in the run the samples are, ascending, and their labels, below 0
        where rows must decide.
        Returns how many samples are listed.
        """
        cdef Py_ssize_t count = before.shape[0], unit, n_units, u, n_listed = 0
        cdef size_t found
        cdef size_t *listed
        self._check_place(first, count)
        if self.n_clusters == 0:
            raise ValueError("begin a step before samples are screened.")
        if not (until.shape[0] == places.shape[0] == labels.shape[0] == count):
            raise ValueError(f"until, places and labels must have {count} entries; got {until.shape[0]}, "
                             f"{places.shape[0]} and {labels.shape[0]}.")
        check_shape("ways", ways.shape[0], 1, self.n_clusters, 1)
        unit = short_unit(self.block, self.block, <double>self.n_clusters * self.n_features, self.table.tile_samples)
        n_units = (count + unit - 1) // unit
        listed = <size_t *>calloc(n_units, sizeof(size_t))
        if listed == NULL:
            raise MemoryError("no memory for the numbers of undecided samples; lower memory_limit.")
        start_watch(&self.watch)
        with nogil:
            for u in prange(n_units, schedule="dynamic", chunksize=1, num_threads=self.n_threads):
                listed[u] = self._screen_unit(first, u * unit, min(unit, count - u * unit), &before[0], &until[0],
                                              &ways[0], &places[0], &labels[0], threadid())
            for u in range(n_units):
                found = listed[u]
                if n_listed < u * unit:
                    memmove(&places[n_listed], &places[u * unit], found * sizeof(Py_ssize_t))
                    memmove(&labels[n_listed], &labels[u * unit], found * sizeof(int32_t))
                n_listed = n_listed + found
        free(listed)
        raise_interrupt(&self.watch)
        return n_listed

    cdef size_t _screen_unit(self, Py_ssize_t first, Py_ssize_t start, Py_ssize_t count, const int32_t *before,
                             float *until, const double *ways, Py_ssize_t *places, int32_t *labels,
                             int t) noexcept nogil:
        """List the samples of a unit in its own part of the lists, from `start` on; return how many."""
        cdef int32_t *found = <int32_t *>(self.scratch + t * self.scratch_size)
        cdef size_t n_listed = 0
        cdef Py_ssize_t i
        cdef int32_t label
        if interrupted(&self.watch):
            return 0
        self.table.screen_quantized(
            count, self.tiles + (first + start) // self.table.tile_samples * self.tile_bytes, self.centers,
            self.scratch + t * self.scratch_size + self.found_size, before + start, ways, until + start, found)
        for i in range(start, start + count):
            label = found[i - start]
            if label == before[i]:
                continue
            places[start + n_listed] = i
            labels[start + n_listed] = label
            n_listed += 1
        return n_listed


def find_places(const Py_ssize_t[::1] among, const Py_ssize_t[::1] places, Py_ssize_t[::1] found):
    """Find numbers in a list.   among, places : ascending, each number once.
    found : OUT (n_places,), where in `among` each of the places is; -1 if it is not there.
    Returns how many are not there.
    """
    cdef Py_ssize_t i, at = 0, n_among = among.shape[0], n_missing = 0
    check_shape("found", found.shape[0], 1, places.shape[0], 1)
    with nogil:
        for i in range(places.shape[0]):
            while at < n_among and among[at] < places[i]:
                at += 1
            found[i] = at if at < n_among and among[at] == places[i] else -1
            n_missing += found[i] < 0
    return n_missing

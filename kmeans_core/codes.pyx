# cython: language_level=3, freethreading_compatible=True, boundscheck=False, wraparound=False, cdivision=True
# cython: initializedcheck=False
"""Codes: the samples along their leading principal directions, in one byte per direction, with the lengths of what
rounding took.

The prefix filter reads codes in place of samples, in seeding and in steps (kernels/prefix.h).
"""
from cython.parallel cimport prange, threadid
from libc.stdint cimport uintptr_t
from libc.stdlib cimport free

cimport kernels as c
from fastkmeans._core.stored cimport StoredRows, reads_float32
from shared cimport (
    PADDED_ROWS, aligned, arena, arena_bytes, arena_in, check_count, interrupted, kernels_in_use, raise_interrupt,
    short_unit,
    signal_watch, start_watch, take, unit_samples,
)

cdef extern from "kernels/kernels.h" nogil:
    enum:
        SEED_CANDIDATES
    size_t block_samples(size_t n_features)

cdef extern from "memory.h" nogil:
    void *take_zeros(size_t size)

cdef const c.kernels **in_use = kernels_in_use()


cdef class CodedRows:
    """The samples in codes.

    Parameters
    ----------
    X : (n_samples, n_features) float32 or float64, C order, finite; or StoredRows.
    directions : (n_directions, n_features) float32, orthonormal, nearly; None for the features as they are.
    skew : bound of how far the directions are from orthonormal, see skew_of; 0 without directions.
    offset : (n_features,) float64, any point amid the data.   scale : power of two that brings x - offset below 2.
    n_threads : int >= 1.

    Keeps per sample 20 bytes, and one per direction (four if no instruction multiplies bytes).
    """

    cdef const float[:, ::1] x32
    cdef const double[:, ::1] x64
    cdef StoredRows stored
    cdef const char *x           # whichever of these there is; NULL for stored rows
    cdef size_t row_bytes
    cdef Py_ssize_t block
    cdef bint is_float32
    cdef Py_ssize_t n_samples, n_features
    cdef int n_threads
    cdef void *memory
    cdef char *prefix
    cdef char *scratch           # [n_threads], scratch_size apart: the kernel's, then a block of stored rows
    cdef char *codes
    cdef size_t scratch_size, wide_at, tile_bytes
    cdef signal_watch watch
    cdef readonly object directions, offset
    cdef readonly double scale, skew
    cdef readonly Py_ssize_t n_directions

    def __cinit__(self, X, directions, double skew, offset, double scale, int n_threads):
        cdef const c.kernels *table = in_use[0]
        cdef Py_ssize_t unit, u, n_units, n_features = X.shape[1]
        cdef const float[:, ::1] turned = directions
        cdef const double[::1] origin = offset
        check_count("n_threads", n_threads)
        if origin.shape[0] != n_features or turned is not None and turned.shape[1] != n_features:
            raise ValueError(f"offset and directions must be of {n_features} features, as X is.")
        self.is_float32 = reads_float32(X)
        self.block = block_samples(n_features)
        if isinstance(X, StoredRows):
            self.stored = X
        elif self.is_float32:
            self.x32 = X
        else:
            self.x64 = X
        self.n_samples, self.n_features, self.n_threads = len(X), n_features, n_threads
        self.directions, self.offset, self.scale = directions, offset, scale
        self.n_directions = n_features if directions is None else len(directions)
        self.skew = skew

        if self.stored is None:
            self.x = <const char *>&self.x32[0, 0] if self.is_float32 else <const char *>&self.x64[0, 0]
        self.row_bytes = self.n_features * (4 if self.is_float32 else 8)
        self.memory = take_zeros(self._divide(NULL))
        if self.memory == NULL:
            raise MemoryError("no memory for the codes of the samples; use algorithm='lloyd'.")
        self._divide(self.memory)
        unit = unit_samples(self.n_samples, block_samples(n_features), n_threads)
        unit = short_unit(unit, block_samples(n_features), <double>n_features * self.n_directions)
        n_units = (self.n_samples + unit - 1) // unit
        start_watch(&self.watch)
        with nogil:
            table.prefix_start(NULL if turned is None else &turned[0, 0], self.n_directions, self.skew, &origin[0],
                               scale, SEED_CANDIDATES, n_features, self.is_float32, self.prefix)
            for u in prange(n_units, schedule="dynamic", chunksize=1, num_threads=n_threads):
                self._encode(table, u * unit, min(unit, self.n_samples - u * unit), threadid())
        raise_interrupt(&self.watch)

    def __dealloc__(self):
        free(self.memory)

    cdef size_t _divide(self, void *memory) noexcept nogil:
        """Divide memory, or count its bytes: see arena.h."""
        cdef const c.kernels *table = in_use[0]
        cdef arena parts = arena_in(memory)
        cdef bint is_turned = self.directions is not None
        cdef Py_ssize_t n_tiles = (self.n_samples + table.tile_samples - 1) // table.tile_samples
        self.tile_bytes = table.prefix_tile_bytes(self.n_directions)
        self.wide_at = aligned(table.prefix_scratch_bytes(1, self.n_features, self.n_directions))
        self.scratch_size = self.wide_at
        if self.stored is not None:
            self.scratch_size += aligned((self.block + PADDED_ROWS) * self.row_bytes)
        self.prefix = <char *>take(&parts, table.prefix_bytes(SEED_CANDIDATES, self.n_features, self.n_directions,
                                                              is_turned))
        self.scratch = <char *>take(&parts, self.n_threads * self.scratch_size)
        self.codes = <char *>take(&parts, n_tiles * self.tile_bytes)
        return arena_bytes(&parts)

    @property
    def addresses(self):
        """(prefix for SEED_CANDIDATES centers, codes, bytes of a tile): two addresses, for kernels."""
        return <uintptr_t>self.prefix, <uintptr_t>self.codes, self.tile_bytes

    cdef void _encode(self, const c.kernels *table, Py_ssize_t first, Py_ssize_t count, int t) noexcept nogil:
        cdef char *scratch = self.scratch + t * self.scratch_size
        cdef char *codes = self.codes + first // table.tile_samples * self.tile_bytes
        cdef Py_ssize_t end = first + count
        if interrupted(&self.watch):
            return
        if self.stored is None:
            table.prefix_encode[self.is_float32](self.x + first * self.row_bytes, count, self.n_samples - first,
                                                 self.prefix, scratch, codes)
            return
        while first < end:
            count = min(self.block, end - first)
            table.widen[self.is_float32](&self.stored.rows, first, count, scratch + self.wide_at)
            table.prefix_encode[self.is_float32](scratch + self.wide_at, count, self.block + PADDED_ROWS, self.prefix,
                                                 scratch, self.codes + first // table.tile_samples * self.tile_bytes)
            first = first + count

# cython: language_level=3, freethreading_compatible=True, boundscheck=False, wraparound=False, cdivision=True
# cython: initializedcheck=False
"""Rows of a file: few of many, which a pass over the file would take far longer for, or many at once by all threads."""
from cython.parallel cimport prange
from libc.errno cimport EINTR, errno
from libc.stdint cimport int64_t
from libc.stdlib cimport free

from fastkmeans._core.stored import KINDS as _KINDS
from shared cimport (
    PADDED_ROWS, aligned, arena, arena_bytes, arena_in, check_count, interrupted, kernels_in_use, raise_interrupt,
    read_if_cached, signal_watch, start_watch, take,
)

import numpy as np

cdef extern from "kernels/kernels.h" nogil:
    size_t block_samples(size_t n_features)

cdef extern from "memory.h" nogil:
    void *take_memory(size_t size)

cdef extern from "unistd.h" nogil:
    ssize_t pread(int fd, void *buffer, size_t count, int64_t offset)

# This module asks for no kernel, but its regions are run by the same threads.
kernels_in_use()

cdef enum:
    ROWS_TOGETHER = 64  # that a thread reads between two looks for signals
    PIECE_BYTES = 1 << 18  # that a thread reads at a time; a second-level cache holds some of them


def read_rows(int fd, int64_t offset, const int64_t[::1] rows, unsigned char[:, ::1] out, int n_threads,
              bint waits=True):
    """Read rows of equal length, each by its number.

    fd : of a file, open for reading.   offset : where row 0 begins, in bytes.
    rows : (n,) int64, not negative.   out : OUT (n, bytes of a row).   n_threads : int >= 1.
    waits : whether a device may be waited for; if not, rows must be in the system's memory.
    Returns -1, or the place in `rows` of one that could not be read: the file is too short, or reading fails.
    """
    cdef Py_ssize_t n_rows = rows.shape[0], b, n_blocks = (n_rows + ROWS_TOGETHER - 1) // ROWS_TOGETHER
    cdef int64_t failed = -1, place
    cdef int64_t *any_failed = &failed  # an assignment to the variable would be one of each thread's own
    cdef signal_watch watch
    check_count("n_threads", n_threads)
    if out.shape[0] != n_rows:
        raise ValueError(f"out must have {n_rows} rows; got {out.shape[0]}.")
    if n_rows == 0:
        return -1
    start_watch(&watch)
    with nogil:
        for b in prange(n_blocks, schedule="dynamic", chunksize=1, num_threads=n_threads):
            place = read_block(fd, offset, rows, out, b * ROWS_TOGETHER, waits, &watch) if failed < 0 else -1
            if place >= 0:
                any_failed[0] = place
    raise_interrupt(&watch)
    return failed


cdef int64_t read_block(int fd, int64_t offset, const int64_t[::1] rows, unsigned char[:, ::1] out,
                        Py_ssize_t first, bint waits, signal_watch *watch) noexcept nogil:
    """Read up to ROWS_TOGETHER rows, of which those that follow each other are read at once; return as read_rows."""
    cdef Py_ssize_t row_bytes = out.shape[1], i = first, end = min(first + ROWS_TOGETHER, rows.shape[0]), run
    if interrupted(watch):
        return -1
    while i < end:
        run = 1
        while i + run < end and rows[i + run] == rows[i] + run:
            run = run + 1
        if waits and not read_whole(fd, &out[i, 0], run * row_bytes, offset + rows[i] * row_bytes):
            return i
        if not waits and not read_if_cached(fd, <char *>&out[i, 0], run * row_bytes, offset + rows[i] * row_bytes):
            return i
        i = i + run
    return -1


cdef bint read_whole(int fd, unsigned char *out, Py_ssize_t n_bytes, int64_t at) noexcept nogil:
    cdef ssize_t got
    while n_bytes > 0:
        got = pread(fd, out, n_bytes, at)
        if got < 0 and errno == EINTR:
            continue
        if got <= 0:
            return False
        out += got
        at += got
        n_bytes -= got
    return True


def read_cached(int fd, int64_t offset, unsigned char[::1] out, int n_threads):
    """Read bytes that follow each other, if the system has them in memory: no thread waits for a device.

    fd : of a file, open for reading.   offset : of the first byte.   out : OUT.   n_threads : int >= 1.
    Returns False if any of them is not in memory or cannot be read; then `out` may hold some of them.
    """
    cdef Py_ssize_t n_bytes = out.shape[0], p, n_pieces = (n_bytes + PIECE_BYTES - 1) // PIECE_BYTES
    cdef bint is_missing = False
    cdef bint *any_missing = &is_missing  # see read_rows
    cdef signal_watch watch
    check_count("n_threads", n_threads)
    if n_bytes == 0:
        return True
    start_watch(&watch)
    with nogil:
        for p in prange(n_pieces, schedule="static", num_threads=n_threads):
            if not (any_missing[0] or interrupted(&watch)) and not read_if_cached(
                    fd, <char *>&out[p * PIECE_BYTES], min(<Py_ssize_t>PIECE_BYTES, n_bytes - p * PIECE_BYTES),
                    offset + p * PIECE_BYTES):
                any_missing[0] = True
    raise_interrupt(&watch)
    return not is_missing


cdef class CachedRows:
    """Rows of files, which steps read block by block, each thread its own, as long as the system has them in memory.

    Parameters
    ----------
    files : (n_files,) int32, open for reading.   offsets : (n_files,) int64, place of each file's first row, in bytes.
    counts : (n_files,) int64, rows of each file, which lie one after the other; at least one in all.
    n_features : int >= 1.   raw : dtype of the values in the files, one of stored.KINDS, in native byte order.
    dtype : float32 or float64, what steps compute with.   n_threads : of the steps.

    Attributes
    ----------
    shape : (n, n_features), of the rows that `turn_to` names last; all rows before that.
    is_missing : whether a step since the last `turn_to` came upon rows that the system does not have in memory. It left
        them as they were.
    """

    def __cinit__(self, const int[::1] files, const int64_t[::1] offsets, const int64_t[::1] counts,
                  Py_ssize_t n_features, raw, dtype, int n_threads):
        check_count("n_features", n_features)
        check_count("n_threads", n_threads)
        if not len(files) == len(offsets) == len(counts) or np.min(counts, initial=0) < 0 or np.sum(counts) < 1:
            raise ValueError("files, offsets and counts must have one entry per file, and some rows; got "
                             f"{len(files)}, {len(offsets)} and {len(counts)} entries, {np.sum(counts)} rows.")
        self.files, self.offsets = files, offsets
        self.firsts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        self.dtype, self.n_threads = np.dtype(dtype), n_threads
        self.shape = (self.firsts[len(counts)], n_features)
        self.of.rows.files, self.of.rows.offsets = &self.files[0], &self.offsets[0]
        self.of.rows.firsts = &self.firsts[0]
        self.of.rows.n_files, self.of.rows.row_bytes = len(files), n_features * raw.itemsize
        self.of.stored.kind = _KINDS[raw.name]
        self.of.stored.row_stride, self.of.stored.feature_stride = n_features * raw.itemsize, raw.itemsize
        self.of.stored.n_features = n_features
        self.of.is_plain = raw == self.dtype
        self.of.wide_rows = block_samples(n_features) + PADDED_ROWS
        self.of.wide_size = aligned(self.of.wide_rows * n_features * self.dtype.itemsize)
        self.of.raw_size = 0 if self.of.is_plain else aligned(self.of.wide_rows * n_features * raw.itemsize)
        self.memory = take_memory(self._divide(NULL))
        if self.memory == NULL:
            raise MemoryError("no memory for the blocks of each thread; use fewer threads (n_threads).")
        self._divide(self.memory)

    def __dealloc__(self):
        free(self.memory)

    cdef size_t _divide(self, void *memory) noexcept nogil:
        """Divide memory, or count its bytes: see arena.h."""
        cdef arena parts = arena_in(memory)
        self.of.wide = <char *>take(&parts, self.n_threads * self.of.wide_size)
        self.of.raw = <char *>take(&parts, self.n_threads * self.of.raw_size)
        return arena_bytes(&parts)

    @property
    def is_missing(self):
        return bool(self.of.is_missing)

    def turn_to(self, Py_ssize_t first, Py_ssize_t count):
        """Let the next step read `count` rows, from the number `first` on."""
        n_rows = self.firsts[self.of.rows.n_files]
        if not 0 <= first < first + count <= n_rows:
            raise ValueError(f"rows must be at least one, among {n_rows}; got {count} from {first} on.")
        self.of.first, self.of.is_missing = first, False
        self.shape = (count, self.shape[1])

# cython: language_level=3, freethreading_compatible=True, boundscheck=False, wraparound=False, cdivision=True
# cython: initializedcheck=False
"""Rows of a file, read one by one: few of many, which a pass over the file would take far longer for."""
from cython.parallel cimport prange
from libc.errno cimport EINTR, errno
from libc.stdint cimport int64_t

from shared cimport check_count, interrupted, kernels_in_use, raise_interrupt, signal_watch, start_watch

cdef extern from "unistd.h" nogil:
    ssize_t pread(int fd, void *buffer, size_t count, int64_t offset)

# This module asks for no kernel, but its regions are run by the same threads.
kernels_in_use()

cdef enum:
    ROWS_TOGETHER = 64  # that a thread reads between two looks for signals


def read_rows(int fd, int64_t offset, const int64_t[::1] rows, unsigned char[:, ::1] out, int n_threads):
    """Read rows of equal length, each by its number.

    fd : of a file, open for reading.   offset : where row 0 begins, in bytes.
    rows : (n,) int64, not negative.   out : OUT (n, bytes of a row).   n_threads : int >= 1.
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
            place = read_block(fd, offset, rows, out, b * ROWS_TOGETHER, &watch)
            if place >= 0:
                any_failed[0] = place
    raise_interrupt(&watch)
    return failed


cdef int64_t read_block(int fd, int64_t offset, const int64_t[::1] rows, unsigned char[:, ::1] out,
                        Py_ssize_t first, signal_watch *watch) noexcept nogil:
    """Read up to ROWS_TOGETHER rows, of which those that follow each other are read at once; return as read_rows."""
    cdef Py_ssize_t row_bytes = out.shape[1], i = first, end = min(first + ROWS_TOGETHER, rows.shape[0]), run
    if interrupted(watch):
        return -1
    while i < end:
        run = 1
        while i + run < end and rows[i + run] == rows[i] + run:
            run = run + 1
        if not read_whole(fd, &out[i, 0], run * row_bytes, offset + rows[i] * row_bytes):
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

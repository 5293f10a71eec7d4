# cython: language_level=3, freethreading_compatible=True, boundscheck=False, wraparound=False, cdivision=True
# cython: initializedcheck=False
"""Rows as the caller stores them: of 8 or 16 bits a value, or with any strides. They are read in place, and laid out as
float32 or float64 a block at a time.
"""
from cython.parallel cimport prange
from libc.stdint cimport uintptr_t

cimport kernels as c
from shared cimport check_count, interrupted, kernels_in_use, raise_interrupt, signal_watch, start_watch

import numpy as np

cdef extern from "memory.h" nogil:
    void give_memory_back()

cdef const c.kernels **in_use = kernels_in_use()

ctypedef fused real:
    float
    double

KINDS = {
    "int8": c.STORED_INT8, "uint8": c.STORED_UINT8, "int16": c.STORED_INT16, "float16": c.STORED_FLOAT16,
    "bfloat16": c.STORED_BFLOAT16, "float32": c.STORED_FLOAT32, "float64": c.STORED_FLOAT64,
}


def release_freed():
    """Give the system what the heap keeps of freed arrays."""
    with nogil:
        give_memory_back()


def read_as(X):
    """The dtype in which kernels read samples.   X : array or StoredRows."""
    return X.read_as if isinstance(X, StoredRows) else X.dtype


cdef enum:
    VALUES_AT_ONCE = 16384  # that a thread lays out at a time


cdef class StoredRows:
    """Rows as the caller stores them.

    Parameters
    ----------
    values : (n, n_features) array of a type that KINDS names, in native byte order, aligned, of any strides.
    dtype : float32 or float64: what samples of this type count as, for centers and distances.
    numbers : (n_samples,) int64, which rows of the array these are; None for all.
    origin : (n_features,) float64, subtracted before values are rounded to float32, or None.

    Attributes
    ----------
    shape : (n_samples, n_features).
    read_as : the dtype in which kernels read them: float32 if that is exact, or if there is an origin.
    """

    def __cinit__(self, values, dtype, numbers=None, origin=None):
        if values.ndim != 2 or values.dtype.name not in KINDS or not values.dtype.isnative or not values.flags.aligned:
            raise ValueError(f"values must be 2-D, aligned, in native byte order and of one of the types "
                             f"{', '.join(KINDS)}; got {values.ndim}-D {values.dtype}.")
        self.values, self.dtype = values, np.dtype(dtype)
        self.numbers, self.origin = numbers, origin
        self.number_view, self.origin_view = numbers, origin
        n_samples = len(values) if numbers is None else len(numbers)
        self.shape = (n_samples, values.shape[1])
        if n_samples < 1 or self.shape[1] < 1:
            raise ValueError(f"rows must have shape (1 or more, 1 or more); got {self.shape}.")
        if numbers is not None and not (0 <= numbers.min() and numbers.max() < len(values)):
            raise ValueError(f"numbers must be from 0 to {len(values) - 1}.")
        if origin is not None and len(origin) != self.shape[1]:
            raise ValueError(f"origin must have {self.shape[1]} features; got {len(origin)}.")
        self.is_float32 = origin is not None or values.dtype.itemsize < 8
        self.read_as = np.dtype(np.float32 if self.is_float32 else np.float64)
        self.rows.kind = KINDS[values.dtype.name]
        self.rows.values = <const char *><uintptr_t>values.__array_interface__["data"][0]
        self.rows.row_stride, self.rows.feature_stride = values.strides
        self.rows.n_samples, self.rows.n_features = self.shape
        self.rows.numbers = NULL if numbers is None else &self.number_view[0]
        self.rows.origin = NULL if origin is None else &self.origin_view[0]

    def __len__(self):
        return self.shape[0]

    @property
    def size(self):
        """Values of all rows."""
        return self.shape[0] * self.shape[1]

    @property
    def nbytes(self):
        """Bytes of these values as they are stored."""
        return self.size * self.values.dtype.itemsize

    def some(self, rows, origin=None):
        """Return some rows, by number, as StoredRows of the same array. With an origin they count as float32.

        origin : by default that of these rows, which must have none if one is given.
        """
        if origin is not None and self.origin is not None:
            raise ValueError("origin must be None for rows that have one.")
        origin = self.origin if origin is None else origin
        numbers = np.ascontiguousarray(rows if self.numbers is None else self.numbers[rows], dtype=np.int64)
        return StoredRows(self.values, self.dtype if origin is None else np.float32, numbers, origin)

    def __getitem__(self, rows):
        """Return some rows, by slice or by an array of numbers, as an array of `dtype`."""
        if isinstance(rows, slice) and self.numbers is None and self.origin is None:
            values = self.values[rows]
            return StoredRows(values, self.dtype).dense() if len(values) else np.empty(values.shape, dtype=self.dtype)
        if isinstance(rows, slice):
            rows = np.arange(*rows.indices(self.shape[0]))
        rows = np.asarray(rows)
        numbers = np.ascontiguousarray(rows if self.numbers is None else self.numbers[rows], dtype=np.int64)
        return StoredRows(self.values, self.dtype, numbers, self.origin).dense()

    def dense(self, n_threads=1):
        """Return all rows as an array of `dtype`, (n_samples, n_features)."""
        rows = np.empty(self.shape, dtype=self.dtype)
        self.write(0, rows, n_threads)
        return rows

    def write(self, Py_ssize_t first, real[:, ::1] rows, int n_threads):
        """Lay rows out from the row `first` on.   rows : (count, n_features) float32 or float64, written."""
        cdef const c.kernels *table = in_use[0]
        cdef Py_ssize_t b, count = rows.shape[0], n_features = self.shape[1]
        cdef Py_ssize_t block = max(<Py_ssize_t>64, <Py_ssize_t>VALUES_AT_ONCE // n_features // 64 * 64)
        cdef Py_ssize_t n_blocks = (count + block - 1) // block
        cdef signal_watch watch
        check_count("n_threads", n_threads)
        if rows.shape[1] != n_features or not 0 <= first <= first + count <= self.shape[0]:
            raise ValueError(f"rows must have {n_features} features and lie within {self.shape[0]} rows; got shape "
                             f"({count}, {rows.shape[1]}) from row {first} on.")
        start_watch(&watch)
        with nogil:
            for b in prange(n_blocks, schedule="static", num_threads=n_threads):
                if not interrupted(&watch):
                    table.widen[real is float](&self.rows, first + b * block, min(block, count - b * block),
                                               &rows[b * block, 0])
        raise_interrupt(&watch)

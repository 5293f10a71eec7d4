# What other compiled modules see of stored.pyx. Cython looks for it where the module will be.
from libc.stdint cimport int64_t

cimport kernels as c


cdef class StoredRows:
    cdef readonly object values, numbers, origin, dtype, read_as
    cdef readonly tuple shape
    cdef readonly bint is_float32   # what kernels read
    cdef const int64_t[::1] number_view
    cdef const double[::1] origin_view
    cdef c.stored_rows rows


cdef inline bint reads_float32(X):
    """Do kernels read these samples as float32?   X : array, StoredRows or CsrRows."""
    return (<StoredRows>X).is_float32 if isinstance(X, StoredRows) else X.dtype.itemsize == 4

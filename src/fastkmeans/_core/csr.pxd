# What other compiled modules see of csr.pyx. Cython looks for it where the module will be.
from libc.stdint cimport int32_t, int64_t

cimport kernels as c


cdef class CsrRows:
    cdef readonly object values, features, starts, dtype
    cdef readonly tuple shape
    cdef const float[::1] values32
    cdef const double[::1] values64
    cdef const int32_t[::1] feature_view
    cdef const int64_t[::1] start_view
    cdef float[::1] norms        # of norms_sparse
    cdef Py_ssize_t n_samples, n_features
    cdef bint is_float32
    cdef c.sparse_rows rows

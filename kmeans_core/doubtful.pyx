# cython: language_level=3, freethreading_compatible=True, boundscheck=False, wraparound=False, cdivision=True
# cython: initializedcheck=False
"""Clusters whose sums may have lost digits to the grids: which they are, and sums on grids of their own."""
from cython.parallel cimport prange, threadid
from libc.math cimport fabs, frexp, ldexp
from libc.stdint cimport int32_t, uint8_t, uintptr_t

cimport kernels as c
from fastkmeans._core.sums cimport choose_grid, totals_of
from shared cimport interrupted, kernels_in_use, raise_interrupt, signal_watch, sort_by_label, start_watch

cdef const c.kernels **in_use = kernels_in_use()


cdef class ByLabel:
    """The samples of an array by cluster.

    labels : (n_samples,), below n_clusters, or n_clusters for samples that are passed over.
    """

    cdef int32_t[::1] rows, starts  # samples of cluster j: rows[starts[j]:starts[j + 1]], in order

    def __cinit__(self, const int32_t[::1] labels, Py_ssize_t n_clusters):
        import numpy as np

        self.rows = np.empty(labels.shape[0], dtype=np.int32)
        self.starts = np.empty(n_clusters + 2, dtype=np.int32)
        with nogil:
            sort_by_label(&labels[0], labels.shape[0], n_clusters + 1, &self.rows[0], &self.starts[0])


cdef class Trusted:
    """Clears the doubt about clusters whose values are so large that the grids have lost none of their digits.

    sums, grid : of a ClusterSums.
    losses : (n_features + 1,), the least mean of values whose sums have enough digits; 0 for any.
    n_samples : of all arrays; only needed with weights.
    doubtful : (n_clusters,) of 0 and 1, INOUT.
    Values are added up on the coarse grid, where nothing rounds: the order of the rows does not matter.
    """

    cdef const double[:, ::1] grid
    cdef Py_ssize_t[::1] lossy, n_needed
    cdef double[:, ::1] needed
    cdef uint8_t[::1] doubtful
    cdef readonly Py_ssize_t n_doubtful

    def __cinit__(self, const double[:, :, ::1] sums, const double[:, ::1] grid, const double[::1] losses,
                  bint weighted, Py_ssize_t n_samples, uint8_t[::1] doubtful):
        import numpy as np

        cdef Py_ssize_t f, j, p, n_clusters = sums.shape[0], n_features = sums.shape[2] - 1
        cdef double n_rows
        self.grid, self.doubtful = grid, doubtful
        self.lossy = np.flatnonzero(losses)
        self.needed = np.zeros((n_clusters, len(self.lossy)))
        self.n_needed = np.zeros(n_clusters, dtype=np.intp)
        for j in range(n_clusters):
            if not doubtful[j]:
                continue
            self.n_doubtful += 1
            n_rows = <double>n_samples if weighted else sums[j, 0, n_features]
            for p in range(self.lossy.shape[0]):
                f = self.lossy[p]
                self.needed[j, p] = losses[f] * n_rows
                if fabs(sums[j, 0, f] + sums[j, 1, f]) >= self.needed[j, p]:
                    self.needed[j, p] = 0.0
                self.n_needed[j] += self.needed[j, p] > 0.0

    def read(self, X, const double[::1] sample_weight, const int32_t[::1] labels):
        """Read an array of samples; nothing is left to do once n_doubtful is 0."""
        cdef Py_ssize_t i, p, f, j, n_features = X.shape[1]
        cdef bint is_float32 = X.dtype.itemsize == 4
        cdef const float[:, ::1] x32
        cdef const double[:, ::1] x64
        cdef double value
        if is_float32:
            x32 = X
        else:
            x64 = X
        with nogil:
            for i in range(labels.shape[0]):
                j = labels[i]
                if self.n_needed[j] == 0:
                    continue
                for p in range(self.lossy.shape[0]):
                    f = self.lossy[p]
                    if f == n_features or not self.needed[j, p] > 0.0:  # the sum of weights itself was not enough
                        continue
                    value = fabs(<double>x32[i, f] if is_float32 else x64[i, f])
                    if sample_weight is not None:
                        value = value * sample_weight[i]
                    self.needed[j, p] -= (value + self.grid[0, f]) - self.grid[0, f]
                    self.n_needed[j] -= not self.needed[j, p] > 0.0
                if self.n_needed[j] == 0:
                    self.doubtful[j] = 0
                    self.n_doubtful -= 1
                    if self.n_doubtful == 0:
                        break


cdef class SumsAnew:
    """Sums of some clusters, each on grids of its own, chosen from its own samples.

    The samples may lie in several arrays. All are read three times: by `weigh`, then by `measure`, then by `add`.

    wanted : (n_clusters,) of 0 and 1.
    units : (n_clusters,), powers of two that bring the largest weight of a cluster near 1; 1 if it is not wanted.
    sums : (n_clusters, 2, n_features + 1), as those of a ClusterSums, with weights in units; 0 if not wanted.
    heaviest, counts : (n_clusters,), largest weight and number of the samples that `weigh` has read.
    largest : (n_clusters, n_features + 1), weight * |x| and weight, in units, of those that `measure` has read.
    Samples that lie in several processes are read by an object in each. Between two methods the arrays are merged, and
    written into those of each object: units and counts before `measure`, largest before `add`.
    """

    cdef readonly object sums, units, heaviest, counts, largest
    cdef const uint8_t[::1] wanted
    cdef int n_threads
    cdef double[:, :, ::1] _sums
    cdef double[::1] _units, _heaviest
    cdef double[:, ::1] _largest
    cdef Py_ssize_t[::1] _counts

    def __cinit__(self, const uint8_t[::1] wanted, Py_ssize_t n_features, int n_threads):
        import numpy as np

        cdef Py_ssize_t n_clusters = wanted.shape[0]
        self.wanted, self.n_threads = wanted, n_threads
        self.sums = np.zeros((n_clusters, 2, n_features + 1))
        self.units = np.ones(n_clusters)
        self.heaviest = np.zeros(n_clusters)
        self.largest = np.zeros((n_clusters, n_features + 1))
        self.counts = np.zeros(n_clusters, dtype=np.intp)
        self._sums, self._units, self._heaviest = self.sums, self.units, self.heaviest
        self._largest, self._counts = self.largest, self.counts

    def weigh(self, const double[::1] sample_weight, ByLabel order):
        """Find the heaviest sample of each cluster, and by it the unit.   sample_weight : (n_samples,) or None."""
        cdef Py_ssize_t j, r
        cdef int exponent
        with nogil:
            for j in range(self.wanted.shape[0]):
                if not self.wanted[j]:
                    continue
                self._counts[j] += order.starts[j + 1] - order.starts[j]
                if sample_weight is None:
                    self._heaviest[j] = 1.0
                    continue
                for r in range(order.starts[j], order.starts[j + 1]):
                    self._heaviest[j] = max(self._heaviest[j], sample_weight[order.rows[r]])
                exponent = 1
                frexp(self._heaviest[j], &exponent)
                self._units[j] = ldexp(1.0, exponent - 1)

    def measure(self, X, const double[::1] sample_weight, ByLabel order):
        """Find the largest weight * |x| of each cluster and feature; return the weights in units, or None for ones."""
        import numpy as np

        cdef Py_ssize_t j, n_clusters = self.wanted.shape[0]
        cdef double[::1] scaled = None if sample_weight is None else np.empty(sample_weight.shape[0])
        cdef samples_read read = read_samples(X, scaled)
        cdef signal_watch watch
        start_watch(&watch)
        with nogil:
            for j in prange(n_clusters, schedule="dynamic", chunksize=1, num_threads=self.n_threads):
                if self.wanted[j] and not interrupted(&watch):
                    if read.scaled != NULL:
                        scale_weights(&sample_weight[0], &order.rows[order.starts[j]],
                                      order.starts[j + 1] - order.starts[j], self._units[j], read.scaled)
                    measure_cluster(&read, &order.rows[order.starts[j]], order.starts[j + 1] - order.starts[j],
                                    &self._largest[j, 0])
        raise_interrupt(&watch)
        return None if sample_weight is None else np.asarray(scaled)

    def add(self, X, double[::1] scaled, ByLabel order):
        """Add up the samples of each cluster.   scaled : what `measure` returned."""
        import numpy as np

        cdef const c.kernels *table = in_use[0]
        cdef Py_ssize_t j, n_clusters = self.wanted.shape[0], n_features = X.shape[1]
        cdef double[:, :, ::1] scratch = np.empty((self.n_threads, 2, n_features + 1))
        cdef samples_read read = read_samples(X, scaled)
        cdef signal_watch watch
        start_watch(&watch)
        with nogil:
            for j in prange(n_clusters, schedule="dynamic", chunksize=1, num_threads=self.n_threads):
                if self.wanted[j] and not interrupted(&watch):
                    add_cluster(table, &read, &order.rows[order.starts[j]], order.starts[j + 1] - order.starts[j],
                                &self._largest[j, 0], self._counts[j], &scratch[threadid(), 0, 0], &self._sums[j, 0, 0])
        raise_interrupt(&watch)


cdef struct samples_read:
    const char *x
    bint is_float32
    Py_ssize_t n_features
    double *scaled               # [n_samples], the weights in units of their clusters; NULL for ones


cdef samples_read read_samples(X, double[::1] scaled):
    cdef samples_read read
    read.is_float32 = X.dtype.itemsize == 4
    read.x = <const char *><uintptr_t>X.ctypes.data
    read.n_features = X.shape[1]
    read.scaled = NULL if scaled is None else &scaled[0]
    return read


cdef void scale_weights(const double *weights, const int32_t *rows, Py_ssize_t count, double unit,
                        double *scaled) noexcept nogil:
    cdef Py_ssize_t i
    cdef int exponent
    frexp(unit, &exponent)
    for i in range(count):
        scaled[rows[i]] = ldexp(weights[rows[i]], 1 - exponent)


cdef void measure_cluster(const samples_read *read, const int32_t *rows, Py_ssize_t count,
                          double *largest) noexcept nogil:
    """largest : [n_features + 1], INOUT"""
    cdef Py_ssize_t i, f, n_features = read.n_features
    cdef double weight = 1.0, value
    for i in range(count):
        if read.scaled != NULL:
            weight = read.scaled[rows[i]]
        largest[n_features] = max(largest[n_features], weight)
        for f in range(n_features):
            if read.is_float32:
                value = weight * fabs(<double>(<const float *>read.x)[rows[i] * n_features + f])
            else:
                value = weight * fabs((<const double *>read.x)[rows[i] * n_features + f])
            largest[f] = max(largest[f], value)


cdef void add_cluster(const c.kernels *table, const samples_read *read, const int32_t *rows, Py_ssize_t count,
                      const double *largest, Py_ssize_t count_of_all, double *scratch, double *sums) noexcept nogil:
    """largest : [n_features + 1]   count_of_all : samples of the cluster in all arrays   scratch : [2][n_features + 1]
    sums : [2][n_features + 1], INOUT"""
    cdef Py_ssize_t f, n_features = read.n_features
    cdef double *coarse = scratch
    cdef double *fine = scratch + n_features + 1
    cdef c.sum_grid grid
    for f in range(n_features + 1):
        choose_grid(largest[f], count_of_all, coarse + f, fine + f)
    grid.coarse, grid.fine = coarse, fine
    table.add_rows[read.is_float32](read.x, n_features, rows, count, read.scaled, grid, sums)


def move_anew(X, bint weighted, const double[:, :, ::1] sums, const double[::1] units, const uint8_t[::1] wanted,
              const double[:, ::1] centers, const double[::1] origin, double[:, ::1] moved, double[:, ::1] terms):
    """What ClusterSums.move writes, for some clusters, from a SumsAnew's sums and units; returns what it returns."""
    cdef const c.kernels *table = in_use[0]
    cdef Py_ssize_t j
    cdef bint is_float32 = X.dtype.itemsize == 4
    for j in range(wanted.shape[0]):
        if wanted[j]:
            table.move_center(&sums[j, 0, 0], X.shape[1], &centers[j, 0], &origin[0], &sums[j, 1, 0], 0.0, is_float32,
                              weighted, &moved[j, 0], &terms[j, 0])
            terms[j, 0] *= units[j]
            terms[j, 2] *= units[j]
    return totals_of(terms)

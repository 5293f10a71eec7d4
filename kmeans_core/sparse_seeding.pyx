# cython: language_level=3, freethreading_compatible=True, boundscheck=False, wraparound=False, cdivision=True
# cython: initializedcheck=False
"""Greedy k-means++ over sparse rows: what each candidate would take off the potential."""
from cython.parallel cimport prange, threadid
from libc.math cimport HUGE_VAL
from libc.stdint cimport int32_t, int64_t, uint8_t

cimport kernels as c
from fastkmeans._core.csr cimport CsrRows
from shared cimport check_count, interrupted, kernels_in_use, raise_interrupt, signal_watch, start_watch

import numpy as np

cdef const c.kernels **in_use = kernels_in_use()

cdef enum:
    ROWS = 256  # of a block, whose gains are added up in an order of their own
    TOGETHER = 8  # candidates of one reading


cdef class SparseSeeding:
    """Squared distances of sparse rows to the nearest seed so far.

    rows : CsrRows.   sample_weight : (n_samples,) float64 or None for ones.   n_threads : int >= 1.
    most_candidates : of one step, int >= 1.

    Attributes
    ----------
    min_sq_distances : (n_samples,) float64, infinite before the first seed.
    """

    cdef CsrRows rows
    cdef readonly object min_sq_distances
    cdef const double[::1] sample_weight
    cdef double[::1] sq_norms, min_view
    cdef uint8_t[:, ::1] closer  # [groups of candidates][n_samples]: bits of those that are closer than the seeds
    cdef int64_t[:, ::1] shared   # scratch of each thread
    cdef list groups             # candidates of the last step, as they are laid out
    cdef int n_threads
    cdef signal_watch watch

    def __cinit__(self, CsrRows rows, const double[::1] sample_weight, Py_ssize_t most_candidates, int n_threads):
        cdef const c.kernels *table = in_use[0]
        cdef Py_ssize_t b, n_samples = rows.n_samples
        check_count("n_threads", n_threads)
        check_count("most_candidates", most_candidates)
        if sample_weight is not None and sample_weight.shape[0] != n_samples:
            raise ValueError(f"sample_weight must have shape ({n_samples},); got ({sample_weight.shape[0]},).")
        self.rows, self.sample_weight, self.n_threads = rows, sample_weight, n_threads
        self.min_sq_distances = np.full(n_samples, np.inf)
        self.min_view, self.sq_norms = self.min_sq_distances, np.empty(n_samples)
        self.closer = np.empty(((most_candidates + TOGETHER - 1) // TOGETHER, n_samples), dtype=np.uint8)
        ends = np.append(rows.starts[::c.SPARSE_SEED_ROWS], rows.starts[-1])
        self.shared = np.empty((n_threads, np.diff(ends).max() + 1), dtype=np.int64)
        start_watch(&self.watch)
        with nogil:
            for b in prange(self._n_blocks(), schedule="static", num_threads=n_threads):
                if not interrupted(&self.watch):
                    table.sq_norms_sparse[rows.is_float32](&rows.rows, b * ROWS, self._count(b),
                                                           &self.sq_norms[b * ROWS])
        raise_interrupt(&self.watch)

    cdef Py_ssize_t _n_blocks(self) noexcept nogil:
        return (self.rows.n_samples + ROWS - 1) // ROWS

    cdef Py_ssize_t _count(self, Py_ssize_t b) noexcept nogil:
        return min(<Py_ssize_t>ROWS, self.rows.n_samples - b * ROWS)

    def gains(self, const int64_t[::1] candidates):
        """Return by how much each of some rows, as a seed, would lower the potential, (len(candidates),) float64.

        The potential is the sum of weight * squared distance to the nearest seed. Gains have the same bits for any
        n_threads.
        """
        cdef Py_ssize_t g
        if not 1 <= candidates.shape[0] <= TOGETHER * self.closer.shape[0]:
            raise ValueError(f"candidates must be 1 to {TOGETHER * self.closer.shape[0]} rows; "
                             f"got {candidates.shape[0]}.")
        self.groups = [_Candidates(self.rows, candidates[g:g + TOGETHER])
                       for g in range(0, candidates.shape[0], TOGETHER)]
        gains = [self._try_group(group, g) for g, group in enumerate(self.groups)]
        return np.concatenate(gains)[:candidates.shape[0]]

    def _try_group(self, _Candidates group, Py_ssize_t g):
        cdef const c.kernels *table = in_use[0]
        cdef Py_ssize_t b, n_blocks = self._n_blocks()
        cdef double[:, ::1] gains = np.empty((n_blocks, TOGETHER))
        cdef CsrRows rows = self.rows
        cdef const double *weights = NULL if self.sample_weight is None else &self.sample_weight[0]
        start_watch(&self.watch)
        with nogil:
            for b in prange(n_blocks, schedule="static", num_threads=self.n_threads):
                if not interrupted(&self.watch):
                    table.try_seeds_sparse[rows.is_float32](
                        &rows.rows, b * ROWS, self._count(b), &group.seeds, &self.sq_norms[b * ROWS],
                        &self.min_view[b * ROWS], NULL if weights == NULL else weights + b * ROWS,
                        &self.shared[threadid(), 0], &self.closer[g, b * ROWS], &gains[b, 0])
        raise_interrupt(&self.watch)
        return np.asarray(gains).sum(axis=0)

    def take(self, Py_ssize_t place):
        """Make the candidate at a place of the last step a seed: no distance is larger than that to it afterwards."""
        cdef const c.kernels *table = in_use[0]
        cdef Py_ssize_t b, g = place // TOGETHER
        cdef int which = place % TOGETHER
        cdef _Candidates group = self.groups[g]
        cdef CsrRows rows = self.rows
        start_watch(&self.watch)
        with nogil:
            for b in prange(self._n_blocks(), schedule="static", num_threads=self.n_threads):
                if not interrupted(&self.watch):
                    table.take_seed_sparse[rows.is_float32](
                        &rows.rows, b * ROWS, self._count(b), &group.seeds, which, &self.sq_norms[b * ROWS],
                        &self.closer[g, b * ROWS], &self.shared[threadid(), 0], &self.min_view[b * ROWS])
        raise_interrupt(&self.watch)


cdef class _Candidates:
    """Up to eight rows, laid out for a reading of all rows."""

    cdef c.sparse_seeds seeds
    cdef const uint8_t[::1] is_stored
    cdef const int32_t[::1] places
    cdef const double[:, ::1] columns
    cdef double[TOGETHER] sq_norms

    def __cinit__(self, CsrRows rows, const int64_t[::1] candidates):
        chosen = rows.take(candidates)
        is_stored = np.zeros(rows.n_features, dtype=np.uint8)
        is_stored[chosen.features] = 1
        places = np.cumsum(is_stored, dtype=np.int32)
        places -= 1
        columns = np.zeros((max(1, places[-1] + 1), TOGETHER))
        columns[places[chosen.features], np.repeat(np.arange(len(candidates)), np.diff(chosen.starts))] = chosen.values
        self.is_stored, self.places, self.columns = is_stored, places, columns
        self._measure(chosen, len(candidates))
        self.seeds.is_stored, self.seeds.places = &self.is_stored[0], &self.places[0]
        self.seeds.columns, self.seeds.sq_norms = &self.columns[0, 0], self.sq_norms

    cdef void _measure(self, CsrRows chosen, Py_ssize_t count) noexcept:
        """Take the lengths. What has no candidate is infinitely far."""
        cdef Py_ssize_t t
        for t in range(TOGETHER):
            self.sq_norms[t] = HUGE_VAL
        in_use[0].sq_norms_sparse[chosen.is_float32](&chosen.rows, 0, count, self.sq_norms)

# cython: language_level=3, freethreading_compatible=True, boundscheck=False, wraparound=False, cdivision=True
# cython: initializedcheck=False
"""Greedy k-means++: one pass over the samples a seed, for all its candidates.

D. Arthur and S. Vassilvitskii, "k-means++: the advantages of careful seeding", SODA 2007; the greedy choice is that of its
section 5.
"""
from cpython.exc cimport PyErr_CheckSignals
from cython.parallel cimport prange, threadid
from libc.stdint cimport uint16_t
from libc.stdlib cimport calloc, free

cimport kernels as c
from shared cimport align, aligned, kernels_in_use

cdef extern from "kernels/kernels.h" nogil:
    enum:
        SEED_CANDIDATES
        SEED_PADDING

cdef const c.kernels **in_use = kernels_in_use()

# Samples whose potential is one entry of the table that candidates are drawn from: the search reads n / 1024 sums,
# then one block.
cdef Py_ssize_t block_samples = 1024


cdef class PlusPlus:
    """What a seeding keeps: the squared distance of each sample to its nearest seed, and the potential of each block.

    Parameters
    ----------
    X : (n_samples, n_features) float32 or float64, C order, finite.
    sample_weight : (n_samples,) float64 or None for ones.
    scale : power of two, see kernels.h.
    n_trials : candidates a seed.   n_threads : int >= 1; every number gives the same bits.
    first : row of the first seed.

    Nothing is allocated after this.
    """

    cdef const float[:, ::1] x32
    cdef const double[:, ::1] x64
    cdef const double[::1] sample_weight
    cdef bint is_float32
    cdef double scale
    cdef Py_ssize_t n_samples, n_features, n_blocks, n_trials, first
    cdef int n_threads
    cdef void *memory
    cdef char *min_sq            # [n_samples] in the type of X
    cdef uint16_t *improved      # [n_samples]: the candidates of the last pass that come closer, a bit each
    cdef double *potentials      # [n_blocks]
    cdef double *running         # [n_blocks]: their running sum
    cdef double *gains           # [n_blocks][SEED_CANDIDATES]
    cdef size_t *candidates      # [n_trials]: rows
    cdef char *packed
    cdef char *scratch           # [n_threads], scratch_size apart
    cdef size_t scratch_size

    def __cinit__(self, X, sample_weight, double scale, Py_ssize_t n_trials, int n_threads, Py_ssize_t first):
        cdef const c.kernels *table = in_use[0]
        self.is_float32 = X.dtype.itemsize == 4
        if self.is_float32:
            self.x32 = X
        else:
            self.x64 = X
        self.sample_weight = sample_weight
        self.n_samples, self.n_features = X.shape
        self.scale = scale
        self.n_trials = n_trials
        self.n_threads = n_threads
        self.first = first
        self.n_blocks = (self.n_samples + block_samples - 1) // block_samples

        cdef size_t n_padded = (self.n_samples + SEED_PADDING - 1) // SEED_PADDING * SEED_PADDING
        cdef size_t min_sq_size = aligned(n_padded * (4 if self.is_float32 else 8))
        cdef size_t improved_size = aligned(n_padded * sizeof(uint16_t))
        cdef size_t blocks_size = aligned(self.n_blocks * sizeof(double))
        cdef size_t candidates_size = aligned(n_trials * sizeof(size_t))
        cdef size_t packed_size = aligned(table.candidates_bytes(min(n_trials, <Py_ssize_t>SEED_CANDIDATES),
                                                                 self.n_features))
        self.scratch_size = aligned(table.seeding_scratch_bytes(self.n_features))
        self.memory = calloc(1, 128 + min_sq_size + improved_size + (2 + SEED_CANDIDATES) * blocks_size
                             + candidates_size + packed_size + n_threads * self.scratch_size)
        if self.memory == NULL:
            raise MemoryError("no memory for the distances of the samples to the seeds.")
        self.min_sq = align(self.memory)
        self.improved = <uint16_t *>(self.min_sq + min_sq_size)
        self.potentials = <double *>(<char *>self.improved + improved_size)
        self.running = <double *>(<char *>self.potentials + blocks_size)
        self.gains = <double *>(<char *>self.running + blocks_size)
        self.candidates = <size_t *>(<char *>self.gains + SEED_CANDIDATES * blocks_size)
        self.packed = <char *>self.candidates + candidates_size
        self.scratch = self.packed + packed_size
        with nogil:
            self._accept(table, first, -1)

    def __dealloc__(self):
        free(self.memory)

    def choose(self, const double[:, ::1] uniforms, Py_ssize_t[::1] rows):
        """Choose a seed for each row of uniform numbers in [0, 1), and write which rows they are.

        uniforms : (n_seeds, n_trials).   rows : (n_seeds,), written.
        Returns how many: fewer than n_seeds when every sample that weighs is a seed or the copy of one.
        """
        cdef const c.kernels *table = in_use[0]
        cdef Py_ssize_t i
        if uniforms.shape[0] != rows.shape[0] or uniforms.shape[1] != self.n_trials:
            raise ValueError(f"uniforms must have shape ({rows.shape[0]}, {self.n_trials}); "
                             f"got ({uniforms.shape[0]}, {uniforms.shape[1]}).")
        for i in range(uniforms.shape[0]):
            if not self.running[self.n_blocks - 1] > 0.0:
                return i
            with nogil:
                rows[i] = self._choose(table, &uniforms[i, 0])
            PyErr_CheckSignals()
        return uniforms.shape[0]

    @property
    def min_sq_distances(self):
        """(n_samples,) copy: squared distance of each sample to its nearest seed, times scale * scale."""
        import numpy as np

        copy = np.empty(self.n_samples)
        cdef double[::1] view = copy
        cdef Py_ssize_t i
        for i in range(self.n_samples):
            view[i] = self._min_sq(i)
        return copy

    cdef double _min_sq(self, Py_ssize_t i) noexcept nogil:
        return (<float *>self.min_sq)[i] if self.is_float32 else (<double *>self.min_sq)[i]

    cdef double _mass(self, Py_ssize_t i) noexcept nogil:
        return self._min_sq(i) * (1.0 if self.sample_weight is None else self.sample_weight[i])

    cdef Py_ssize_t _choose(self, const c.kernels *table, const double *uniforms) noexcept nogil:
        """Draw the candidates of a seed and make the one with the largest gain a seed, the first of equals."""
        cdef Py_ssize_t l, count, best = 0, best_in = 0, done = 0
        cdef double gain, best_gain = -1.0
        for l in range(self.n_trials):
            self.candidates[l] = self._draw(uniforms[l])
        while done < self.n_trials:
            count = min(self.n_trials - done, <Py_ssize_t>SEED_CANDIDATES)
            self._gains(table, self.candidates + done, count)
            for l in range(count):
                gain = self._total_gain(l)
                if gain > best_gain:
                    best, best_gain, best_in = done + l, gain, done
            done = done + count
        if best_in + SEED_CANDIDATES < self.n_trials:
            # A later group has overwritten what it improves.
            self._gains(table, self.candidates + best, 1)
            best_in = best
        self._accept(table, self.candidates[best], best - best_in)
        return self.candidates[best]

    cdef Py_ssize_t _draw(self, double uniform) noexcept nogil:
        """Draw a row with probability weight * squared distance: first its block, then the row."""
        cdef Py_ssize_t low = 0, high = self.n_blocks, middle, i, end, last
        cdef double target = uniform * self.running[self.n_blocks - 1], sum = 0.0, mass
        while low < high:
            middle = (low + high) // 2
            if self.running[middle] > target:
                high = middle
            else:
                low = middle + 1
        while low == self.n_blocks or not self.potentials[low] > 0.0:
            low = low - 1  # rounding led past the last block that weighs
        if low > 0:
            target = target - self.running[low - 1]
        end = min((low + 1) * block_samples, self.n_samples)
        last = low * block_samples
        for i in range(low * block_samples, end):
            mass = self._mass(i)
            if mass > 0.0:
                last = i
                sum = sum + mass
                if sum > target:
                    break
        return last

    cdef double _total_gain(self, Py_ssize_t l) noexcept nogil:
        cdef double total = 0.0
        cdef Py_ssize_t b
        for b in range(self.n_blocks):
            total += self.gains[b * SEED_CANDIDATES + l]
        return total

    cdef void _gains(self, const c.kernels *table, const size_t *rows, Py_ssize_t count) noexcept nogil:
        cdef Py_ssize_t b
        if self.is_float32:
            table.pack_candidates_f32(&self.x32[0, 0], self.n_features, rows, count, &self.x32[self.first, 0], self.scale,
                                      self.packed)
        else:
            table.pack_candidates_f64(&self.x64[0, 0], self.n_features, rows, count, &self.x64[self.first, 0], self.scale,
                                      self.packed)
        for b in prange(self.n_blocks, schedule="static", num_threads=self.n_threads):
            self._block_gains(table, b, threadid())

    cdef void _block_gains(self, const c.kernels *table, Py_ssize_t b, int t) noexcept nogil:
        cdef Py_ssize_t first = b * block_samples, left = self.n_samples - first
        cdef size_t count = min(block_samples, left)
        cdef char *scratch = self.scratch + t * self.scratch_size
        cdef double *gains = self.gains + b * SEED_CANDIDATES
        cdef const double *weight = NULL if self.sample_weight is None else &self.sample_weight[first]
        if self.is_float32:
            table.candidate_gains_f32(&self.x32[first, 0], count, left, self.packed, scratch, weight,
                                      <float *>self.min_sq + first, self.improved + first, gains)
        else:
            table.candidate_gains_f64(&self.x64[first, 0], count, left, self.packed, scratch, weight,
                                      <double *>self.min_sq + first, self.improved + first, gains)

    cdef void _accept(self, const c.kernels *table, Py_ssize_t row, int which) noexcept nogil:
        """Make a row a seed: candidate `which` of the last pass, or the first seed of all (-1)."""
        cdef Py_ssize_t b
        cdef double sum = 0.0
        for b in prange(self.n_blocks, schedule="static", num_threads=self.n_threads):
            self._accept_in_block(table, b, row, which)
        for b in range(self.n_blocks):
            sum += self.potentials[b]
            self.running[b] = sum

    cdef void _accept_in_block(self, const c.kernels *table, Py_ssize_t b, Py_ssize_t row, int which) noexcept nogil:
        cdef Py_ssize_t i, first = b * block_samples
        cdef Py_ssize_t count = min(block_samples, self.n_samples - first)
        cdef const double *weight = NULL if self.sample_weight is None else &self.sample_weight[first]
        cdef const uint16_t *improved = NULL if which < 0 else self.improved + first
        cdef float *min32 = <float *>self.min_sq + first
        cdef double *min64 = <double *>self.min_sq + first
        if which >= 0 and not self.gains[b * SEED_CANDIDATES + which] > 0.0:
            return  # no sample that weighs is closer
        if which < 0:
            for i in range(count):
                if self.is_float32:
                    min32[i] = 3.4e38
                else:
                    min64[i] = 1e308
        if self.is_float32:
            self.potentials[b] = table.accept_candidate_f32(&self.x32[first, 0], count, self.n_features,
                                                            &self.x32[row, 0], self.scale, weight, improved, which, min32)
        else:
            self.potentials[b] = table.accept_candidate_f64(&self.x64[first, 0], count, self.n_features,
                                                            &self.x64[row, 0], self.scale, weight, improved, which, min64)

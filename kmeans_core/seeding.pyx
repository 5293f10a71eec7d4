# cython: language_level=3, freethreading_compatible=True, boundscheck=False, wraparound=False, cdivision=True
# cython: initializedcheck=False
"""Greedy k-means++: one reading of the samples for an early seed, one for several late seeds.

D. Arthur and S. Vassilvitskii, "k-means++: the advantages of careful seeding", SODA 2007; the greedy choice is
that of its section 5.

Most samples come closer to each of the first seeds. Then a dense step measures all pairs and reads the samples once:
the seed chosen last lowers the distances while the gains of the next candidates are added up. Late in a seeding few
samples come closer, and a pass finds the samples near each candidate of a pool. In both cases candidates are drawn
early, by squared distances that may have fallen since. If a candidate is then taken with probability (distance now) /
(distance when drawn), it is a draw by the distances now (rejection sampling: J. von Neumann, 1951). The choice of seeds
is that of greedy k-means++, not an approximation.
"""
from cython.parallel cimport prange, threadid
from libc.math cimport INFINITY
from libc.stdint cimport uint64_t, uintptr_t
from libc.stdlib cimport free, malloc

cimport kernels as c
from fastkmeans._core.stored cimport StoredRows
from shared cimport (
    align, aligned, arena, arena_bytes, arena_in, check_count, interrupted, kernels_in_use, raise_interrupt,
    signal_watch, start_watch, take,
)

from fastkmeans._core.codes import CodedRows
from fastkmeans._core.quantized import QuantizedRows

cdef extern from "kernels/kernels.h" nogil:
    enum:
        SEED_CANDIDATES
        SEED_BLOCK
        SEED_PADDING
        STEP_TARGETS
        STEP_COUNTED

cdef extern from "memory.h" nogil:
    void *take_memory(size_t size)

cdef const c.kernels **in_use = kernels_in_use()

# The share of pairs that must come closer for dense steps to pay, with many features: see _dense_pays.
DENSE_SHARE = 0.08

# Candidates are drawn from a table of the potentials of blocks: the search reads n / 1024 sums, then one block. Few
# samples make smaller blocks, which threads share evenly.
cdef Py_ssize_t few_samples = 32 * SEED_BLOCK, small_block = SEED_BLOCK // 4


cdef class PlusPlus:
    """What a seeding keeps: the squared distance of each sample to its nearest seed, and the potential of each block.

    Parameters
    ----------
    X : (n_samples, n_features) float32 or float64, C order, finite; or StoredRows.
    sample_weight : (n_samples,) float64 or None for ones.
    scale : power of two, see kernels.h.
    n_trials : candidates per seed.   n_threads : int >= 1; every number gives the same bits.
    first : row of the first seed.
    random : 64 bits to draw from.
    n_pool : candidates per pass; 0 for what pays, also dense steps; -1 for dense steps only.
    rows : QuantizedRows or CodedRows of X, or None: what passes read in place of X.
    dense_share : the share of pairs that must come closer for dense steps to pay, with many features.
    manhattan : draw by Manhattan distances: each "squared distance" below is then a distance that is not squared.

    Nothing is allocated after this.
    """

    cdef const float[:, ::1] x32
    cdef const double[:, ::1] x64
    cdef StoredRows stored
    cdef const char *x           # whichever of these there is; NULL for stored rows
    cdef size_t row_bytes, real_size
    cdef const double[::1] sample_weight
    cdef bint is_float32, has_gains, is_dense, manhattan
    cdef double scale, dense_share
    cdef Py_ssize_t n_samples, n_features, block, n_blocks, n_trials, first, n_seeds, wanted_pool
    cdef int n_threads
    cdef uint64_t random
    cdef void *memory
    cdef char *min_sq            # [n_samples] in the type of X
    cdef uint64_t *near          # [n_samples]: which candidates of the pool may be closer, a bit each
    cdef double *potentials      # [n_blocks]; below 0 if it must be added up anew
    cdef double *running         # [n_blocks]: their running sum
    cdef double *gains           # [n_blocks][SEED_CANDIDATES]; of a dense step [n_blocks][STEP_TARGETS]
    cdef char *packed            # candidates, or the targets of a dense step
    cdef size_t *n_near          # [n_blocks]: counted by a dense step
    cdef char *pending_target     # [n_features]
    cdef char *scratch           # [n_threads], scratch_size apart: the kernel's, then a block of stored rows
    cdef size_t scratch_size, wide_at
    cdef char *listed            # [SEED_CANDIDATES + 1][n_features]: stored rows of a few numbers
    cdef size_t[SEED_CANDIDATES] pool         # rows
    cdef double[SEED_CANDIDATES] drawn_at     # their squared distances when they were drawn
    cdef Py_ssize_t n_pool, next, n_passes
    cdef Py_ssize_t pending      # the seed that min_sq does not know yet, -1 for none
    cdef double pending_gain
    cdef object rows
    cdef char *how               # of the quantized samples, or what codes are compared with
    cdef char *tiles
    cdef size_t tile_bytes
    cdef void *quantized         # candidates of a pass
    cdef double to_units
    cdef bint is_coded
    cdef bint is_quantized       # whether the candidates of this pass could be quantized
    cdef double[:, ::1] candidates
    cdef signal_watch watch

    def __cinit__(self, X, sample_weight, double scale, Py_ssize_t n_trials, int n_threads, Py_ssize_t first,
                  uint64_t random, Py_ssize_t n_pool=0, rows=None, bint manhattan=False,
                  double dense_share=DENSE_SHARE):
        cdef const c.kernels *table = in_use[0]
        check_count("n_trials", n_trials)
        check_count("n_threads", n_threads)
        if not 0 <= first < len(X):
            raise ValueError(f"first must be a row of X; got {first} of {len(X)}.")
        if sample_weight is not None and len(sample_weight) != len(X):
            raise ValueError(f"sample_weight must have length {len(X)}; got {len(sample_weight)}.")
        self.is_float32 = X.dtype.itemsize == 4
        if isinstance(X, StoredRows):
            if isinstance(rows, QuantizedRows):
                raise ValueError("rows must be CodedRows or None for StoredRows; these are not kept as whole numbers.")
            self.stored = X
        elif self.is_float32:
            self.x32 = X
        else:
            self.x64 = X
        self.sample_weight = sample_weight
        self.n_samples, self.n_features = X.shape
        if self.stored is None:
            self.x = <const char *>&self.x32[0, 0] if self.is_float32 else <const char *>&self.x64[0, 0]
        self.real_size = 4 if self.is_float32 else 8
        self.row_bytes = self.n_features * self.real_size
        self.scale = scale
        self.n_trials = n_trials
        self.n_threads = n_threads
        self.first = first
        self.random = random
        self.wanted_pool = n_pool
        self.manhattan = manhattan
        self.dense_share = dense_share
        self.block = SEED_BLOCK if self.n_samples >= few_samples else small_block
        self.n_blocks = (self.n_samples + self.block - 1) // self.block
        # Not cleared: a page is near the CPU that writes it first, and `near` may never be written.
        self.memory = take_memory(self._divide(NULL))
        if self.memory == NULL:
            raise MemoryError("no memory for the distances of the samples to the seeds.")
        self._divide(self.memory)
        self.is_dense = n_pool <= 0 and not manhattan
        if rows is not None:
            self._take_rows(rows)
        start_watch(&self.watch)
        with nogil:
            if manhattan:
                self._take_first(table)
            else:
                self._take(table, first, 0.0)
                self._read(table, 0)
        raise_interrupt(&self.watch)

    def __dealloc__(self):
        free(self.memory)
        free(self.quantized)

    cdef size_t _divide(self, void *memory) noexcept nogil:
        """Divide memory, or count its bytes: see arena.h."""
        cdef const c.kernels *table = in_use[0]
        cdef arena parts = arena_in(memory)
        cdef size_t n_padded = (self.n_samples + SEED_PADDING - 1) // SEED_PADDING * SEED_PADDING
        cdef size_t target_size = self.n_features * sizeof(double)
        self.wide_at = aligned(max(table.seeding_scratch_bytes(self.n_features),
                                   table.step_scratch_bytes(self.n_features)))
        self.scratch_size = self.wide_at
        if self.stored is not None:
            self.scratch_size += aligned((self.block + SEED_PADDING) * self.row_bytes)
            self.listed = <char *>take(&parts, (SEED_CANDIDATES + 1) * self.row_bytes)
        self.min_sq = <char *>take(&parts, n_padded * (4 if self.is_float32 else 8))
        self.near = <uint64_t *>take(&parts, n_padded * sizeof(uint64_t))
        self.potentials = <double *>take(&parts, self.n_blocks * sizeof(double))
        self.running = <double *>take(&parts, self.n_blocks * sizeof(double))
        self.gains = <double *>take(&parts, self.n_blocks * SEED_CANDIDATES * sizeof(double))
        self.packed = <char *>take(&parts, max(table.candidates_bytes(SEED_CANDIDATES, self.n_features),
                                               STEP_TARGETS * target_size))
        self.n_near = <size_t *>take(&parts, self.n_blocks * sizeof(size_t))
        self.pending_target = <char *>take(&parts, target_size)
        self.scratch = <char *>take(&parts, self.n_threads * self.scratch_size)
        return arena_bytes(&parts)

    def _take_rows(self, rows):
        """Make passes read quantized samples, or codes."""
        import numpy as np

        cdef const c.kernels *table = in_use[0]
        self.rows = rows
        how, tiles, self.tile_bytes = rows.addresses
        self.how, self.tiles = <char *><uintptr_t>how, <char *><uintptr_t>tiles
        self.to_units = (rows.scale / self.scale) ** 2
        self.is_coded = isinstance(rows, CodedRows)
        if self.is_coded:
            return
        self.candidates = np.empty((SEED_CANDIDATES, self.n_features))
        self.quantized = malloc(128 + table.quantized_centers_bytes(SEED_CANDIDATES, self.n_features, rows.bits))
        if self.quantized == NULL:
            raise MemoryError("no memory for the candidates of a seeding.")

    def choose(self, Py_ssize_t[::1] rows):
        """Choose seeds and write which rows they are.

        rows : (n_seeds,), written.
        Returns how many: fewer than n_seeds if every sample with a weight is a seed or the copy of one.
        """
        cdef const c.kernels *table = in_use[0]
        cdef Py_ssize_t i, row, n_wanted = rows.shape[0]
        start_watch(&self.watch)
        for i in range(n_wanted):
            with nogil:
                row = self._choose(table, n_wanted - i)
            raise_interrupt(&self.watch)
            if row < 0:
                return i
            rows[i] = row
        return n_wanted

    @property
    def min_sq_distances(self):
        """(n_samples,) copy: squared distance of each sample to its nearest seed, times scale * scale."""
        import numpy as np

        if self.pending >= 0:
            start_watch(&self.watch)
            self._read(in_use[0], 0)
            raise_interrupt(&self.watch)
        copy = np.empty(self.n_samples)
        cdef double[::1] view = copy
        cdef Py_ssize_t i
        for i in range(self.n_samples):
            view[i] = self._min_sq(i)
        return copy

    @property
    def n_passes_done(self):
        """Passes over all samples so far, without that of the first seed."""
        return self.n_passes

    cdef double _min_sq(self, Py_ssize_t i) noexcept nogil:
        return (<float *>self.min_sq)[i] if self.is_float32 else (<double *>self.min_sq)[i]

    cdef double _uniform(self) noexcept nogil:
        """The next number in [0, 1): SplitMix64 (G. L. Steele, D. Lea and C. H. Flood, OOPSLA 2014)."""
        cdef uint64_t z
        self.random += <uint64_t>0x9E3779B97F4A7C15
        z = self.random
        z = (z ^ (z >> 30)) * <uint64_t>0xBF58476D1CE4E5B9
        z = (z ^ (z >> 27)) * <uint64_t>0x94D049BB133111EB
        return <double>((z ^ (z >> 31)) >> 11) * (1.0 / 9007199254740992.0)

    cdef Py_ssize_t _choose(self, const c.kernels *table, Py_ssize_t n_left) noexcept nogil:
        """The next seed; -1 for none, or if a signal stopped a pass: nothing may be drawn after half a pass."""
        if self.is_dense:
            return self._choose_dense(table)
        if self.pending >= 0:
            self._read(table, 0)
        return -1 if self.watch.is_stopped else self._choose_near(table, n_left)

    cdef Py_ssize_t _choose_dense(self, const c.kernels *table) noexcept nogil:
        """As _choose_near, but with one reading of the samples for all candidates and the seed chosen before them."""
        cdef Py_ssize_t n_done = 0, count, m, best_row = -1
        cdef double gain, best_gain = -1.0, total, share = 0.0
        if self.pending >= 0:
            # A draw reads a block, and a candidate needs total / (total after the pending seed) draws.
            total = self.running[self.n_blocks - 1]
            if total * self.n_trials * 4 * self.block > (
                    (total - self.pending_gain) * self.n_samples * self.n_features):
                self._read(table, 0)
        while n_done < self.n_trials:
            if self.watch.is_stopped or not self._can_draw():
                return -1
            count = min(self.n_trials - n_done, <Py_ssize_t>STEP_TARGETS - 1)
            for m in range(count):
                self.pool[m] = self._draw_now(table)
            self._read(table, count)
            share += self._near_share(count)
            for m in range(count):
                gain = self._dense_gain(m)
                if gain > best_gain:
                    best_row, best_gain = self.pool[m], gain
            n_done += count
        if self.watch.is_stopped or best_row < 0:
            return -1
        self._take(table, best_row, best_gain)
        self.is_dense = self.wanted_pool < 0 or self._dense_pays(share / self.n_trials)
        return best_row

    cdef bint _dense_pays(self, double share) noexcept nogil:
        """Is the share of pairs that come closer large enough to measure all of them?

        On one core of a Zen 4, over pixels, geo, flights, table, mid, sentences and digits, dense steps pay down to a
        share of 0.015 or 0.03 at 2 to 20 features, and of about 0.06 at 64 to 784, where measuring is all of the work.
        """
        return share > max(0.015, self.dense_share * self.n_features / (self.n_features + 32.0))

    cdef double _near_share(self, Py_ssize_t n_candidates) noexcept nogil:
        """Candidates that a sample came closer to in the last step: mean over the samples that were counted."""
        cdef Py_ssize_t b, n_near = 0, n_counted = 0
        for b in range(self.n_blocks):
            n_near += self.n_near[b]
            n_counted += min(self.n_samples - b * self.block, <Py_ssize_t>STEP_COUNTED)
        return <double>n_near / n_counted

    cdef double _dense_gain(self, Py_ssize_t m) noexcept nogil:
        cdef double total = 0.0
        cdef Py_ssize_t b
        for b in range(self.n_blocks):
            total += self.gains[b * STEP_TARGETS + m]
        return total

    cdef void _take(self, const c.kernels *table, Py_ssize_t row, double gain) noexcept nogil:
        """Make a row a seed; the next reading of the samples lowers their distances."""
        self.pending = row
        self.pending_gain = gain
        self.n_seeds += 1
        self._pack_targets(table, <size_t *>&self.pending, 1, self.pending_target)

    cdef Py_ssize_t _draw_now(self, const c.kernels *table) noexcept nogil:
        """Draw a row by the distances after the pending seed."""
        cdef Py_ssize_t row
        cdef double then, now
        while True:
            row = self._draw(table, self._uniform())
            if self.pending < 0 or interrupted(&self.watch):
                return row
            then = self._min_sq(row)
            now = self._pending_min_sq(table, row)
            if not now < then or self._uniform() * then < now:
                return row

    cdef double _pending_min_sq(self, const c.kernels *table, Py_ssize_t row) noexcept nogil:
        """What _read would leave in min_sq, bit for bit."""
        cdef float min32
        cdef double min64
        cdef size_t n_near
        min32 = min64 = self._min_sq(row)
        table.seeding_step[self.is_float32](self._rows_from(table, row, 1, 0), 1, self._readable_from(row),
                                            self.n_features,
                                            self.scale, self.pending_target, 1, 0, False, NULL, self.scratch,
                                            <void *>&min32 if self.is_float32 else <void *>&min64, NULL, &n_near)
        return min32 if self.is_float32 else min64

    cdef void _take_first(self, const c.kernels *table) noexcept nogil:
        """Make the first row the first seed, without a dense step: every sample is near it."""
        cdef Py_ssize_t i, b
        for i in range(self.n_samples):
            self.near[i] = 1
            if self.is_float32:
                (<float *>self.min_sq)[i] = 3.4e38
            else:
                (<double *>self.min_sq)[i] = 1e308
        for b in range(self.n_blocks):
            self.gains[b * SEED_CANDIDATES] = 1.0
        self.pending = -1
        self._accept(table, self.first, 0)

    cdef void _pack_targets(self, const c.kernels *table, const size_t *rows, size_t n_targets,
                           char *targets) noexcept nogil:
        cdef size_t[STEP_TARGETS] places
        cdef size_t m
        if self.stored is None:
            table.pack_targets[self.is_float32](self.x, self.n_features, rows, n_targets, self.scale, targets)
            return
        for m in range(n_targets):
            table.widen[self.is_float32](&self.stored.rows, rows[m], 1, self.listed + m * self.row_bytes)
            places[m] = m
        table.pack_targets[self.is_float32](self.listed, self.n_features, places, n_targets, self.scale, targets)

    cdef const char *_rows_from(self, const c.kernels *table, Py_ssize_t first, Py_ssize_t count,
                                int t) noexcept nogil:
        """Where rows lie, at most a block. Stored ones are laid out first."""
        if self.stored is None:
            return self.x + first * self.row_bytes
        cdef char *wide = self.scratch + t * self.scratch_size + self.wide_at
        table.widen[self.is_float32](&self.stored.rows, first, count, wide)
        return wide

    cdef const char *_near_rows(self, const c.kernels *table, Py_ssize_t first, Py_ssize_t count, uint64_t wanted,
                                int t) noexcept nogil:
        """The same, but only rows near the wanted candidates are laid out."""
        if self.stored is None:
            return self.x + first * self.row_bytes
        cdef char *wide = self.scratch + t * self.scratch_size + self.wide_at
        cdef Py_ssize_t i
        for i in range(count):
            if self.near[first + i] & wanted:
                table.widen[self.is_float32](&self.stored.rows, first + i, 1, wide + i * self.row_bytes)
        return wide

    cdef Py_ssize_t _readable_from(self, Py_ssize_t first) noexcept nogil:
        """Rows that may be read from _rows_from on."""
        return self.block + SEED_PADDING if self.stored is not None else self.n_samples - first

    cdef void _read(self, const c.kernels *table, Py_ssize_t n_candidates) noexcept nogil:
        """Bring min_sq and its sums up to date with the pending seed, and add up the gains of the first candidates."""
        cdef size_t[STEP_TARGETS] rows
        cdef Py_ssize_t b, m, n_seeds = 1 if self.pending >= 0 else 0
        cdef bint fresh = self.n_seeds == 1 and n_seeds == 1
        rows[0] = self.pending
        for m in range(n_candidates):
            rows[n_seeds + m] = self.pool[m]
        self._pack_targets(table, rows, n_seeds + n_candidates, self.packed)
        if self.n_threads == 1:  # OpenMP takes a microsecond even for one thread
            for b in range(self.n_blocks):
                self._read_block(table, b, 0, n_seeds, n_candidates, fresh)
        else:
            for b in prange(self.n_blocks, schedule="static", num_threads=self.n_threads):
                self._read_block(table, b, threadid(), n_seeds, n_candidates, fresh)
        self.pending = -1
        self.n_passes += not fresh
        self._add_potentials()

    cdef void _read_block(self, const c.kernels *table, Py_ssize_t b, int t, size_t n_seeds, size_t n_candidates,
                          bint fresh) noexcept nogil:
        if interrupted(&self.watch):
            return
        cdef Py_ssize_t first = b * self.block, left = self.n_samples - first
        cdef size_t count = min(self.block, left)
        cdef char *scratch = self.scratch + t * self.scratch_size
        cdef double *gains = self.gains + b * STEP_TARGETS
        cdef const double *weight = NULL if self.sample_weight is None else &self.sample_weight[first]
        self.potentials[b] = table.seeding_step[self.is_float32](self._rows_from(table, first, count, t), count,
                                                                 self._readable_from(first),
                                                                 self.n_features, self.scale, self.packed, n_seeds,
                                                                 n_candidates, fresh, weight, scratch,
                                                                 self.min_sq + first * self.real_size, gains,
                                                                 self.n_near + b)

    cdef Py_ssize_t _choose_near(self, const c.kernels *table, Py_ssize_t n_left) noexcept nogil:
        """Take n_trials candidates and make the one with the largest gain a seed, the first of equals; -1 for none."""
        cdef Py_ssize_t n_done = 0, count, m, best_row = -1, best_pass = -1
        cdef int best_bit = 0
        cdef uint64_t wanted
        cdef double gain, best_gain = -1.0, now
        while n_done < self.n_trials:
            wanted = 0
            count = 0
            while count < min(self.n_trials - n_done, <Py_ssize_t>SEED_CANDIDATES):
                if self.next == self.n_pool:
                    if not self._has_potential(table) or self.watch.is_stopped:
                        return -1
                    self._refill(table, wanted, count, min(self.n_trials - n_done, <Py_ssize_t>SEED_CANDIDATES), n_left)
                    wanted = (<uint64_t>1 << count) - 1
                if interrupted(&self.watch):
                    return -1
                m = self.next
                self.next += 1
                now = self._min_sq(self.pool[m])
                if now < self.drawn_at[m] and not self._uniform() * self.drawn_at[m] < now:
                    continue
                wanted |= <uint64_t>1 << m
                count += 1
            if not self.has_gains:
                self._gains(table, wanted)
            for m in range(self.n_pool):
                gain = self._total_gain(m) if wanted >> m & 1 else -1.0
                if gain > best_gain:
                    best_row, best_gain, best_bit, best_pass = self.pool[m], gain, m, self.n_passes
            n_done += count
        if self.watch.is_stopped or best_row < 0:
            return -1
        if best_pass != self.n_passes:
            # There were more trials than a pool holds: a later pass has overwritten which samples are near the best.
            self.pool[0] = best_row
            self.n_pool = self.next = 1
            best_bit = 0
            self.has_gains = True
            self._pass(table)
        self._accept(table, best_row, best_bit)
        return best_row

    cdef void _refill(self, const c.kernels *table, uint64_t kept, Py_ssize_t n_kept, Py_ssize_t n_trials,
                      Py_ssize_t n_left) noexcept nogil:
        """Draw a new pool, after the candidates for this seed that the old one gave.

        The more seeds there are, the more seeds a pool is drawn for: each lowers the distances of fewer samples.
        """
        cdef Py_ssize_t m, count = 0, n_pool = self.wanted_pool
        for m in range(self.n_pool):
            if kept >> m & 1:
                self.pool[count] = self.pool[m]
                count += 1
        if n_pool == 0:
            n_pool = n_trials * min(self.n_seeds // 4, n_left)
        self.n_pool = min(max(n_pool, n_trials), <Py_ssize_t>SEED_CANDIDATES)
        for m in range(count, self.n_pool):
            self.pool[m] = self._draw(table, self._uniform())
            self.drawn_at[m] = self._min_sq(self.pool[m])
        self.next = count
        # All of a pool for this seed alone is taken, so its gains are found at once, while a block is in the cache.
        self.has_gains = self.n_pool == n_trials
        self._pass(table)

    cdef Py_ssize_t _draw(self, const c.kernels *table, double uniform) noexcept nogil:
        """Draw a row with probability weight * squared distance: first its block, then the row."""
        cdef Py_ssize_t low = 0, high = self.n_blocks, middle, i, end, last, step = 64
        cdef double target = uniform * self.running[self.n_blocks - 1], sum = 0.0, mass
        while low < high:
            middle = (low + high) // 2
            if self.running[middle] > target:
                high = middle
            else:
                low = middle + 1
        # Rounding led past the last block with a weight; or no block has one, if a caller has changed the weights.
        while low == self.n_blocks or low > 0 and not self.potentials[low] > 0.0:
            low = low - 1
        if low > 0:
            target = target - self.running[low - 1]
        i = low * self.block
        end = min((low + 1) * self.block, self.n_samples)
        while step > 1:
            while i + step <= end:
                mass = self._potential(table, i, step)
                if sum + mass > target:
                    break
                sum = sum + mass
                i = i + step
            step = step // 8
        last = i
        while i < end:
            mass = self._potential(table, i, 1)
            if mass > 0.0:
                last = i
                sum = sum + mass
                if sum > target:
                    return i
            i = i + 1
        # The same within the block.
        while last == end or last > low * self.block and not self._potential(table, last, 1) > 0.0:
            last = last - 1
        return last

    cdef double _potential(self, const c.kernels *table, Py_ssize_t first, size_t count) noexcept nogil:
        cdef const double *weight = NULL if self.sample_weight is None else &self.sample_weight[first]
        return table.potential[self.is_float32](self.min_sq + first * self.real_size, count, weight)

    cdef double _total_gain(self, Py_ssize_t m) noexcept nogil:
        cdef double total = 0.0
        cdef Py_ssize_t b
        for b in range(self.n_blocks):
            total += self.gains[b * SEED_CANDIDATES + m]
        return total

    cdef void _pass(self, const c.kernels *table) noexcept nogil:
        """Find the samples near the candidates of the pool."""
        cdef Py_ssize_t b, m, f
        if self.is_coded:
            table.prefix_take_samples(self.pool, self.n_pool, self.tiles, self.how)
        elif self.quantized != NULL:
            for m in range(self.n_pool):
                for f in range(self.n_features):
                    self.candidates[m, f] = self.x32[self.pool[m], f] if self.is_float32 else self.x64[self.pool[m], f]
            self.is_quantized = table.quantize_centers(&self.candidates[0, 0], self.n_pool, self.how,
                                                       align(self.quantized))
        cdef size_t[SEED_CANDIDATES] places
        cdef const size_t *rows = self.pool
        cdef const char *x = self.x
        cdef const char *origin = self.x + self.first * self.row_bytes
        if self.stored is not None:
            for m in range(self.n_pool):
                table.widen[self.is_float32](&self.stored.rows, self.pool[m], 1, self.listed + m * self.row_bytes)
                places[m] = m
            table.widen[self.is_float32](&self.stored.rows, self.first, 1,
                                         self.listed + self.n_pool * self.row_bytes)
            rows, x, origin = places, self.listed, self.listed + self.n_pool * self.row_bytes
        (table.pack_candidates_manhattan[self.is_float32] if self.manhattan
         else table.pack_candidates[self.is_float32])(
            x, self.n_features, rows, self.n_pool, origin, self.scale, self.packed)
        if self.n_threads == 1:  # OpenMP takes a microsecond even for one thread
            for b in range(self.n_blocks):
                self._pass_block(table, b, 0)
        else:
            for b in prange(self.n_blocks, schedule="static", num_threads=self.n_threads):
                self._pass_block(table, b, threadid())
        self.n_passes += 1

    cdef void _pass_block(self, const c.kernels *table, Py_ssize_t b, int t) noexcept nogil:
        if interrupted(&self.watch):
            return
        cdef Py_ssize_t first = b * self.block
        cdef size_t count = min(self.block, self.n_samples - first)
        cdef char *scratch = self.scratch + t * self.scratch_size
        if self.is_coded:
            self._find_near_coded(table, b, count)
        elif self.is_quantized:
            self._find_near_quantized(table, b, count)
        else:
            (table.find_near_manhattan[self.is_float32] if self.manhattan
             else table.find_near[self.is_float32])(
                self._rows_from(table, first, count, t), count, self._readable_from(first), self.packed, scratch,
                self.min_sq + first * self.real_size, self.near + first)
        if self.has_gains:
            self._block_gains(table, b, (<uint64_t>1 << self.n_pool) - 1, t)

    cdef void _find_near_quantized(self, const c.kernels *table, Py_ssize_t b, size_t count) noexcept nogil:
        cdef Py_ssize_t first = b * self.block
        cdef const char *tiles = self.tiles + first // table.tile_samples * self.tile_bytes
        table.find_near_quantized[self.is_float32](tiles, count, align(self.quantized), self.to_units,
                                                   self.min_sq + first * self.real_size, self.near + first)

    cdef void _find_near_coded(self, const c.kernels *table, Py_ssize_t b, size_t count) noexcept nogil:
        cdef Py_ssize_t first = b * self.block
        cdef const char *tiles = self.tiles + first // table.tile_samples * self.tile_bytes
        table.find_near_coded[self.is_float32](tiles, count, self.how, self.to_units,
                                               self.min_sq + first * self.real_size, self.near + first)

    cdef void _gains(self, const c.kernels *table, uint64_t wanted) noexcept nogil:
        cdef Py_ssize_t b
        if self.n_threads == 1:  # OpenMP takes a microsecond even for one thread
            for b in range(self.n_blocks):
                self._block_gains(table, b, wanted, 0)
        else:
            for b in prange(self.n_blocks, schedule="static", num_threads=self.n_threads):
                self._block_gains(table, b, wanted, threadid())

    cdef void _block_gains(self, const c.kernels *table, Py_ssize_t b, uint64_t wanted, int t) noexcept nogil:
        if interrupted(&self.watch):
            return
        cdef Py_ssize_t first = b * self.block
        cdef size_t count = min(self.block, self.n_samples - first)
        cdef double *gains = self.gains + b * SEED_CANDIDATES
        cdef const double *weight = NULL if self.sample_weight is None else &self.sample_weight[first]
        (table.near_gains_manhattan[self.is_float32] if self.manhattan
         else table.near_gains[self.is_float32])(
            self._near_rows(table, first, count, wanted, t), count, self.packed, wanted, weight,
            self.min_sq + first * self.real_size, self.near + first, gains)

    cdef void _accept(self, const c.kernels *table, Py_ssize_t row, int bit) noexcept nogil:
        """Make a row a seed: the candidate with this bit."""
        cdef Py_ssize_t b
        cdef const char *seed = self.x + row * self.row_bytes
        if self.stored is not None:
            table.widen[self.is_float32](&self.stored.rows, row, 1, self.listed)
            seed = self.listed
        if self.n_threads == 1:  # OpenMP takes a microsecond even for one thread
            for b in range(self.n_blocks):
                self._accept_in_block(table, b, seed, bit, 0)
        else:
            for b in prange(self.n_blocks, schedule="static", num_threads=self.n_threads):
                self._accept_in_block(table, b, seed, bit, threadid())
        self.has_gains = False
        self.n_seeds += 1

    cdef bint _has_potential(self, const c.kernels *table) noexcept nogil:
        """Bring the table from which candidates are drawn up to date; is there anything to draw?"""
        cdef Py_ssize_t b
        if self.n_threads == 1:  # OpenMP takes a microsecond even for one thread
            for b in range(self.n_blocks):
                self._update_potential(table, b)
        else:
            for b in prange(self.n_blocks, schedule="static", num_threads=self.n_threads):
                self._update_potential(table, b)
        self._add_potentials()
        return self._can_draw()

    cdef bint _can_draw(self) noexcept nogil:
        """Is there anything to draw? The sum is finite unless a caller has changed the samples or weights."""
        return 0.0 < self.running[self.n_blocks - 1] < INFINITY

    cdef void _add_potentials(self) noexcept nogil:
        cdef Py_ssize_t b
        cdef double sum = 0.0
        for b in range(self.n_blocks):
            sum += self.potentials[b]
            self.running[b] = sum

    cdef void _update_potential(self, const c.kernels *table, Py_ssize_t b) noexcept nogil:
        cdef Py_ssize_t first = b * self.block
        cdef size_t count = min(self.block, self.n_samples - first)
        if self.potentials[b] < 0.0 and not interrupted(&self.watch):
            self.potentials[b] = self._potential(table, first, count)

    cdef void _accept_in_block(self, const c.kernels *table, Py_ssize_t b, const char *seed, int bit,
                               int t) noexcept nogil:
        cdef Py_ssize_t first = b * self.block
        cdef Py_ssize_t count = min(self.block, self.n_samples - first)
        cdef const uint64_t *near = self.near + first
        cdef uint64_t mask = <uint64_t>1 << bit
        if not self.gains[b * SEED_CANDIDATES + bit] > 0.0:
            return  # no sample with a weight is closer
        if interrupted(&self.watch):
            return
        self.potentials[b] = -1.0
        (table.accept_candidate_manhattan[self.is_float32] if self.manhattan
         else table.accept_candidate[self.is_float32])(
            self._near_rows(table, first, count, mask, t), count, self.n_features, seed, self.scale, near, mask,
            self.min_sq + first * self.real_size)

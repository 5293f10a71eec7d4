# cython: language_level=3, freethreading_compatible=True, boundscheck=False, wraparound=False, cdivision=True
# cython: initializedcheck=False
"""k-medians: Manhattan distances, and centers that are medians of each feature.

P. S. Bradley, O. L. Mangasarian and W. N. Street, "Clustering via concave minimization", NIPS 1996. kernels/medians.h
tells how samples keep their labels unread, and how medians are found without sorting.
"""
from cython.parallel cimport prange
from libc.math cimport INFINITY, NAN, fabs, fmin, ldexp, nextafterf
from libc.stdint cimport int32_t, uint8_t, uint32_t
from libc.stdlib cimport free
from libc.string cimport memset

cimport kernels as c
from shared cimport (
    aligned, arena, arena_bytes, arena_in, ceil_log2, check_count, check_shape, interrupted, kernels_in_use,
    raise_interrupt, signal_watch, start_watch, take, take_count,
)

cdef extern from "kernels/kernels.h" nogil:
    size_t block_samples(size_t n_features)

cdef extern from "memory.h" nogil:
    void *take_zeros(size_t size)

cdef const c.kernels **in_use = kernels_in_use()

cdef int MOST_BINS = 255      # code 255 marks a feature of which nothing is gathered
cdef int BIN_SAMPLES = 64     # samples of a cluster per bin: all histograms of a thread are n_features * n / 16 bytes
cdef int SAMPLED_ROWS = 1024  # rows that tell the range of each feature
# If more than one value in so many had to be gathered to follow the cost, the next step adds the cost up anew.
cdef int GATHERED_PART = 16
# The cost is also added up anew once it has fallen to this share of the last cost that was added up, because a cost
# that is followed keeps the rounding of that one.
cdef double WHOLE_SHARE = 1.0 / 16.0

ctypedef fused real:
    float
    double


cdef class MediansState:
    """What k-medians keeps between iterations: labels, leads, codes and histograms.

    Parameters
    ----------
    X : (n_samples, n_features) float32 or float64, C order, finite.
    sample_weight : (n_samples,) float64 or None for ones.
    max_abs : (n_features,) float64, largest absolute value of each feature.
    max_weight : largest weight (1 without weights).
    n_clusters, n_threads : int >= 1.

    Neither `step` nor `move` allocates.
    """

    cdef const float[:, ::1] x32
    cdef const double[:, ::1] x64
    cdef const char *x           # whichever of these there is
    cdef size_t row_bytes, real_size
    cdef const double[::1] sample_weight
    cdef bint is_float32
    cdef Py_ssize_t n_samples, n_features, n_clusters, n_bins, n_padded, block, capacity
    cdef int n_threads
    cdef bint has_centers        # whether `centers` are those of an earlier step
    cdef bint cost_is_known      # whether `cost` is that of the centers `expected`
    cdef double unit, total_cost, whole_cost
    cdef int32_t[::1] label_view
    cdef double[::1] lowest, per_unit, offset
    cdef double[:, ::1] centers, expected, medians  # of the last step; those that the cost is of; the last found
    cdef uint8_t[::1] is_found   # [n_clusters]: whether medians are those of the present labels
    cdef double[::1] drift, cluster_weights, block_costs, move_costs
    cdef float[::1] drift_up, drift_down
    cdef uint8_t[:, ::1] low, width
    cdef int32_t[:, ::1] median_bin
    cdef double[:, ::1] below
    cdef size_t[:, ::1] places   # [n_threads][n_clusters * n_features]
    cdef size_t[::1] starts      # [n_clusters * n_features + 1]
    cdef size_t[::1] counts      # [n_threads * 16]: labels changed, samples decided; one cache line each
    cdef float[::1] slack
    cdef double coarse, fine
    cdef void *memory
    cdef uint8_t *codes
    cdef char *packed
    cdef char *scratch           # [n_threads], scratch_size apart
    cdef char *histograms        # [n_threads], histogram_size apart: counts, then weights
    cdef char *touched           # [n_threads], touched_size apart
    cdef char *values
    cdef double *value_weights
    cdef char *wanted            # [n_threads], wanted_size apart: low and width of the features of one turn
    cdef size_t scratch_size, histogram_size, weights_at, touched_size, wanted_size
    cdef signal_watch watch
    cdef readonly object labels
    cdef readonly Py_ssize_t n_decided
    cdef readonly str stepped_by  # the algorithm of the last step

    def __cinit__(self, X, sample_weight, max_abs, double max_weight, Py_ssize_t n_clusters, int n_threads):
        cdef const c.kernels *table = in_use[0]
        check_count("n_clusters", n_clusters)
        check_count("n_threads", n_threads)
        if len(max_abs) != X.shape[1] or len(X) < 1 or sample_weight is not None and len(sample_weight) != len(X):
            raise ValueError("MediansState got shapes that do not fit together.")
        self.is_float32 = X.dtype.itemsize == 4
        if self.is_float32:
            self.x32 = X
        else:
            self.x64 = X
        self.sample_weight = sample_weight
        self.n_samples, self.n_features = X.shape
        self.x = <const char *>&self.x32[0, 0] if self.is_float32 else <const char *>&self.x64[0, 0]
        self.real_size = 4 if self.is_float32 else 8
        self.row_bytes = self.n_features * self.real_size
        self.n_clusters = n_clusters
        self.n_threads = n_threads
        self.stepped_by = "lloyd"
        self.block = block_samples(self.n_features)
        self.n_bins = max(<Py_ssize_t>1, min(<Py_ssize_t>MOST_BINS, self.n_samples // (BIN_SAMPLES * n_clusters)))
        self.n_padded = (self.n_features + 63) // 64 * 64
        # There is room for any one feature. If all do not fit together, they are gathered in turns.
        self.capacity = max(self.n_samples, self.n_samples * self.n_features // 8)
        self._make_arrays()
        self._choose_unit(float(max_abs.max()))
        self._choose_grid(max_weight)
        self._choose_bins(X)
        self.memory = take_zeros(self._divide(NULL))
        if self.memory == NULL:
            raise MemoryError("no memory for the histograms of each thread; use fewer threads (n_threads).")
        self._divide(self.memory)
        start_watch(&self.watch)
        with nogil:
            self._encode(table)
        raise_interrupt(&self.watch)

    def __dealloc__(self):
        free(self.memory)

    def _make_arrays(self):
        """What is kept of each sample, and what `step` and `move` write."""
        import numpy as np

        n_clusters, n_threads = self.n_clusters, self.n_threads
        self.labels = np.full(self.n_samples, -1, dtype=np.int32)
        self.label_view = self.labels
        self.slack = np.full(self.n_samples, -np.inf, dtype=np.float32)
        self.offset = np.empty(2 * self.n_features)
        self.centers, self.expected, self.medians = np.zeros((3, n_clusters, self.n_features))
        self.is_found = np.zeros(n_clusters, dtype=np.uint8)
        self.drift = np.zeros(n_clusters)
        self.drift_up, self.drift_down = np.zeros((2, n_clusters), dtype=np.float32)
        self.cluster_weights = np.zeros(n_clusters)
        self.block_costs = np.zeros((self.n_samples + self.block - 1) // self.block)
        self.move_costs = np.zeros(n_clusters * self.n_features)
        self.low, self.width = np.zeros((2, n_clusters, self.n_padded), dtype=np.uint8)
        self.median_bin = np.zeros((n_clusters, self.n_features), dtype=np.int32)
        self.below = np.zeros((n_clusters * self.n_features, 2))
        self.places = np.zeros((n_threads, n_clusters * self.n_features), dtype=np.uintp)
        self.starts = np.zeros(n_clusters * self.n_features + 1, dtype=np.uintp)
        self.counts = np.zeros(n_threads * 16, dtype=np.uintp)

    cdef void _choose_unit(self, double largest) noexcept nogil:
        """Choose the unit that brings distances near 1, so that they and their leads stay within float32."""
        self.unit = ldexp(1.0, max(-1000, min(1000, -ceil_log2(largest)))) if largest > 0.0 else 1.0

    cdef void _choose_grid(self, double max_weight) noexcept nogil:
        """Choose the grids on which weights add up without rounding."""
        cdef int count_bits = ceil_log2(<double>max(self.n_samples, <Py_ssize_t>4))
        cdef int coarse_bits = max(ceil_log2(max_weight) + count_bits + 1 - 53, -960)
        self.coarse = ldexp(1.5, 52 + coarse_bits)
        self.fine = ldexp(1.5, 52 + max(coarse_bits + count_bits - 53, -1020))

    cdef size_t _divide(self, void *memory) noexcept nogil:
        """Divide memory, or count its bytes: see arena.h."""
        cdef const c.kernels *table = in_use[0]
        cdef arena parts = arena_in(memory)
        cdef bint weighted = self.sample_weight is not None
        cdef size_t length = self.n_clusters * self.n_features * self.n_bins
        self.touched_size = aligned(self.n_clusters)
        self.wanted_size = aligned(2 * self.n_clusters * self.n_padded)
        self.weights_at = aligned(length * sizeof(uint32_t))
        self.histogram_size = self.weights_at + (aligned(2 * length * sizeof(double)) if weighted else 0)
        self.scratch_size = aligned(table.median_scratch_bytes(self.n_clusters, self.n_features))
        self.packed = <char *>take(&parts, table.packed_bytes(self.n_clusters, self.n_features))
        self.codes = <uint8_t *>take(&parts, self.n_samples * self.n_features + 64)
        self.values = <char *>take(&parts, self.capacity * self.real_size)
        if weighted:
            self.value_weights = <double *>take(&parts, self.capacity * sizeof(double))
        self.scratch = <char *>take(&parts, self.n_threads * self.scratch_size)
        self.histograms = <char *>take(&parts, self.n_threads * self.histogram_size)
        self.touched = <char *>take(&parts, self.n_threads * self.touched_size)
        self.wanted = <char *>take(&parts, self.n_threads * self.wanted_size)
        return arena_bytes(&parts)

    def _choose_bins(self, X):
        """Spread the codes over the range of some samples without the outermost; values beyond get the outer codes."""
        import numpy as np

        rows = np.sort(X[:: (self.n_samples + SAMPLED_ROWS - 1) // SAMPLED_ROWS], axis=0).astype(np.float64)
        cut = len(rows) // 256
        lowest, highest = rows[cut], rows[len(rows) - 1 - cut]
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            per_unit = self.n_bins / (highest - lowest)
            # In the type of X, in which samples are encoded. A feature that hardly varies has one code.
            per_unit = per_unit.astype(X.dtype).astype(np.float64)
        self.lowest = lowest
        self.per_unit = np.where(np.isfinite(per_unit), per_unit, 0.0)

    cdef void _encode(self, const c.kernels *table) noexcept nogil:
        cdef Py_ssize_t b, n_blocks = self.block_costs.shape[0]
        for b in prange(n_blocks, schedule="static", num_threads=self.n_threads):
            self._encode_rows(table, b * self.block, min(self.block, self.n_samples - b * self.block))

    cdef void _encode_rows(self, const c.kernels *table, Py_ssize_t first, Py_ssize_t count) noexcept nogil:
        cdef uint8_t *codes = self.codes + first * self.n_features
        if interrupted(&self.watch):
            return
        table.encode[self.is_float32](self.x + first * self.row_bytes, count, self.n_features, &self.lowest[0],
                                      &self.per_unit[0], self.n_bins, codes)

    cdef int _code(self, const c.kernels *table, double value, Py_ssize_t f) noexcept nogil:
        cdef uint8_t code
        cdef float value32 = <float>value
        table.encode[self.is_float32](<const void *>&value32 if self.is_float32 else <const void *>&value, 1, 1,
                                      &self.lowest[f], &self.per_unit[f], self.n_bins, &code)
        return code

    cdef c.histograms _counted(self, int t) noexcept nogil:
        cdef c.histograms counted
        cdef char *memory = self.histograms + t * self.histogram_size
        counted.counts = <uint32_t *>memory
        counted.weights = NULL if self.sample_weight is None else <double *>(memory + self.weights_at)
        counted.touched = <uint8_t *>(self.touched + t * self.touched_size)
        return counted

    cdef c.median_step _step_facts(self) noexcept nogil:
        cdef c.median_step facts
        facts.n_samples = self.n_samples
        facts.n_features = self.n_features
        facts.n_clusters = self.n_clusters
        facts.n_bins = self.n_bins
        facts.sample_weight = NULL if self.sample_weight is None else &self.sample_weight[0]
        facts.codes = self.codes
        facts.labels = &self.label_view[0]
        facts.slack = &self.slack[0]
        facts.packed = self.packed
        facts.centers = &self.centers[0, 0]
        facts.drift_up = &self.drift_up[0]
        facts.drift_down = &self.drift_down[0]
        facts.in_units = 1.0
        facts.coarse = self.coarse
        facts.fine = self.fine
        facts.whole = 0
        return facts

    cdef Py_ssize_t _first_block(self, int t) noexcept nogil:
        """Thread t counts the same blocks in every step."""
        return self.block_costs.shape[0] * t // self.n_threads

    def step(self, const double[:, ::1] centers):
        """Label every sample with its nearest center, let the histograms follow, and bring `cost` up to date.

        centers : (n_clusters, n_features) float64: the values of the stored centers; read only.
        Returns the number of labels that changed. n_decided counts the samples that needed float64.
        """
        cdef const c.kernels *table = in_use[0]
        cdef c.median_step facts
        cdef double cost = 0.0
        cdef Py_ssize_t b
        cdef int t
        check_shape("centers", centers.shape[0], centers.shape[1], self.n_clusters, self.n_features)
        start_watch(&self.watch)
        with nogil:
            self._take_centers(centers)
            facts = self._step_facts()
            facts.whole = not self.cost_is_known
            table.find_offset(&self.centers[0, 0], self.n_clusters, self.n_features, &self.offset[0])
            table.pack_centers_manhattan(&self.centers[0, 0], self.n_clusters, self.n_features, &self.offset[0],
                                         self.is_float32, self.packed)
            # Cut to what float32 holds: a smaller factor only makes leads smaller than they are.
            facts.in_units = <float>fmin(2.0 / table.packed_scale(self.packed) * self.unit, 1e30)
            for t in prange(self.n_threads, schedule="static", chunksize=1, num_threads=self.n_threads):
                self._step_blocks(table, &facts, t)
            for b in range(self.block_costs.shape[0]):
                cost = cost + self.block_costs[b]
            self.total_cost = cost if facts.whole else self.total_cost + cost
            if facts.whole:
                self.whole_cost = cost
        raise_interrupt(&self.watch)
        self.cost_is_known = True
        self.n_decided = take_count(&self.counts[0], self.n_threads, 1)
        return take_count(&self.counts[0], self.n_threads, 0)

    @property
    def cost(self):
        """Sum of weight * distance to the own center in the last step; NaN if following it has left it few digits."""
        return self.total_cost if self.total_cost > WHOLE_SHARE * self.whole_cost else NAN

    cdef void _take_centers(self, const double[:, ::1] centers) noexcept nogil:
        """Add to the drift of each center its move, and that of the farthest of the others."""
        cdef double moved, first = 0.0, second = 0.0, slop = 1.0 + ldexp(1.0, -40) + self.n_features * ldexp(1.0, -50)
        cdef Py_ssize_t j, f, farthest = -1
        for j in range(self.n_clusters):
            moved = 0.0
            for f in range(self.n_features):
                moved = moved + fabs(centers[j, f] - self.centers[j, f])
                if centers[j, f] != self.expected[j, f]:
                    self.cost_is_known = False
                self.centers[j, f] = centers[j, f]
            moved = moved * self.unit * slop if self.has_centers else 0.0
            self.drift[j] += moved
            if moved > first:
                first, second, farthest = moved, first, j
            elif moved > second:
                second = moved
        for j in range(self.n_clusters):
            self.drift[j] = (self.drift[j] + (second if j == farthest else first)) * (1.0 + ldexp(1.0, -50))
            self.drift_up[j] = nextafterf(<float>self.drift[j], <float>INFINITY)
            self.drift_down[j] = nextafterf(<float>self.drift[j], 0.0)
        self.has_centers = True

    cdef void _step_blocks(self, const c.kernels *table, const c.median_step *facts, int t) noexcept nogil:
        cdef char *scratch = self.scratch + t * self.scratch_size
        cdef Py_ssize_t b, first, count
        for b in range(self._first_block(t), self._first_block(t + 1)):
            first = b * self.block
            count = min(self.block, self.n_samples - first)
            if interrupted(&self.watch):
                return
            self.counts[16 * t] += table.step_medians[self.is_float32](self.x, first, count, facts, scratch,
                                                                       self._counted(t), &self.block_costs[b],
                                                                       &self.counts[16 * t + 1])

    def move(self, double[:, ::1] moved, double[::1] weights):
        """Write the medians of each cluster: per feature the smallest value up to which half its weight lies.

        moved : OUT (n_clusters, n_features); a cluster without weight keeps its center.
        weights : OUT (n_clusters,) weight of each cluster.
        """
        cdef const c.kernels *table = in_use[0]
        cdef Py_ssize_t j, f, first, last
        cdef size_t total
        n_clusters, n_features = self.n_clusters, self.n_features
        if moved.shape[0] != n_clusters or moved.shape[1] != n_features or weights.shape[0] != n_clusters:
            raise ValueError(f"moved must have shape ({n_clusters}, {n_features}), and weights a row for each.")
        start_watch(&self.watch)
        with nogil:
            for j in prange(self.n_clusters, schedule="static", num_threads=self.n_threads):
                self._find_bins(table, j)
            total = 0
            for j in range(self.n_clusters):
                if not self.is_found[j] and self.cluster_weights[j] > 0.0:
                    for f in range(self.n_features):
                        total = total + self._n_within(j, f, -1)
            if total > <size_t>(self.n_samples * self.n_features // GATHERED_PART):
                self.cost_is_known = False
                self._forget_old_bins()
            first = 0
            while first < self.n_features:
                last = self._lay_out(first)
                self._gather(table, first, last)
                first = last
            for j in range(self.n_clusters):
                weights[j] = self.cluster_weights[j]
                for f in range(self.n_features):
                    if self.cluster_weights[j] > 0.0:
                        moved[j, f] = self.medians[j, f]
                        if not self.is_found[j]:
                            self.total_cost += self.move_costs[j * self.n_features + f]
                        elif self.medians[j, f] != self.centers[j, f]:
                            self.cost_is_known = False
                    else:
                        moved[j, f] = self.centers[j, f]
                    self.expected[j, f] = moved[j, f]
                self.is_found[j] = True
            if not self.total_cost > WHOLE_SHARE * self.whole_cost:
                self.cost_is_known = False
        raise_interrupt(&self.watch)

    cdef void _find_bins(self, const c.kernels *table, Py_ssize_t j) noexcept nogil:
        """Find the bins of each median of cluster j and of its center: what lies between is to be gathered."""
        cdef Py_ssize_t f, b, old
        cdef double weight, half, coarse, fine, coarse_below, fine_below
        cdef double *below
        cdef int t
        for t in range(self.n_threads):
            if (self.touched + t * self.touched_size)[j]:
                self.is_found[j] = False
                (self.touched + t * self.touched_size)[j] = 0
        if self.is_found[j]:
            return
        coarse = fine = 0.0
        for b in range(self.n_bins):
            self._add_bin(j, 0, b, &coarse, &fine)
        weight = self.cluster_weights[j] = coarse + fine
        if not weight > 0.0:
            return
        half = 0.5 * weight
        for f in range(self.n_features):
            coarse = fine = coarse_below = fine_below = 0.0
            b = 0
            while True:
                self._add_bin(j, f, b, &coarse, &fine)
                if coarse + fine >= half or b == self.n_bins - 1:
                    break
                coarse_below, fine_below = coarse, fine
                b = b + 1
            below = &self.below[j * self.n_features + f, 0]
            below[0], below[1] = coarse_below, fine_below
            self.median_bin[j, f] = b
            old = self._code(table, self.centers[j, f], f) if self.cost_is_known else b
            self.low[j, f] = min(b, old)
            self.width[j, f] = max(b, old) - min(b, old)
            # Sums of what is below the gathered values.
            b = b - 1
            while b >= self.low[j, f]:
                self._take_bin(j, f, b, &below[0], &below[1])
                b = b - 1

    cdef void _forget_old_bins(self) noexcept nogil:
        """Let only the bins of the medians be gathered."""
        cdef Py_ssize_t j, f, b
        cdef double *below
        for j in range(self.n_clusters):
            if self.is_found[j] or not self.cluster_weights[j] > 0.0:
                continue
            for f in range(self.n_features):
                below = &self.below[j * self.n_features + f, 0]
                for b in range(self.low[j, f], self.median_bin[j, f]):
                    self._add_bin(j, f, b, &below[0], &below[1])
                self.low[j, f] = self.median_bin[j, f]
                self.width[j, f] = 0

    cdef void _add_bin(self, Py_ssize_t j, Py_ssize_t f, Py_ssize_t b, double *coarse, double *fine) noexcept nogil:
        cdef Py_ssize_t place = (j * self.n_features + f) * self.n_bins + b
        cdef c.histograms counted
        cdef int t
        for t in range(self.n_threads):
            counted = self._counted(t)
            if counted.weights == NULL:
                coarse[0] += counted.counts[place]
            else:
                coarse[0] += counted.weights[2 * place]
                fine[0] += counted.weights[2 * place + 1]

    cdef void _take_bin(self, Py_ssize_t j, Py_ssize_t f, Py_ssize_t b, double *coarse, double *fine) noexcept nogil:
        cdef double coarse_part = 0.0, fine_part = 0.0
        self._add_bin(j, f, b, &coarse_part, &fine_part)
        coarse[0] -= coarse_part
        fine[0] -= fine_part

    cdef size_t _n_within(self, Py_ssize_t j, Py_ssize_t f, int t) noexcept nogil:
        """Number of values that thread t (-1: all threads) gathers."""
        cdef Py_ssize_t b, low = self.low[j, f], place = (j * self.n_features + f) * self.n_bins
        cdef size_t total = 0
        cdef int each
        for each in range(0 if t < 0 else t, self.n_threads if t < 0 else t + 1):
            for b in range(low, low + self.width[j, f] + 1):
                total += self._counted(each).counts[place + b]
        return total

    cdef Py_ssize_t _lay_out(self, Py_ssize_t first) noexcept nogil:
        """Lay out places for the values of features from `first` on, as many as fit; return the first that does not."""
        cdef Py_ssize_t j, f = first
        cdef size_t place = 0, more
        cdef int t
        while f < self.n_features:
            more = 0
            for j in range(self.n_clusters):
                if not self.is_found[j] and self.cluster_weights[j] > 0.0:
                    more += self._n_within(j, f, -1)
            if f > first and place + more > <size_t>self.capacity:
                break
            for j in range(self.n_clusters):
                self.starts[j * self.n_features + f] = place
                if not self.is_found[j] and self.cluster_weights[j] > 0.0:
                    for t in range(self.n_threads):
                        self.places[t, j * self.n_features + f] = place
                        place += self._n_within(j, f, t)
            f = f + 1
        return f

    cdef void _gather(self, const c.kernels *table, Py_ssize_t first, Py_ssize_t last) noexcept nogil:
        """Gather the values that may be medians of features first .. last - 1, and select the medians."""
        cdef Py_ssize_t place, j, n_places = self.n_clusters * (last - first)
        cdef bint any_wanted = False
        cdef int t
        for j in range(self.n_clusters):
            any_wanted |= not self.is_found[j] and self.cluster_weights[j] > 0.0
        if not any_wanted:
            return
        for t in prange(self.n_threads, schedule="static", chunksize=1, num_threads=self.n_threads):
            self._gather_rows(table, first, last, t)
        for place in prange(n_places, schedule="dynamic", chunksize=4, num_threads=self.n_threads):
            self._select(table, place // (last - first), first + place % (last - first))

    cdef void _gather_rows(self, const c.kernels *table, Py_ssize_t first, Py_ssize_t last, int t) noexcept nogil:
        """Thread t gathers from the samples that it counts."""
        cdef Py_ssize_t start = min(self._first_block(t) * self.block, self.n_samples)
        cdef Py_ssize_t end = min(self._first_block(t + 1) * self.block, self.n_samples)
        cdef c.median_step facts = self._step_facts()
        cdef Py_ssize_t n_wanted = self.n_clusters * self.n_padded, j, f, count
        cdef Py_ssize_t piece = 1 + (<Py_ssize_t>1 << 23) // self.n_features  # a few milliseconds
        # Tables of this thread: which codes are wanted in this turn.
        cdef uint8_t *low = <uint8_t *>(self.wanted + t * self.wanted_size)
        cdef uint8_t *width = low + n_wanted
        memset(low, 255, n_wanted)
        memset(width, 0, n_wanted)
        for j in range(self.n_clusters):
            if not self.is_found[j] and self.cluster_weights[j] > 0.0:
                for f in range(first, last):
                    low[j * self.n_padded + f] = self.low[j, f]
                    width[j * self.n_padded + f] = self.width[j, f]
        while start < end and not interrupted(&self.watch):
            count = min(piece, end - start)
            table.gather_medians[self.is_float32](self.x, start, count, &facts, low, width, self.n_padded,
                                                  &self.places[t, 0], self.values, self.value_weights)
            start = start + count

    cdef void _select(self, const c.kernels *table, Py_ssize_t j, Py_ssize_t f) noexcept nogil:
        """Find one median among its gathered values, and what moving there costs."""
        cdef Py_ssize_t place = j * self.n_features + f, b
        cdef size_t start = self.starts[place], count
        cdef double coarse = 0.0, fine = 0.0, below, inside, old = self.centers[j, f], new
        cdef double *weights = NULL if self.sample_weight is None else self.value_weights + start
        if self.is_found[j] or not self.cluster_weights[j] > 0.0 or interrupted(&self.watch):
            return
        count = self._n_within(j, f, -1)
        below = self.below[place, 0] + self.below[place, 1]
        new = table.select_half[self.is_float32](self.values + start * self.real_size, weights, count,
                                                 &self.below[place, 0], 0.5 * self.cluster_weights[j], self.coarse,
                                                 self.fine)
        self.medians[j, f] = new
        self.move_costs[place] = 0.0
        if self.cost_is_known and new != old:
            for b in range(self.low[j, f], self.low[j, f] + self.width[j, f] + 1):
                self._add_bin(j, f, b, &coarse, &fine)
            inside = coarse + fine
            # Each value that was not gathered is on the same side of both.
            self.move_costs[place] = (new - old) * (below - (self.cluster_weights[j] - below - inside))
            self.move_costs[place] += table.cost_of_move[self.is_float32](self.values + start * self.real_size, weights,
                                                                          count, old, new)

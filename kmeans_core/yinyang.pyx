# cython: language_level=3, freethreading_compatible=True, boundscheck=False, wraparound=False, cdivision=True
# cython: initializedcheck=False
"""Yinyang: samples whose bounds prove their label are not read.

Y. Ding et al., "Yinyang K-Means: A Drop-In Replacement of the Classic K-Means with Consistent Speedup", ICML 2015; in
the simplified form of J. Newling and F. Fleuret, "Fast k-means with accurate bounds", ICML 2016. The bounds and their
proof are in kernels/yinyang.h.
"""
from cython.parallel cimport prange, threadid
from libc.math cimport fabs, frexp, ldexp, nextafterf, sqrt
from libc.stdint cimport int32_t, uintptr_t
from libc.stdlib cimport free
from libc.string cimport memcpy

cimport kernels as c
from fastkmeans._core.stored cimport reads_float32
from fastkmeans._core.sums cimport ClusterSums
from shared cimport (
    PADDED_ROWS, aligned, arena, arena_bytes, arena_in, check_shape, interrupted, kernels_in_use, raise_interrupt,
    row_of, short_unit, signal_watch, start_watch, take, take_count,
)

from fastkmeans._core.quantized import QuantizedState

cdef extern from "kernels/kernels.h" nogil:
    size_t block_samples(size_t n_features)

cdef extern from "memory.h" nogil:
    void *take_zeros(size_t size)

cdef const c.kernels **in_use = kernels_in_use()

cdef Py_ssize_t MAX_GROUPS = 16     # each takes 4 bytes per sample
cdef Py_ssize_t GROUP_CENTERS = 25  # per group, so 4 groups at k=100; fewer bound better, but bounds are more to read
cdef Py_ssize_t BLOCK_ROWS = 4096   # so many that the few samples left to a group fill its tiles,
cdef Py_ssize_t BLOCK_BYTES = 1 << 19  # but not more than the second-level cache holds
cdef double TRY_BELOW = 0.75        # share of the cost of a step without bounds that the probe must foretell,
cdef double STOP_ABOVE = 1.4        # and that a bounded step may cost: beginning anew costs more than a few of these
cdef Py_ssize_t HOT_GROUPS = 4      # one group in so many holds the centers that moved farthest
cdef double ASK_LATER = 1.5          # share of that cost above which the probe rests for a step
cdef int FIRST_WAIT = 4             # steps until bounds are tried again if they did not pay; doubled each time
cdef double FARTHEST_DRIFT = 4096.0 # in units: above it float32 bounds lose digits, and begin anew


cdef class YinyangState:
    """What Yinyang keeps between iterations: labels, sums, and bounds of every sample.

    Parameters
    ----------
    As QuantizedState, which takes the steps without bounds.

    The first step scores everything. Then the bounds of a few samples, the probe, tell what a bounded step would cost.
    While bounds would not pay, the steps are those of QuantizedState.
    """

    cdef readonly ClusterSums clusters
    cdef object _dense
    cdef object _rows            # QuantizedRows from which bounds may begin, or None
    cdef char *tiles
    cdef size_t tile_bytes
    cdef void *quantized_memory  # centers by place and by index, then scratch for each thread
    cdef char *grouped_whole
    cdef char *plain_whole
    cdef char *whole_scratch
    cdef size_t whole_scratch_size
    cdef bint from_quantized     # whether the step that begins bounds takes them from quantized samples
    cdef const c.kernels *table
    cdef bint is_float32
    cdef Py_ssize_t n_samples, n_features, n_clusters, n_rows, n_blocks, n_probed, probe_rows
    cdef int n_threads
    cdef int32_t[::1] new_labels
    cdef bint started, bounded, probed, hopeless
    cdef int n_waited, wait
    cdef readonly double probe_cost  # by the last probe, as a share of the cost of scoring everything
    cdef readonly Py_ssize_t n_decided
    cdef readonly str stepped_by  # the algorithm of the last step
    cdef readonly Py_ssize_t n_scored   # pairs of sample and center that the last step scored
    cdef readonly Py_ssize_t n_groups
    cdef c.bound_step now
    cdef void *memory
    cdef char *packed
    cdef char *grouped
    cdef double *previous        # [n_clusters][n_features]: the centers of the last step
    cdef double *placed          # [n_clusters][n_features]: the centers of this step, group by group
    cdef double *offset          # [n_features]
    cdef double *direction       # [2][n_features]
    cdef double *keys            # [n_clusters]
    cdef double *shifts          # [n_clusters]: how far each center moved last, in units
    cdef double *center_drift64
    cdef double *group_drift64
    cdef float *center_drift
    cdef float *group_drift
    cdef int32_t *first_panel
    cdef int32_t *center_of
    cdef int32_t *group_of
    cdef float *upper            # [n_blocks][n_rows]
    cdef float *lower            # [n_blocks][n_groups][n_rows]
    cdef char *probe             # [n_probed][n_features], rows of X
    cdef int32_t *probe_labels
    cdef float *probe_upper
    cdef float *probe_lower
    cdef size_t *counts          # [n_threads][16]: samples decided, pairs scored, work done
    cdef char *scratch           # [n_threads], scratch_size apart: the kernel's, then a block of stored rows
    cdef size_t scratch_size, wide_at
    cdef signal_watch watch
    cdef Py_ssize_t piece        # rows of a block that are labelled between two looks for signals

    def __cinit__(self, X, sample_weight, max_abs, double max_weight, Py_ssize_t n_clusters, int n_threads, copies,
                  Py_ssize_t n_grid_samples=0):
        import numpy as np

        self._dense = QuantizedState(X, sample_weight, max_abs, max_weight, n_clusters, n_threads, copies, None,
                                     n_grid_samples, keeps_stored=False)  # bounds have that memory
        self.clusters = self._dense.clusters
        cdef const c.kernels *table = in_use[0]
        self.table = table
        self.is_float32 = reads_float32(X)
        self.n_samples, self.n_features = X.shape
        self.n_clusters = n_clusters
        self.n_threads = n_threads
        self.stepped_by = ""
        self.new_labels = np.zeros(self.n_samples, dtype=np.int32)

        cdef Py_ssize_t block = block_samples(self.n_features)
        cdef Py_ssize_t real_size = 4 if self.is_float32 else 8
        self.n_rows = min(self.n_samples // 32, BLOCK_ROWS, BLOCK_BYTES // (self.n_features * real_size))
        self.n_rows = block * max(1, self.n_rows // block)
        self.n_blocks = (self.n_samples + self.n_rows - 1) // self.n_rows
        self.piece = short_unit(self.n_rows, block, <double>n_clusters * self.n_features)
        cdef Py_ssize_t n_panels = (n_clusters + table.tile_centers - 1) // table.tile_centers
        self.n_groups = max(1, min(n_panels, n_clusters // GROUP_CENTERS, MAX_GROUPS, copies.most_groups()))
        # Few rows, so that a probe costs little in each step; 1024 tell a share to two percent.
        self.n_probed = min(self.n_samples, min(1024, max(64, self.n_samples // 128)))
        # If scoring everything costs little more than testing bounds (test_cost of yinyang.h), bounds cannot win: an
        # example is k=10 at 20 features.
        self.hopeless = 2 * (4 + 300 // self.n_features) > n_clusters + 10
        self.probe_rows = (self.n_probed + 31) // 32 * 32

        self.memory = take_zeros(self._divide(NULL))
        if self.memory == NULL:
            raise MemoryError("no memory for the bounds of each sample; use algorithm='lloyd'.")
        self._divide(self.memory)
        self.now.packed = self.packed
        self.now.grouped = self.grouped
        self.now.n_groups = self.n_groups
        self.now.first_panel = self.first_panel
        self.now.center_of = self.center_of
        self.now.group_of = self.group_of
        self.now.center_drift = self.center_drift
        self.now.group_drift = self.group_drift
        self.probe_cost = 1.0
        self._take_probe(real_size)

    cdef size_t _divide(self, void *memory) noexcept nogil:
        """Divide memory, or count its bytes: see arena.h."""
        cdef const c.kernels *table = self.table
        cdef arena parts = arena_in(memory)
        cdef size_t k = self.n_clusters, d = self.n_features, n_groups = self.n_groups
        cdef size_t bound_size = aligned(self.n_blocks * self.n_rows * sizeof(float))
        cdef size_t probe_size = aligned(self.probe_rows * sizeof(float))
        cdef size_t n_rows = max(self.n_rows, self.probe_rows)
        self.wide_at = aligned(table.bound_scratch_bytes(k, d, n_rows))
        self.scratch_size = self.wide_at
        if self.clusters.stored is not None:
            self.scratch_size += aligned((self.n_rows + PADDED_ROWS) * d * (4 if self.is_float32 else 8))
        self.packed = <char *>take(&parts, table.packed_bytes(k, d))
        self.grouped = <char *>take(&parts, table.packed_bytes(k, d))
        self.previous = <double *>take(&parts, k * d * sizeof(double))
        self.placed = <double *>take(&parts, k * d * sizeof(double))
        self.offset = <double *>take(&parts, d * sizeof(double))
        self.direction = <double *>take(&parts, 2 * d * sizeof(double))
        self.keys = <double *>take(&parts, k * sizeof(double))
        self.shifts = <double *>take(&parts, k * sizeof(double))
        self.center_drift64 = <double *>take(&parts, k * sizeof(double))
        self.center_drift = <float *>take(&parts, k * sizeof(float))
        # The padding of the last panel counts as center 0.
        self.center_of = <int32_t *>take(&parts, (k + table.tile_centers) * sizeof(int32_t))
        self.group_of = <int32_t *>take(&parts, k * sizeof(int32_t))
        self.group_drift64 = <double *>take(&parts, n_groups * sizeof(double))
        self.group_drift = <float *>take(&parts, n_groups * sizeof(float))
        self.first_panel = <int32_t *>take(&parts, (n_groups + 1) * sizeof(int32_t))
        self.upper = <float *>take(&parts, bound_size)
        self.lower = <float *>take(&parts, n_groups * bound_size)
        self.probe_upper = <float *>take(&parts, probe_size)
        self.probe_lower = <float *>take(&parts, n_groups * probe_size)
        self.probe_labels = <int32_t *>take(&parts, self.probe_rows * sizeof(int32_t))
        self.probe = <char *>take(&parts, (self.n_probed * d + 64) * (4 if self.is_float32 else 8))
        self.counts = <size_t *>take(&parts, self.n_threads * 16 * sizeof(size_t))
        self.scratch = <char *>take(&parts, self.n_threads * self.scratch_size)
        return arena_bytes(&parts)

    cdef size_t _divide_quantized(self, void *memory, int bits) noexcept nogil:
        """The same for the memory with which bounds begin from quantized samples."""
        cdef arena parts = arena_in(memory)
        cdef size_t centers_size = self.table.quantized_centers_bytes(self.n_clusters, self.n_features, bits)
        self.whole_scratch_size = aligned(self.table.quantized_scratch_bytes(self.n_clusters, self.n_features))
        self.grouped_whole = <char *>take(&parts, centers_size)
        self.plain_whole = <char *>take(&parts, centers_size)
        self.whole_scratch = <char *>take(&parts, self.n_threads * self.whole_scratch_size)
        return arena_bytes(&parts)

    def __dealloc__(self):
        free(self.memory)
        free(self.quantized_memory)

    def step(self, const double[:, ::1] centers):
        """Label every sample with its nearest center, as LloydState.step does, and with the same labels."""
        check_shape("centers", centers.shape[0], centers.shape[1], self.n_clusters, self.n_features)
        cdef bint pays = False, reuse, laid_out
        cdef Py_ssize_t n_changed
        cdef double cost, dense_cost, dense_share = self._dense.share
        start_watch(&self.watch)
        with nogil:
            self._follow_centers(centers)
            laid_out = self.bounded or self.probed or self.now.insist
            if laid_out:
                self._lay_out(centers)
            if self.probed:
                # The next step would use the bounds. Its cost is expected to fall by the same factor as the last did.
                cost = self._probe_cost()
                pays = cost * min(1.0, cost / self.probe_cost) < TRY_BELOW * dense_share and cost < dense_share
                self.probe_cost = cost
                if cost > ASK_LATER:
                    self.n_waited = self.wait - 2
        raise_interrupt(&self.watch)
        reuse = self.bounded
        if reuse or pays or self.now.insist:
            if not reuse:
                self._group_centers()
                self._forget_drifts()
                self._place_centers()
                self.from_quantized = self._quantize_centers(centers)
            with nogil:
                self._label_blocks(reuse)
            raise_interrupt(&self.watch)
            self.stepped_by = "yinyang"
            self.n_decided = take_count(self.counts, self.n_threads, 0)
            self.n_scored = take_count(self.counts, self.n_threads, 1)
            cost = take_count(self.counts, self.n_threads, 2)
            n_changed = self.clusters.follow(self.new_labels)
            dense_cost = dense_share * self.n_samples * (self.n_clusters + 10.0)
            self.bounded = self.now.insist or cost < STOP_ABOVE * dense_cost
            if not self.bounded:
                self.wait = 2 * self.wait if self.wait else FIRST_WAIT
                self.n_waited = 0
                self.probe_cost = 1.0
        else:
            n_changed = self._dense.step(centers)
            self.stepped_by = self._dense.stepped_by
            self.n_decided = self._dense.n_decided
            self.n_scored = self.n_samples * self.n_clusters
            self.n_waited += 1
        # The probe's bounds begin at this step, and are tested in the next.
        self.probed = not self.bounded and not self.hopeless and self.n_waited >= self.wait
        if self.probed:
            with nogil:
                if not laid_out:
                    self._lay_out(centers)
                self._bound_probe()
        return n_changed

    def insist(self):
        """Use bounds from now on even where they do not pay, for tests."""
        self.now.insist = True

    @property
    def begins_from_quantized(self):
        """Whether there are quantized samples for bounds to begin from."""
        return self._dense.quantized is not None

    def bounds(self):
        """(upper, lower, group_of) as float64 distances today, for tests; None while there are none.

        upper : (n_samples,), of the distance to the own center.   lower : (n_samples, n_groups), of the distance to
        the nearest other center of the group.   group_of : (n_clusters,).
        """
        import numpy as np

        if not self.bounded:
            return None
        upper = np.empty(self.n_samples)
        lower = np.empty((self.n_samples, self.n_groups))
        group_of = np.array([self.group_of[j] for j in range(self.n_clusters)])
        cdef double[::1] upper_view = upper
        cdef double[:, ::1] lower_view = lower
        cdef Py_ssize_t i, g, b, row
        for i in range(self.n_samples):
            b, row = i // self.n_rows, i % self.n_rows
            upper_view[i] = (<double>self.upper[i] + self.center_drift[self.new_labels[i]]) / self.now.unit
            for g in range(self.n_groups):
                lower_view[i, g] = (<double>self.lower[(b * self.n_groups + g) * self.n_rows + row]
                                    - self.group_drift[g]) / self.now.unit
        return upper, lower, group_of

    cdef int _take_probe(self, size_t real_size) except -1:
        """Copy the probe: rows evenly spaced."""
        cdef Py_ssize_t p, i
        cdef char *row
        for p in range(self.n_probed):
            i = p * self.n_samples // self.n_probed
            row = self.probe + p * self.n_features * real_size
            if self.clusters.follower.stored != NULL:
                self.table.widen[self.is_float32](self.clusters.follower.stored, i, 1, row)
            else:
                memcpy(row, row_of(&self.clusters.follower, i), self.n_features * real_size)
        return 0

    # ------------------------------------------------------------ centers

    cdef void _follow_centers(self, const double[:, ::1] centers) noexcept nogil:
        """Add up how far the centers have moved, and keep them for the next step."""
        cdef Py_ssize_t j, f, k = self.n_clusters, d = self.n_features
        cdef double unit, largest = 0.0
        for f in range(d):
            self.offset[f] = 0.0
            for j in range(k):
                self.offset[f] += centers[j, f] / k
        for j in range(k):
            for f in range(d):
                largest = max(largest, fabs(centers[j, f] - self.offset[f]))
        unit = power_of_two_for(largest)
        if self.started:
            self._add_drifts(centers)
            if not 1e-6 < unit / self.now.unit < 1e6 or self._farthest() > FARTHEST_DRIFT:
                self.bounded = self.probed = False
        if not self.bounded and not self.probed:
            self.now.unit = unit
            self._forget_drifts()
        memcpy(self.previous, &centers[0, 0], k * d * sizeof(double))
        if not self.started:
            self._group_centers()
            self.started = True

    cdef void _lay_out(self, const double[:, ::1] centers) noexcept nogil:
        self.table.pack_centers(&centers[0, 0], self.n_clusters, self.n_features, self.offset, self.is_float32,
                                self.packed)
        self._place_centers()

    cdef void _forget_drifts(self) noexcept nogil:
        cdef Py_ssize_t j, g
        for j in range(self.n_clusters):
            self.center_drift64[j] = self.center_drift[j] = 0.0
        for g in range(self.n_groups):
            self.group_drift64[g] = self.group_drift[g] = 0.0

    cdef void _place_centers(self) noexcept nogil:
        """Lay the centers out group by group."""
        cdef Py_ssize_t j, k = self.n_clusters, d = self.n_features
        for j in range(k):
            memcpy(self.placed + j * d, self.previous + self.center_of[j] * d, d * sizeof(double))
        self.table.pack_centers(self.placed, k, d, self.offset, self.is_float32, self.grouped)

    cdef bint _quantize_centers(self, const double[:, ::1] centers) except -1:
        """Lay the centers out for quantized samples, if there are any and the centers do not lie too far out."""
        cdef const c.kernels *table = self.table
        rows = self._dense.quantized
        if rows is None or self.clusters.stored is not None:  # whole numbers of stored rows are not kept
            return False
        how, tiles, self.tile_bytes = rows.addresses
        if rows is not self._rows:
            self._rows = None
            free(self.quantized_memory)
            self.quantized_memory = take_zeros(self._divide_quantized(NULL, rows.bits))
            if self.quantized_memory == NULL:
                raise MemoryError("no memory for the quantized centers; use algorithm='lloyd'.")
            self._divide_quantized(self.quantized_memory, rows.bits)
            self._rows, self.tiles = rows, <char *><uintptr_t>tiles
        return table.quantize_centers(&centers[0, 0], self.n_clusters, <char *><uintptr_t>how, self.plain_whole) and \
            table.quantize_centers(self.placed, self.n_clusters, <char *><uintptr_t>how, self.grouped_whole)

    cdef void _add_drifts(self, const double[:, ::1] centers) noexcept nogil:
        cdef Py_ssize_t j, f, g, d = self.n_features
        cdef double sq, shift, difference
        for g in range(self.n_groups):
            self.keys[g] = 0.0
        for j in range(self.n_clusters):
            sq = 0.0
            for f in range(d):
                # In units, so that no square underflows that matters to a bound.
                difference = (centers[j, f] - self.previous[j * d + f]) * self.now.unit
                sq += difference * difference
            shift = sqrt(sq) * (1.0 + 1e-9)
            self.shifts[j] = shift
            self.center_drift64[j] += shift
            self.center_drift[j] = rounded_up(self.center_drift64[j])
            g = self.group_of[j]
            self.keys[g] = max(self.keys[g], shift)
        for g in range(self.n_groups):
            self.group_drift64[g] += self.keys[g]
            self.group_drift[g] = rounded_up(self.group_drift64[g])

    cdef double _farthest(self) noexcept nogil:
        cdef double farthest = 0.0
        cdef Py_ssize_t g
        for g in range(self.n_groups):
            # With a drift of NaN bounds must begin anew, too.
            if not self.group_drift64[g] <= farthest:
                farthest = self.group_drift64[g] if self.group_drift64[g] < 1e300 else 1e300
        return farthest

    cdef void _group_centers(self) noexcept nogil:
        """Make groups anew. Centers that moved farthest get own groups: one spoils the bounds of its group."""
        cdef Py_ssize_t j, g, place, tile = self.table.tile_centers
        cdef Py_ssize_t n_panels = (self.n_clusters + tile - 1) // tile
        cdef Py_ssize_t hot = 0, calm_panels = n_panels
        for j in range(self.n_clusters):
            self.center_of[j] = j
            self.keys[j] = self.shifts[j]
        if self.n_groups > 1 and self.started:
            hot = max(1, self.n_groups // HOT_GROUPS)
            calm_panels = n_panels * (self.n_groups - hot) // self.n_groups
            self._sort_places(0, self.n_clusters)
            self._halve(calm_panels, n_panels - calm_panels, self.n_groups - hot, hot)
        self._halve(0, calm_panels, 0, self.n_groups - hot)
        self.first_panel[self.n_groups] = n_panels
        for g in range(self.n_groups):
            for place in range(self.first_panel[g] * tile, min(self.first_panel[g + 1] * tile, self.n_clusters)):
                self.group_of[self.center_of[place]] = g

    cdef void _halve(self, Py_ssize_t panel, Py_ssize_t n_panels, Py_ssize_t group, Py_ssize_t n_groups) noexcept nogil:
        """Divide panels into groups of whole panels, by halves: each half gets panels in proportion to its groups."""
        cdef Py_ssize_t tile = self.table.tile_centers, left_groups = n_groups // 2
        cdef Py_ssize_t left_panels = n_panels * left_groups // n_groups
        self.first_panel[group] = panel
        if n_groups == 1:
            return
        self._sort_along_spread(panel * tile, min((panel + n_panels) * tile, self.n_clusters))
        self._halve(panel, left_panels, group, left_groups)
        self._halve(panel + left_panels, n_panels - left_panels, group + left_groups, n_groups - left_groups)

    cdef void _sort_along_spread(self, Py_ssize_t first, Py_ssize_t end) noexcept nogil:
        """Sort places by their centers' component along the leading principal direction (a few power iterations)."""
        cdef Py_ssize_t d = self.n_features, place, f
        cdef double *mean = self.direction
        cdef double *axis = self.direction + d
        if interrupted(&self.watch):
            return
        cdef double largest = 0.0, unit = self.now.unit
        cdef const double *center
        cdef int repeat
        for f in range(d):
            mean[f] = 0.0
            for place in range(first, end):
                mean[f] += self.previous[self.center_of[place] * d + f] * unit / (end - first)
            axis[f] = self.previous[self.center_of[first] * d + f] * unit - mean[f]
        for repeat in range(6):
            for place in range(first, end):
                center = self.previous + self.center_of[place] * d
                self.keys[place] = 0.0
                for f in range(d):
                    self.keys[place] += (center[f] * unit - mean[f]) * axis[f]
            if repeat == 5:
                break
            largest = 0.0
            for f in range(d):
                axis[f] = 0.0
                for place in range(first, end):
                    axis[f] += (self.previous[self.center_of[place] * d + f] * unit - mean[f]) * self.keys[place]
                largest = max(largest, fabs(axis[f]))
            for f in range(d):
                axis[f] = axis[f] / largest if largest > 0.0 else 1.0
        self._sort_places(first, end)

    cdef void _sort_places(self, Py_ssize_t first, Py_ssize_t end) noexcept nogil:
        """Sort places by their keys."""
        cdef Py_ssize_t place, other, gap = (end - first) // 2
        cdef double key
        cdef int32_t moving
        while gap > 0:
            for place in range(first + gap, end):
                key, moving, other = self.keys[place], self.center_of[place], place
                while other >= first + gap and self.keys[other - gap] > key:
                    self.keys[other] = self.keys[other - gap]
                    self.center_of[other] = self.center_of[other - gap]
                    other -= gap
                self.keys[other] = key
                self.center_of[other] = moving
            gap = 1 if gap == 2 else gap * 5 // 11

    # ------------------------------------------------------------ samples

    cdef void _label_blocks(self, bint reuse) noexcept nogil:
        cdef Py_ssize_t b
        for b in prange(self.n_blocks, schedule="dynamic", chunksize=1, num_threads=self.n_threads):
            self._label_block(b, reuse, threadid())

    cdef void _label_block(self, Py_ssize_t b, bint reuse, int t) noexcept nogil:
        """Label the rows of a block: by their bounds all at once, or anew piece by piece."""
        cdef Py_ssize_t first = b * self.n_rows, end = min(first + self.n_rows, self.n_samples), count
        cdef Py_ssize_t piece = self.n_rows if reuse else self.piece
        while first < end and not interrupted(&self.watch):
            count = min(piece, end - first)
            if reuse:
                self._label_by_bounds(first, count, t)
            else:
                self._label_anew(first, count, t)
            first = first + count

    cdef float *_lower_of(self, Py_ssize_t first) noexcept nogil:
        """Where the lower bounds of a row lie; those of the next group are n_rows apart."""
        return self.lower + first // self.n_rows * self.n_rows * self.n_groups + first % self.n_rows

    cdef const char *_rows_from(self, Py_ssize_t first, Py_ssize_t count, int t) noexcept nogil:
        """Where samples of a block lie as kernels read them. Stored rows are laid out first."""
        cdef char *wide = self.scratch + t * self.scratch_size + self.wide_at
        if self.clusters.follower.stored == NULL:
            return row_of(&self.clusters.follower, first)
        self.table.widen[self.is_float32](self.clusters.follower.stored, first, count, wide)
        return wide

    cdef Py_ssize_t _readable_from(self, Py_ssize_t first) noexcept nogil:
        return self.n_samples - first if self.clusters.follower.stored == NULL else self.n_rows + PADDED_ROWS

    cdef void _label_by_bounds(self, Py_ssize_t first, Py_ssize_t count, int t) noexcept nogil:
        cdef char *scratch = self.scratch + t * self.scratch_size
        cdef size_t *counts = self.counts + 16 * t
        cdef Py_ssize_t n_readable = self._readable_from(first)
        cdef c.bound_work work
        work.n_scored = work.cost = 0
        counts[0] += self.table.reassign_bounded[self.is_float32](self._rows_from(first, count, t), count,
                                                                  n_readable, &self.now, scratch,
                                                                  &self.new_labels[first], self.upper + first,
                                                                  self._lower_of(first), self.n_rows, &work)
        counts[1] += work.n_scored
        counts[2] += work.cost

    cdef void _label_anew(self, Py_ssize_t first, Py_ssize_t count, int t) noexcept nogil:
        cdef char *scratch = self.scratch + t * self.scratch_size
        cdef size_t *counts = self.counts + 16 * t
        cdef Py_ssize_t n_readable = self._readable_from(first)
        cdef int32_t *labels = &self.new_labels[first]
        cdef float *upper = self.upper + first
        cdef float *lower = self._lower_of(first)
        counts[1] += count * self.n_clusters
        if self.from_quantized:
            counts[0] += self._bound_quantized(first, count, labels, upper, lower, t)
        else:
            counts[0] += self.table.assign_bounded[self.is_float32](self._rows_from(first, count, t), count,
                                                                    n_readable, &self.now, scratch, labels, upper,
                                                                    lower, self.n_rows)

    cdef size_t _bound_quantized(self, Py_ssize_t first, Py_ssize_t count, int32_t *labels, float *upper, float *lower,
                                 int t) noexcept nogil:
        cdef const char *tiles = self.tiles + first // self.table.tile_samples * self.tile_bytes
        cdef char *scratch = self.whole_scratch + t * self.whole_scratch_size
        return self.table.bound_quantized[self.is_float32](row_of(&self.clusters.follower, first), count, tiles,
                                                           self.grouped_whole, self.plain_whole, &self.now, scratch,
                                                           labels, upper, lower, self.n_rows)

    cdef void _bound_probe(self) noexcept nogil:
        self.table.assign_bounded[self.is_float32](self.probe, self.n_probed, self.n_probed, &self.now, self.scratch,
                                                   self.probe_labels, self.probe_upper, self.probe_lower,
                                                   self.probe_rows)

    cdef double _probe_cost(self) noexcept nogil:
        """What a bounded step would cost, as a share of scoring everything."""
        cdef size_t n_centers
        n_centers = self.table.probe_bounds[self.is_float32](self.probe, self.n_probed, self.n_features, &self.now,
                                                             self.scratch, self.probe_labels, self.probe_upper,
                                                             self.probe_lower, self.probe_rows)
        return <double>n_centers / (self.n_probed * (self.n_clusters + 10.0))


cdef double power_of_two_for(double largest) noexcept nogil:
    """The power of two that brings `largest` into [1, 2)."""
    cdef int exponent
    if not 0.0 < largest < 1e308:
        return 1.0
    frexp(largest, &exponent)
    return ldexp(1.0, max(-1020, min(1020, 1 - exponent)))


cdef float rounded_up(double value) noexcept nogil:
    cdef float rounded = <float>value
    return nextafterf(rounded, 3e38) if rounded < value else rounded

# cython: language_level=3, freethreading_compatible=True, boundscheck=False, wraparound=False, cdivision=True
# cython: initializedcheck=False
"""Breathing: clusters are added where splits save most, and as many are removed where they are missed least.

B. Fritzke, "The breathing k-means algorithm", arXiv:2006.15666, 2020. Here centers are added by splitting clusters.
Only rows near centers that moved are compared with other centers, and a center that hardly gains by a move stays.
"""
from cython.parallel cimport prange
from libc.math cimport INFINITY, sqrt
from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.stdlib cimport free, malloc, qsort
from libc.string cimport memcmp, memcpy, memset

cimport kernels as c
from shared cimport (
    arena, arena_bytes, arena_in, ascending, check_count, check_shape, interrupted, kernels_in_use, raise_interrupt,
    ranked, signal_watch, start_watch, take,
)

cdef const c.kernels **in_use = kernels_in_use()

cdef enum:
    EIGHT = 8
    PIECE = 128           # eights that a thread takes at a time
    LEAST_RELATED = 20    # centers from which on it pays to know which are near one another
    STRIP = 64            # features whose sums are followed at a time: those of an eight lie in the first-level cache
    SHARED_VALUES = 1 << 16  # threads share the following and gathering of so many values

# A split is tried only if it saves at least this share of what the removal of a center costs, before other centers
# move. Over 17 sets of samples a share of 0 found the same optima in up to three times the work; 0.2 missed some.
cdef double HOPE = 0.1
cdef double LEAST_GAIN = 1e-6    # share of the inertia by which it must fall, else rounding could go on for ever
cdef double LEAST_SHIFT = 1e-4   # a center moves if that lowers the inertia by this share of a mean cluster's


cdef struct position:
    # What an attempt may change: copied before it, and back if it fails.
    double *centers              # [n_places][n_features]
    double *sums                 # [n_places][n_features]: of weight * x
    double *masses               # [n_places]: of weights
    double *sq_nearest           # [n_eights][8]
    double *sq_second
    int64_t *nearest             # [n_eights][8]: numbers of places
    int64_t *second
    int32_t *owners              # [n_samples]: whose sums count the row
    uint8_t *alive               # [n_places]: whether a place holds a center


cdef class Breathing:
    """Samples and centers, with room for more centers.

    Parameters
    ----------
    X : (n_samples, n_features) float32 or float64, C order, finite.
    sample_weight : (n_samples,) float64 or None for ones.
    centers : (n_clusters >= 2, n_features) float64.   most_added : room for so many more centers.
    n_threads : int >= 1.
    """

    cdef const float[:, ::1] x32
    cdef const double[:, ::1] x64
    cdef const char *x           # whichever of these there is
    cdef const double[::1] sample_weight
    cdef bint is_float32
    cdef Py_ssize_t n_samples, n_features, n_clusters, n_places, n_eights
    cdef double work             # features of pairs of sample and center that were compared, and the like
    cdef void *memory
    cdef size_t size             # bytes of a position
    cdef position now, before
    cdef double *eights          # [n_eights][n_features][8]
    cdef double *weights         # [n_samples], in the order of eights
    cdef int64_t *rows           # [n_samples]: rows of X in the order of eights
    cdef int32_t *members        # [n_samples]: numbers in the order of eights, by cluster; scratch of _follow
    cdef int32_t *member_rows    # [n_samples]: the same as rows of X; scratch of _follow
    cdef int32_t *starts         # [n_places + 1]: where those of each cluster begin
    cdef int32_t *all            # [n_places]: places that hold centers
    cdef int32_t *moved          # [n_places]: those of them that moved
    cdef uint8_t *has_moved      # [n_places]: 1 for these, and for places that lost their center
    cdef double *shifts          # [n_places]: how far each moved; infinite if it lost its center
    cdef double *apart           # [n_places][n_places]: distances between centers
    cdef int32_t *around         # [n_places][n_places]: places by distance
    cdef double *related         # [n_places][n_features]: the centers that `apart` was computed for
    cdef uint8_t *is_related     # [n_places]: 0 for none so far, 1 if the place had no center, 2 if it had one
    cdef uint8_t *is_stale       # [n_places]: whether the center differs from that one
    cdef int32_t *stale          # [n_places]: the places where it does
    cdef uint8_t *spared         # [n_places]
    cdef uint8_t *is_split       # [n_places]: whether `saved` and `halves` are those of the cluster
    cdef uint8_t *has_failed     # [n_places]: whether this split alone was tried in vain
    cdef double *saved           # [n_places]: what its split saves
    cdef double *halves          # [n_places][2][n_features], from its mean on
    cdef double *mean            # [n_features]
    cdef double *direction       # [n_features]
    cdef ranked *by_inertia      # [n_places]
    cdef ranked *by_saving       # [n_places]
    cdef ranked *by_utility      # [n_places]
    cdef Py_ssize_t n_all, n_moved, failures
    cdef bint is_placed          # whether each row has two nearest centers
    cdef int n_threads
    cdef signal_watch watch

    def __cinit__(self, X, sample_weight, const double[:, ::1] centers, Py_ssize_t most_added, int n_threads):
        self.is_float32 = X.dtype.itemsize == 4
        if self.is_float32:
            self.x32 = X
        else:
            self.x64 = X
        self.sample_weight = sample_weight
        self.n_samples, self.n_features, self.n_clusters = len(X), X.shape[1], centers.shape[0]
        check_shape("centers", centers.shape[0], centers.shape[1], centers.shape[0], self.n_features)
        if self.n_clusters < 2 or most_added < 1 or self.n_samples < 1 \
                or sample_weight is not None and self.sample_weight.shape[0] != self.n_samples:
            raise ValueError("Breathing got shapes that do not fit together.")
        self.x = <const char *>&self.x32[0, 0] if self.is_float32 else <const char *>&self.x64[0, 0]
        check_count("n_threads", n_threads)
        self.n_threads = n_threads
        self.n_places = self.n_clusters + most_added
        self.n_eights = (self.n_samples + EIGHT - 1) // EIGHT
        self.memory = malloc(self._divide(NULL))
        if self.memory == NULL:
            raise MemoryError("no memory to try more clusters; use init='k-means++'.")
        self._divide(self.memory)
        start_watch(&self.watch)
        with nogil:
            self._begin(&centers[0, 0])
        raise_interrupt(&self.watch)

    def __dealloc__(self):
        free(self.memory)

    cdef size_t _divide(self, void *memory) noexcept nogil:
        """Divide memory, or count its bytes: see arena.h."""
        cdef arena parts = arena_in(memory)
        cdef size_t places = self.n_places, padded = self.n_eights * EIGHT
        self._divide_position(&parts, &self.now)
        self._divide_position(&parts, &self.before)
        self.size = <char *>self.before.centers - <char *>self.now.centers
        self.eights = <double *>take(&parts, padded * self.n_features * sizeof(double))
        self.weights = <double *>take(&parts, self.n_samples * sizeof(double))
        self.rows = <int64_t *>take(&parts, self.n_samples * sizeof(int64_t))
        self.members = <int32_t *>take(&parts, self.n_samples * sizeof(int32_t))
        self.member_rows = <int32_t *>take(&parts, self.n_samples * sizeof(int32_t))
        self.starts = <int32_t *>take(&parts, (places + 1) * sizeof(int32_t))
        self.all = <int32_t *>take(&parts, places * sizeof(int32_t))
        self.moved = <int32_t *>take(&parts, places * sizeof(int32_t))
        self.has_moved = <uint8_t *>take(&parts, places)
        self.shifts = <double *>take(&parts, places * sizeof(double))
        self.apart = <double *>take(&parts, places * places * sizeof(double))
        self.around = <int32_t *>take(&parts, places * places * sizeof(int32_t))
        self.related = <double *>take(&parts, places * self.n_features * sizeof(double))
        self.is_related = <uint8_t *>take(&parts, places)
        self.is_stale = <uint8_t *>take(&parts, places)
        self.stale = <int32_t *>take(&parts, places * sizeof(int32_t))
        self.spared = <uint8_t *>take(&parts, places)
        self.is_split = <uint8_t *>take(&parts, places)
        self.has_failed = <uint8_t *>take(&parts, places)
        self.saved = <double *>take(&parts, places * sizeof(double))
        self.halves = <double *>take(&parts, 2 * places * self.n_features * sizeof(double))
        self.mean = <double *>take(&parts, self.n_features * sizeof(double))
        self.direction = <double *>take(&parts, self.n_features * sizeof(double))
        self.by_inertia = <ranked *>take(&parts, places * sizeof(ranked))
        self.by_saving = <ranked *>take(&parts, places * sizeof(ranked))
        self.by_utility = <ranked *>take(&parts, places * sizeof(ranked))
        return arena_bytes(&parts)

    cdef void _divide_position(self, arena *parts, position *of) noexcept nogil:
        cdef size_t places = self.n_places, padded = self.n_eights * EIGHT
        of.centers = <double *>take(parts, places * self.n_features * sizeof(double))
        of.sums = <double *>take(parts, places * self.n_features * sizeof(double))
        of.masses = <double *>take(parts, places * sizeof(double))
        of.sq_nearest = <double *>take(parts, padded * sizeof(double))
        of.sq_second = <double *>take(parts, padded * sizeof(double))
        of.nearest = <int64_t *>take(parts, padded * sizeof(int64_t))
        of.second = <int64_t *>take(parts, padded * sizeof(int64_t))
        of.owners = <int32_t *>take(parts, self.n_samples * sizeof(int32_t))
        of.alive = <uint8_t *>take(parts, places)

    cdef void _begin(self, const double *centers) noexcept nogil:
        """Lay the rows out, and sum the clusters.

        Where centers are many the rows lie by cluster: so most eights have one nearest center, and meet those around.
        """
        cdef Py_ssize_t i
        memset(self.now.centers, 0, self.size)
        memcpy(self.now.centers, centers, self.n_clusters * self.n_features * sizeof(double))
        memset(self.now.alive, 1, self.n_clusters)
        memset(self.is_split, 0, self.n_places)
        memset(self.is_related, 0, self.n_places)
        memset(self.apart, 0, self.n_places * self.n_places * sizeof(double))
        for i in range(self.n_samples):
            self.rows[i] = i
        for i in range(self.n_places * self.n_places):
            self.around[i] = <int32_t>(i % self.n_places)
        self._list_all()
        self._gather()
        self.n_moved = self.n_all
        self._compare()
        for i in range(self.n_samples):
            self.now.owners[i] = <int32_t>self.now.nearest[i]
        if self.n_places >= LEAST_RELATED:
            self._sort()
            self._reorder()
            self._gather()
        memset(self.now.owners, 0xff, self.n_samples * sizeof(int32_t))
        self._follow()
        self.is_placed = True

    cdef void _reorder(self) noexcept nogil:
        """Put rows and their nearest centers in the order of `members`; copies of the last row fill the last eight."""
        cdef Py_ssize_t i, at
        memcpy(self.before.centers, self.now.centers, self.size)
        for i in range(self.n_eights * EIGHT):
            at = self.members[min(i, self.n_samples - 1)]
            if i < self.n_samples:
                self.rows[i] = at
            self.now.nearest[i], self.now.sq_nearest[i] = self.before.nearest[at], self.before.sq_nearest[at]
            self.now.second[i], self.now.sq_second[i] = self.before.second[at], self.before.sq_second[at]

    cdef void _gather(self) noexcept nogil:
        """Lay out the values and weights of the rows."""
        cdef Py_ssize_t i, p, n_pieces = (self.n_eights + PIECE - 1) // PIECE
        if self.n_threads == 1 or self.n_samples * self.n_features < SHARED_VALUES:
            for p in range(n_pieces):
                self._gather_piece(p * PIECE * EIGHT)
        else:
            for p in prange(n_pieces, schedule="static", num_threads=self.n_threads):
                self._gather_piece(p * PIECE * EIGHT)
        for i in range(self.n_samples):
            self.weights[i] = 1.0 if self.sample_weight is None else self.sample_weight[self.rows[i]]

    cdef void _gather_piece(self, Py_ssize_t first) noexcept nogil:
        in_use[0].gather_eights[self.is_float32](
            self.x, self.n_features, self.rows + first, min(PIECE * EIGHT, self.n_samples - first),
            self.eights + first * self.n_features)

    cdef void _list_all(self) noexcept nogil:
        cdef Py_ssize_t j
        self.n_all = 0
        for j in range(self.n_places):
            if self.now.alive[j]:
                self.all[self.n_all] = <int32_t>j
                self.n_all += 1

    cdef void _sort(self) noexcept nogil:
        """Lay the numbers of rows out by owner."""
        cdef Py_ssize_t i, j
        cdef int32_t count, start = 0
        memset(self.starts, 0, (self.n_places + 1) * sizeof(int32_t))
        for i in range(self.n_samples):
            self.starts[self.now.owners[i]] += 1
        for j in range(self.n_places):
            count = self.starts[j]
            self.starts[j] = start
            start += count
        for i in range(self.n_samples):
            j = self.now.owners[i]
            self.members[self.starts[j]] = <int32_t>i
            self.member_rows[self.starts[j]] = <int32_t>self.rows[i]
            self.starts[j] += 1
        for j in range(self.n_places, 0, -1):  # by now starts[j] is the end of cluster j
            self.starts[j] = self.starts[j - 1]
        self.starts[0] = 0
        self.work += 8.0 * self.n_samples

    cdef void _compare(self) noexcept nogil:
        """Find the two nearest centers of each row after some centers moved."""
        cdef c.center_moves moves
        cdef Py_ssize_t p, n_pieces = (self.n_eights + PIECE - 1) // PIECE
        cdef size_t n_compared = 0
        if interrupted(&self.watch):
            return
        moves.n_places, moves.n_all, moves.n_moved = self.n_places, self.n_all, self.n_moved
        moves.all, moves.moved, moves.has_moved = self.all, self.moved, self.has_moved
        moves.shifts, moves.apart, moves.around = self.shifts, NULL, self.around
        if self.is_placed and self.n_all >= LEAST_RELATED:
            self._relate()
            moves.apart = self.apart
        if self.n_threads == 1 or n_pieces == 1:
            n_compared = self._compare_piece(&moves, 0, self.n_eights)
        else:
            for p in prange(n_pieces, schedule="dynamic", num_threads=self.n_threads):
                n_compared += self._compare_piece(&moves, p * PIECE, min(PIECE, self.n_eights - p * PIECE))
        self.work += n_compared * (self.n_features + 6.0) + 12.0 * self.n_samples

    cdef size_t _compare_piece(self, const c.center_moves *moves, Py_ssize_t first, Py_ssize_t count) noexcept nogil:
        return in_use[0].two_nearest(
            self.eights + first * EIGHT * self.n_features, count, self.n_features, self.now.centers, moves,
            self.now.nearest + first * EIGHT, self.now.sq_nearest + first * EIGHT, self.now.second + first * EIGHT,
            self.now.sq_second + first * EIGHT)

    cdef void _relate(self) noexcept nogil:
        """Find the distances between centers, and put the places in order around each."""
        cdef Py_ssize_t i, a, n = self.n_places, n_stale = self._find_stale()
        cdef int32_t j
        for i in range(n):
            for a in range(n_stale):
                j = self.stale[a]
                if i < j or not self.is_stale[i]:
                    self.apart[i * n + j] = self.apart[j * n + i] = self._distance(i, j)
        for i in range(n):
            if self.now.alive[i]:
                self._put_in_order(self.around + i * n, self.apart + i * n)
        self.work += n * n * (0.5 * self.n_features + 20.0)

    cdef Py_ssize_t _find_stale(self) noexcept nogil:
        """List the places whose center differs from the one that `apart` was computed for; return how many."""
        cdef Py_ssize_t j, n_stale = 0
        cdef size_t size = self.n_features * sizeof(double)
        cdef double *own
        for j in range(self.n_places):
            own = self.related + j * self.n_features
            self.is_stale[j] = self.is_related[j] != 1 + self.now.alive[j] or memcmp(
                own, self.now.centers + j * self.n_features, size) != 0
            if self.is_stale[j]:
                self.stale[n_stale] = <int32_t>j
                n_stale += 1
                self.is_related[j] = 1 + self.now.alive[j]
                memcpy(own, self.now.centers + j * self.n_features, size)
        return n_stale

    cdef double _distance(self, Py_ssize_t i, Py_ssize_t j) noexcept nogil:
        """Between the centers at two places; infinite if one has none."""
        cdef Py_ssize_t f
        cdef double sq = 0.0, away
        cdef const double *own = self.now.centers + i * self.n_features
        cdef const double *other = self.now.centers + j * self.n_features
        if not (self.now.alive[i] and self.now.alive[j]):
            return INFINITY
        for f in range(self.n_features):
            away = own[f] - other[f]
            sq += away * away
        return sqrt(sq)

    cdef void _put_in_order(self, int32_t *around, const double *apart) noexcept nogil:
        """By insertion, because most are in order already."""
        cdef Py_ssize_t a, b
        cdef int32_t place
        cdef double distance, largest = apart[around[0]]
        for a in range(1, self.n_places):
            place = around[a]
            distance = apart[place]
            if distance >= largest:
                largest = distance
                continue
            b = a
            while b > 0 and apart[around[b - 1]] > distance:
                around[b] = around[b - 1]
                b -= 1
            around[b] = place

    cdef void _follow(self) noexcept nogil:
        """Let each row count for the sums of its nearest center.

        Strip of features by strip: eights lie in memory feature by feature, and threads may take strips.
        """
        cdef Py_ssize_t i, n_changed = 0, strip, n_strips = (self.n_features + STRIP - 1) // STRIP
        for i in range(self.n_samples):
            if self.now.nearest[i] != self.now.owners[i]:
                self.members[n_changed], self.member_rows[n_changed] = <int32_t>i, self.now.owners[i]
                n_changed += 1
                self.now.masses[self.now.nearest[i]] += self.weights[i]
                if self.now.owners[i] >= 0:
                    self.now.masses[self.now.owners[i]] -= self.weights[i]
                self.now.owners[i] = <int32_t>self.now.nearest[i]
        if self.n_threads == 1 or n_changed * self.n_features < SHARED_VALUES:
            for strip in range(n_strips):
                self._follow_strip(strip * STRIP, n_changed)
        else:
            for strip in prange(n_strips, schedule="static", num_threads=self.n_threads):
                self._follow_strip(strip * STRIP, n_changed)

    cdef void _follow_strip(self, Py_ssize_t first, Py_ssize_t n_changed) noexcept nogil:
        """Let the rows in `members` count for other sums of some features. Their owners were those in `member_rows`."""
        cdef Py_ssize_t a, f, i, n_features = self.n_features, end = min(first + STRIP, n_features)
        cdef const double *row
        cdef double *to_sums
        cdef double *from_sums
        cdef double term
        for a in range(n_changed):
            i = self.members[a]
            row = self.eights + (i // EIGHT) * EIGHT * n_features + i % EIGHT
            to_sums = self.now.sums + self.now.owners[i] * n_features
            from_sums = self.now.sums + self.member_rows[a] * n_features
            for f in range(first, end):
                term = self.weights[i] * row[f * EIGHT]
                to_sums[f] += term
                if self.member_rows[a] >= 0:
                    from_sums[f] -= term

    cdef double _shift(self, Py_ssize_t j) noexcept nogil:
        """By how much the inertia falls if center j moves to its mean, which is written."""
        cdef Py_ssize_t f
        cdef double away, sq_shift = 0.0, mass = self.now.masses[j]
        if not mass > 0.0:
            return 0.0
        for f in range(self.n_features):
            self.mean[f] = self.now.sums[j * self.n_features + f] / mass
            away = self.mean[f] - self.now.centers[j * self.n_features + f]
            sq_shift += away * away
        return mass * sq_shift

    cdef double _inertia(self) noexcept nogil:
        """The inertia that the means of the clusters have."""
        cdef Py_ssize_t i, a
        cdef double inertia = 0.0
        for i in range(self.n_samples):
            inertia += self.weights[i] * self.now.sq_nearest[i]
        for a in range(self.n_all):
            inertia -= self._shift(self.all[a])
        return inertia

    cdef void _forget_moves(self) noexcept nogil:
        cdef Py_ssize_t j
        self.n_moved = 0
        memset(self.has_moved, 0, self.n_places)
        for j in range(self.n_places):
            self.shifts[j] = 0.0 if self.now.alive[j] else INFINITY

    cdef void _move(self, Py_ssize_t j, const double *center) noexcept nogil:
        """Move the center at a place that has one."""
        cdef Py_ssize_t f
        cdef double *own = self.now.centers + j * self.n_features
        cdef double away, sq_shift = 0.0
        for f in range(self.n_features):
            away = center[f] - own[f]
            sq_shift += away * away
            own[f] = center[f]
        self.shifts[j] = sqrt(sq_shift)
        self.has_moved[j] = 1
        self.moved[self.n_moved] = <int32_t>j
        self.n_moved += 1

    cdef void _iterate(self, Py_ssize_t n_iterations, double least) noexcept nogil:
        """Move centers to their means, where that lowers the inertia by at least so much, and let the rows follow."""
        cdef Py_ssize_t _iteration, a, j
        for _iteration in range(n_iterations):
            self._forget_moves()
            for a in range(self.n_all):
                j = self.all[a]
                if self._shift(j) > least:
                    self._move(j, self.mean)
            if self.n_moved == 0:
                return
            self._compare()
            self._follow()

    cdef Py_ssize_t _rank_splits(self, double least) noexcept nogil:
        """Try to split the clusters whose inertia is at least so much: no split saves more. The best splits come first.

        Returns how many save any.
        """
        cdef Py_ssize_t a, j, n_tried = 0
        self._rank_inertias()
        if not self._inertia_of(0) >= least:
            return 0
        self._sort()
        for a in range(self.n_all):
            j = self.by_inertia[a].index
            if not self._inertia_of(a) >= least:
                break
            if not self.is_split[j] and not interrupted(&self.watch):
                self._split(j)
            if self.saved[j] > 0.0 and not self.has_failed[j]:
                self.by_saving[n_tried].index, self.by_saving[n_tried].value = <int32_t>j, -self.saved[j]
                n_tried += 1
        qsort(self.by_saving, n_tried, sizeof(ranked), ascending)
        return n_tried

    cdef void _rank_inertias(self) noexcept nogil:
        """The clusters of the largest inertia come first."""
        cdef Py_ssize_t i, a, j
        for j in range(self.n_places):
            self.by_inertia[j].value, self.by_inertia[j].index = 0.0, <int32_t>j
        for i in range(self.n_samples):
            self.by_inertia[self.now.owners[i]].value -= self.weights[i] * self.now.sq_nearest[i]
        for a in range(self.n_all):
            self.by_inertia[a] = self.by_inertia[self.all[a]]
        qsort(self.by_inertia, self.n_all, sizeof(ranked), ascending)

    cdef double _inertia_of(self, Py_ssize_t a) noexcept nogil:
        return -self.by_inertia[a].value

    cdef void _split(self, Py_ssize_t j) noexcept nogil:
        """Split a cluster on trial: write its halves, and what the split saves."""
        cdef const c.kernels *table = in_use[0]
        cdef const double *weights = NULL if self.sample_weight is None else &self.sample_weight[0]
        cdef int32_t far
        cdef size_t count = self.starts[j + 1] - self.starts[j]
        self._shift(j)
        self.saved[j] = 0.0
        table.inertia_of_cluster[self.is_float32](self.x, self.n_features, self.member_rows + self.starts[j], count,
                                                  weights, self.mean, &far)
        if far >= 0:
            self.saved[j] = table.split_cluster[self.is_float32](
                self.x, self.n_features, self.member_rows + self.starts[j], count, weights, self.mean, far, 0.0, 3, 256,
                self.direction, self.halves + 2 * j * self.n_features)
        self.is_split[j], self.has_failed[j] = 1, 0
        self.work += (6.0 * self.n_features + 20.0) * count

    cdef void _rank_utilities(self) noexcept nogil:
        """By how much the inertia rises without each center; the least missed come first."""
        cdef Py_ssize_t i, a, j
        for j in range(self.n_places):
            self.by_utility[j].value, self.by_utility[j].index = 0.0, <int32_t>j
        for i in range(self.n_samples):
            self.by_utility[self.now.nearest[i]].value += self.weights[i] * (
                self.now.sq_second[i] - self.now.sq_nearest[i])
        for a in range(self.n_all):
            self.by_utility[a] = self.by_utility[self.all[a]]
        qsort(self.by_utility, self.n_all, sizeof(ranked), ascending)
        self.work += 4.0 * self.n_samples

    cdef void _add(self, Py_ssize_t count) noexcept nogil:
        """Split the clusters whose splits save most."""
        cdef Py_ssize_t s, j, f, place = 0, n_features = self.n_features
        cdef double mean
        self._forget_moves()
        for s in range(count):
            j = self.by_saving[s].index
            while self.now.alive[place]:
                place += 1
            self.now.alive[place] = 1
            for f in range(n_features):
                mean = self.now.sums[j * n_features + f] / self.now.masses[j]
                self.mean[f] = mean + self.halves[2 * j * n_features + f]
                self.direction[f] = mean + self.halves[(2 * j + 1) * n_features + f]
            self._move(j, self.mean)
            self._move(place, self.direction)
            self.now.masses[place] = 0.0
            memset(self.now.sums + place * n_features, 0, n_features * sizeof(double))
        self._list_all()
        self._compare()
        self._follow()

    cdef void _remove(self, Py_ssize_t count) noexcept nogil:
        """Remove the centers that are missed least. A center that takes rows over from one of them is spared."""
        cdef Py_ssize_t a, i, j, n_removed = 0
        self._rank_utilities()
        self._sort()
        self._forget_moves()
        memset(self.spared, 0, self.n_places)
        for a in range(self.n_all):
            j = self.by_utility[a].index
            if n_removed < count and not self.spared[j]:
                self._drop(j)
                n_removed += 1
                for i in range(self.starts[j], self.starts[j + 1]):
                    self.spared[self.now.second[self.members[i]]] = 1
        for a in range(self.n_all):  # if all others are spared
            j = self.by_utility[a].index
            if n_removed < count and self.now.alive[j]:
                self._drop(j)
                n_removed += 1
        self._list_all()
        self._compare()
        self._follow()

    cdef void _drop(self, Py_ssize_t j) noexcept nogil:
        self.now.alive[j] = 0
        self.has_moved[j] = 1
        self.shifts[j] = INFINITY

    cdef void _forget_splits(self) noexcept nogil:
        """Forget the splits of clusters that an attempt changed."""
        cdef Py_ssize_t j
        cdef size_t size = self.n_features * sizeof(double)
        for j in range(self.n_places):
            if self.now.masses[j] != self.before.masses[j] or memcmp(
                    self.now.sums + j * self.n_features, self.before.sums + j * self.n_features, size) != 0:
                self.is_split[j] = 0

    def search(self, double[:, ::1] centers, Py_ssize_t added, Py_ssize_t n_iterations, double most_work):
        """Add and remove clusters as long as that lowers the inertia.

        centers : (n_clusters, n_features), written: the means of the best clusters.   added : clusters to add at first.
        n_iterations : after clusters are added, and again after others are removed.   most_work : see `work`.
        Returns the inertia of the centers, which is not finite if squares overflow.

        An attempt that fails is followed by one with fewer clusters. A cluster whose split alone failed is split again
        only after it has changed.
        """
        cdef double inertia
        check_shape("centers", centers.shape[0], centers.shape[1], self.n_clusters, self.n_features)
        start_watch(&self.watch)
        with nogil:
            inertia = self._search(added, n_iterations, most_work)
            self._write(&centers[0, 0])
        raise_interrupt(&self.watch)
        return inertia

    cdef double _search(self, Py_ssize_t added, Py_ssize_t n_iterations, double most_work) noexcept nogil:
        cdef Py_ssize_t n_splits, count, most = self.n_places - self.n_clusters
        cdef double inertia, attempted, least
        inertia = self._inertia()
        self._iterate(n_iterations, LEAST_SHIFT * inertia / self.n_clusters)
        inertia = self._inertia()
        while added > 0 and inertia > 0.0 and inertia < INFINITY and self.work < most_work:
            least = LEAST_SHIFT * inertia / self.n_clusters
            self._rank_utilities()
            n_splits = self._rank_splits(HOPE * self.by_utility[0].value)
            count = 0
            while count < min(n_splits, self.n_all) and -self.by_saving[count].value > self.by_utility[count].value:
                count += 1
            count = min(max(count, added), most, n_splits)
            while count > 0 and -self.by_saving[count - 1].value < HOPE * self.by_utility[count - 1].value:
                count -= 1
            if count == 0 or interrupted(&self.watch):
                return inertia
            memcpy(self.before.centers, self.now.centers, self.size)
            self._add(count)
            self._iterate(n_iterations, least)
            self._remove(count)
            self._iterate(n_iterations, least)
            attempted = self._inertia()
            if attempted < inertia * (1.0 - LEAST_GAIN):
                inertia = attempted
                self._forget_splits()
                continue
            memcpy(self.now.centers, self.before.centers, self.size)
            self._list_all()
            self.failures += 1
            if count == 1:
                self.has_failed[self.by_saving[0].index] = 1
            elif count <= added:
                added = added // 2
            else:
                most = added
        return inertia

    cdef void _write(self, double *centers) noexcept nogil:
        cdef Py_ssize_t a, f, j, n_features = self.n_features
        for a in range(self.n_all):
            j = self.all[a]
            for f in range(n_features):
                centers[a * n_features + f] = self.now.sums[j * n_features + f] / self.now.masses[j] \
                    if self.now.masses[j] > 0.0 else self.now.centers[j * n_features + f]

    @property
    def spent(self):
        """The work of all searches so far."""
        return self.work

    @property
    def n_failures(self):
        """How many attempts were in vain."""
        return self.failures

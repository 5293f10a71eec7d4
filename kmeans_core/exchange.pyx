# cython: language_level=3, freethreading_compatible=True, boundscheck=False, wraparound=False, cdivision=True
# cython: initializedcheck=False
"""Exchange clusters: merge pairs of them and split others, as long as the splits save more than the merges cost."""
from cython.parallel cimport prange, threadid
from libc.math cimport INFINITY, fabs
from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.stdlib cimport free, malloc, qsort
from libc.string cimport memset

cimport kernels as c
from fastkmeans._core.stored cimport StoredRows
from shared cimport (
    arena, arena_bytes, arena_in, ascending, check_count, interrupted, kernels_in_use, raise_interrupt, ranked,
    signal_watch, sort_by_label, start_watch, take,
)

cdef const c.kernels **in_use = kernels_in_use()

# Clusters are exchanged only if the root mean square distance per feature is at least so many roundings: below it,
# savings are noise. At 330 roundings the inertia of a fuzzed fit rose by 0.7 %, at one or two by 19 %.
cdef double DISTANCE_IN_ROUNDINGS = 1000.0

cdef struct own_rows:
    # The rows of a cluster, and where they lie.   far : place among them of the farthest one
    const char *x
    const int32_t *rows
    const double *weights        # by place in x, or NULL for ones
    size_t count
    int32_t far
    void *memory                 # of stored rows that are laid out, else NULL


cdef class Exchange:
    """What merging and splitting the clusters of some labels would cost and save.

    Parameters
    ----------
    X : (n_samples, n_features) float32 or float64, C order, finite; or StoredRows, of which each thread lays out one
        cluster at a time.
    sample_weight : (n_samples,) float64 or None for ones.   labels : (n_samples,) int32.
    weights : (n_clusters,) float64, of each cluster.   means : (n_clusters, n_features) float64, which apply moves.
    n_trial : clusters that are split on trial, those of the largest inertia.
    n_iterations, most_rows : see split_cluster in kernels/kernels.h.   n_threads : int >= 1.

    Arrays lie in one block of memory: a fit of 300 samples takes less time than NumPy takes to make ten of them.
    """

    cdef const float[:, ::1] x32
    cdef const double[:, ::1] x64
    cdef StoredRows stored
    cdef const char *x           # whichever of these there is; NULL for stored rows
    cdef const double[::1] sample_weight, weights
    cdef double[:, ::1] means
    cdef bint is_float32
    cdef Py_ssize_t n_samples, n_clusters, n_features, n_trial, n_iterations, most_rows
    cdef int n_threads
    cdef void *memory
    cdef ranked *merges          # [n_clusters]: what the cheapest merge of each cluster costs
    cdef ranked *tried           # [n_clusters]: minus the inertia of each; the first n_trial are split
    cdef ranked *splits          # [n_trial]: minus what each of these splits saves
    cdef double *halves          # [n_trial][2][n_features]
    cdef double *scratch         # [n_threads][n_features]
    cdef int32_t *rows           # [n_samples]: by cluster
    cdef int32_t *starts         # [n_clusters + 1]: where those of each cluster begin
    cdef int32_t *partners       # [n_clusters]
    cdef int32_t *far            # [n_clusters]
    cdef uint8_t *taken          # [n_clusters]
    cdef signal_watch watch
    cdef bint lacks_memory

    def __cinit__(self, X, sample_weight, const int32_t[::1] labels, weights, means, Py_ssize_t n_trial,
                  Py_ssize_t n_iterations, Py_ssize_t most_rows, int n_threads):
        self.is_float32 = X.dtype.itemsize == 4
        if isinstance(X, StoredRows):
            self.stored = X
        elif self.is_float32:
            self.x32 = X
        else:
            self.x64 = X
        self.sample_weight, self.weights, self.means = sample_weight, weights, means
        self.n_samples, self.n_clusters, self.n_features = len(X), self.means.shape[0], self.means.shape[1]
        self.n_trial = min(n_trial, self.n_clusters)
        self.n_iterations, self.most_rows, self.n_threads = n_iterations, most_rows, n_threads
        check_count("n_threads", n_threads)
        check_count("n_clusters", self.n_clusters)
        check_count("most_rows", most_rows)
        if X.shape[1] != self.n_features or labels.shape[0] != self.n_samples \
                or self.weights.shape[0] != self.n_clusters \
                or sample_weight is not None and self.sample_weight.shape[0] != self.n_samples:
            raise ValueError("Exchange got shapes that do not fit together.")
        if self.stored is None:
            self.x = <const char *>&self.x32[0, 0] if self.is_float32 else <const char *>&self.x64[0, 0]
        self.memory = malloc(self._divide(NULL))
        if self.memory == NULL:
            raise MemoryError("no memory to list the samples of each cluster; use init='k-means++'.")
        self._divide(self.memory)
        start_watch(&self.watch)
        with nogil:
            sort_by_label(&labels[0], self.n_samples, self.n_clusters, self.rows, self.starts)
            self._weigh()
            self._split()
        raise_interrupt(&self.watch)
        if self.lacks_memory:
            raise MemoryError("no memory to lay out the samples of a cluster; use init='k-means++'.")

    def __dealloc__(self):
        free(self.memory)

    cdef size_t _divide(self, void *memory) noexcept nogil:
        """Divide memory, or count its bytes: see arena.h."""
        cdef arena parts = arena_in(memory)
        self.halves = <double *>take(&parts, 2 * self.n_trial * self.n_features * sizeof(double))
        self.scratch = <double *>take(&parts, self.n_threads * self.n_features * sizeof(double))
        self.merges = <ranked *>take(&parts, self.n_clusters * sizeof(ranked))
        self.tried = <ranked *>take(&parts, self.n_clusters * sizeof(ranked))
        self.splits = <ranked *>take(&parts, self.n_trial * sizeof(ranked))
        self.rows = <int32_t *>take(&parts, self.n_samples * sizeof(int32_t))
        self.starts = <int32_t *>take(&parts, (self.n_clusters + 1) * sizeof(int32_t))
        self.partners = <int32_t *>take(&parts, self.n_clusters * sizeof(int32_t))
        self.far = <int32_t *>take(&parts, self.n_clusters * sizeof(int32_t))
        self.taken = <uint8_t *>take(&parts, self.n_clusters)
        return arena_bytes(&parts)

    cdef void _weigh(self) noexcept nogil:
        cdef Py_ssize_t j
        if self.n_threads == 1:  # OpenMP takes a microsecond even for one thread
            for j in range(self.n_clusters):
                self._weigh_cluster(j)
        else:
            for j in prange(self.n_clusters, schedule="dynamic", num_threads=self.n_threads):
                self._weigh_cluster(j)
        qsort(self.merges, self.n_clusters, sizeof(ranked), ascending)
        qsort(self.tried, self.n_clusters, sizeof(ranked), ascending)

    cdef void _weigh_cluster(self, Py_ssize_t j) noexcept nogil:
        cdef const c.kernels *table = in_use[0]
        cdef own_rows own
        self.merges[j].index = self.tried[j].index = <int32_t>j
        if interrupted(&self.watch):
            self.merges[j].value = self.tried[j].value = 0.0
            return
        self.merges[j].value = table.cheapest_merge(&self.means[0, 0], &self.weights[0], self.n_clusters,
                                                    self.n_features, j, self.partners + j)
        own = self._own_rows(table, j)
        self.tried[j].value = -table.inertia_of_cluster[self.is_float32](own.x, self.n_features, own.rows, own.count,
                                                                         own.weights, &self.means[j, 0], self.far + j)
        if self.stored is not None and self.far[j] >= 0:
            self.far[j] = self.rows[self.starts[j] + self.far[j]]
        free(own.memory)

    cdef own_rows _own_rows(self, const c.kernels *table, Py_ssize_t j) noexcept nogil:
        """The rows of cluster j. Stored ones are laid out, and those of an empty cluster if there is no memory."""
        cdef own_rows own
        cdef arena parts
        cdef c.stored_rows some
        cdef int64_t *numbers
        cdef double *weights
        cdef int32_t *places
        cdef void *x
        cdef size_t i
        cdef int part
        own.x, own.rows, own.memory, own.far = self.x, self.rows + self.starts[j], NULL, self.far[j]
        own.count = self.starts[j + 1] - self.starts[j]
        own.weights = NULL if self.sample_weight is None else &self.sample_weight[0]
        if self.stored is None or own.count == 0:
            return own
        for part in range(2):  # see arena.h
            parts = arena_in(own.memory)
            numbers = <int64_t *>take(&parts, own.count * sizeof(int64_t))
            places = <int32_t *>take(&parts, own.count * sizeof(int32_t))
            weights = <double *>take(&parts, own.count * sizeof(double))
            x = take(&parts, own.count * self.n_features * (4 if self.is_float32 else 8))
            if part == 0:
                own.memory = malloc(arena_bytes(&parts))
                if own.memory == NULL:
                    self.lacks_memory = True
                    own.count = 0
                    return own
        some = self.stored.rows
        some.numbers = numbers
        for i in range(own.count):
            numbers[i] = own.rows[i]
            if own.rows[i] == self.far[j]:
                own.far = <int32_t>i
            places[i] = <int32_t>i
            if own.weights != NULL:
                weights[i] = own.weights[own.rows[i]]
            if self.stored.rows.numbers != NULL:
                numbers[i] = self.stored.rows.numbers[numbers[i]]
        table.widen[self.is_float32](&some, 0, own.count, x)
        own.x, own.rows = <const char *>x, places
        if own.weights != NULL:
            own.weights = weights
        return own

    cdef void _split(self) noexcept nogil:
        cdef Py_ssize_t t
        if self.n_threads == 1:
            for t in range(self.n_trial):
                self._split_cluster(t, 0)
        else:
            for t in prange(self.n_trial, schedule="dynamic", num_threads=self.n_threads):
                self._split_cluster(t, threadid())
        qsort(self.splits, self.n_trial, sizeof(ranked), ascending)

    cdef void _split_cluster(self, Py_ssize_t t, int thread) noexcept nogil:
        """Split a cluster if its inertia is more than the cheapest merge costs."""
        cdef const c.kernels *table = in_use[0]
        cdef Py_ssize_t j = self.tried[t].index
        cdef own_rows own
        cdef double *direction = self.scratch + thread * self.n_features
        cdef double *halves = self.halves + 2 * t * self.n_features
        cdef double saved = 0.0
        if not interrupted(&self.watch) and -self.tried[t].value > self.merges[0].value and self.far[j] >= 0:
            own = self._own_rows(table, j)
            if own.count:
                saved = table.split_cluster[self.is_float32](own.x, self.n_features, own.rows, own.count, own.weights,
                                                             &self.means[j, 0], own.far, self.merges[0].value,
                                                             self.n_iterations, self.most_rows, direction, halves)
            free(own.memory)
        self.splits[t].index = <int32_t>t
        self.splits[t].value = -saved if saved < INFINITY else 0.0  # where squares overflow nothing is known

    def apply(self, double surplus):
        """Merge and split: write the new means, rounded to the type of X.

        Returns how many pairs were merged, and what share of the inertia the splits save more than the merges cost.

        The cheapest merges and the best splits come first. They go on while all splits together save more than
        `surplus` times what all merges together cost.
        """
        cdef Py_ssize_t m, i, j, s, split, n_merged = 0
        cdef double saved = 0.0, spent = 0.0, fall = 0.0, inertia = 0.0
        if self._is_too_fine():
            return 0, 0.0
        memset(self.taken, 0, self.n_clusters)
        for m in range(self.n_clusters):
            i = self.merges[m].index
            j = self.partners[i]
            if j < 0 or self.taken[i] or self.taken[j]:
                continue
            s = self._best_split(i, j)
            if s < 0:
                break
            saved -= self.splits[s].value
            spent += self.merges[m].value
            if not saved > surplus * spent:
                break
            split = self.tried[self.splits[s].index].index
            self.taken[i] = self.taken[j] = self.taken[split] = 1
            self._join(i, j)
            self._place(j, split, self.halves + 2 * self.splits[s].index * self.n_features)
            self._place(split, split, self.halves + (2 * self.splits[s].index + 1) * self.n_features)
            n_merged += 1
            fall = saved - spent
        for m in range(self.n_clusters):
            inertia -= self.tried[m].value
        return n_merged, fall / inertia if fall > 0.0 else 0.0

    cdef bint _is_too_fine(self) noexcept:
        """Are samples so close to their centers, compared to the rounding of centers, that savings may be noise?"""
        cdef double inertia = 0.0, weight = 0.0, largest = 0.0, reach
        cdef Py_ssize_t j, f
        for j in range(self.n_clusters):
            inertia -= self.tried[j].value
            weight += self.weights[j]
            for f in range(self.n_features):
                largest = max(largest, fabs(self.means[j, f]))
        # float32 cannot round to less than 2^-149; float64 squares of numbers below 2^-510 have few digits.
        reach = max(largest * 2.0**-24, 2.0**-149) if self.is_float32 else max(largest * 2.0**-53, 2.0**-510)
        reach *= DISTANCE_IN_ROUNDINGS
        return inertia < reach * reach * weight * self.n_features

    cdef Py_ssize_t _best_split(self, Py_ssize_t i, Py_ssize_t j) noexcept:
        """The split that saves most, of clusters that are not taken and neither i nor j; -1 for none."""
        cdef Py_ssize_t s, split
        for s in range(self.n_trial):
            if not self.splits[s].value < 0.0:
                return -1
            split = self.tried[self.splits[s].index].index
            if not self.taken[split] and split != i and split != j:
                return s
        return -1

    cdef void _join(self, Py_ssize_t i, Py_ssize_t j) noexcept:
        """Move center i to the mean of clusters i and j, unless both are empty."""
        cdef double share, total = self.weights[i] + self.weights[j]
        cdef Py_ssize_t f
        if total > 0.0:
            share = self.weights[i] / total
            for f in range(self.n_features):
                self._write(i, f, share * self.means[i, f] + (1.0 - share) * self.means[j, f])

    cdef void _place(self, Py_ssize_t j, Py_ssize_t split, const double *half) noexcept:
        """Move center j to one half of cluster `split`, whose own center must move last."""
        cdef Py_ssize_t f
        for f in range(self.n_features):
            self._write(j, f, self.means[split, f] + half[f])

    cdef void _write(self, Py_ssize_t j, Py_ssize_t f, double value) noexcept:
        self.means[j, f] = <float>value if self.is_float32 else value

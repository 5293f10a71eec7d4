# cython: language_level=3, freethreading_compatible=True, boundscheck=False, wraparound=False, cdivision=True
# cython: initializedcheck=False
"""The prefix filter: a few leading coordinates in 8 bits exclude most centers, the others are decided exactly.

Samples are turned once to the principal directions of a sample of them. The proof that an excluded center is not the
nearest is in kernels/prefix.h; what remains is compared in float32 and float64 on the stored values.
"""
from cython.parallel cimport prange, threadid
from libc.stdint cimport int32_t
from libc.stdlib cimport free

cimport kernels as c
from shared cimport align, aligned, kernels_in_use, unit_samples

cdef extern from "kernels/kernels.h" nogil:
    size_t block_samples(size_t n_features)

cdef extern from "memory.h" nogil:
    void *take_zeros(size_t size)

cdef const c.kernels **in_use = kernels_in_use()

# Most rows that the directions come from; and the pairs of rows and centers, and most rows, on which numbers of directions are
# tried. Twice the rows of either took digits-100 2 of 42 ms more and saved none of it later (Zen 3).
DIRECTION_ROWS = 2048
TRIAL_PAIRS, TRIAL_ROWS = 1 << 16, 128
TRIAL_CENTERS = 256  # at most; they stand for all
# Steps that a fit is expected to take: over so many the cost of the start is spread.
EXPECTED_STEPS = 15
MAX_DIRECTIONS = 512  # more would make the codes coarse where their length is limited (vec.h, CODE_LENGTH)
N_DIRECTIONS = (8, 16, 24, 32, 48, 64, 80, 96, 128, 160, 192)


def principal_directions(rows, Py_ssize_t n_directions):
    """Orthonormal directions in which the rows vary most, in descending order, nearly.

    rows : (n_rows, n_features) float32, about the origin.   Returns (n_features, n_directions) float32.

    Few features: eigenvectors of the covariance. Many: one or two rounds of subspace iteration from rows drawn at random
    (N. Halko, P. G. Martinsson and J. A. Tropp, "Finding structure with randomness", SIAM Review 53(2), 2011).
    Any orthonormal directions are right, good ones exclude more centers.
    """
    import numpy as np

    n_features = rows.shape[1]
    width = min(n_features, n_directions + 8)
    drawn = np.random.default_rng(1).permutation(len(rows))[:width]
    if n_features > 6 * width:
        # The covariance would cost more than it saves. One round finds the span of the directions, but not their order.
        basis = orthonormal(rows.T @ (rows @ rows[drawn].T))
        held = rows @ basis.astype(np.float32)
        order = np.linalg.eigh((held.T @ held).astype(np.float64))[1][:, ::-1]
        return (basis @ order[:, :n_directions]).astype(np.float32)
    covariance = rows.T @ rows
    if n_features <= 128:
        return np.linalg.eigh(covariance.astype(np.float64))[1][:, ::-1][:, :n_directions].astype(np.float32)
    return orthonormal(covariance @ (covariance @ rows[drawn].T))[:, :n_directions].astype(np.float32)


def orthonormal(span):
    """Orthonormal columns, float64, that span those of a float32 matrix: its left singular vectors, in descending order."""
    import numpy as np

    span = span.astype(np.float64)
    squares, order = np.linalg.eigh(span.T @ span)
    if squares[0] > 1e-10 * squares[-1]:
        return span @ (order / np.sqrt(squares))[:, ::-1]
    # Fewer dimensions than columns: the Gram matrix has no inverse root.
    return np.linalg.qr(span)[0]


def filter_cost(n_directions, kept, n_samples, n_features, n_clusters, code_features, lanes):
    """Cost of a sample and step, in vector instructions per LANES samples.

    kept : centers that the codes cannot exclude, besides the own one; mean over the samples.

    Each pair pays its dot product and about nine instructions of test. A float32 score reads a row without a tile: for
    the label so far from memory, else from the cache. The start, and the coding of moved centers, pay n_directions for
    each feature.
    """
    pairs = n_clusters * (n_directions / code_features + 9.0)
    compared = 8.0 * n_features + 100.0 * lanes + kept * (3.0 * n_features + 150.0 * lanes)
    coded = n_features * n_directions * (1.0 / EXPECTED_STEPS + n_clusters / n_samples)
    return pairs + compared + coded


def dense_cost(n_features, n_clusters):
    """The same of Lloyd's algorithm."""
    return n_clusters * (n_features + 4.0)


def choose_n_directions(rows, centers, directions, n_samples, code_features, code_limit, code_length, lanes):
    """Number of leading directions with the least cost, counted on rows; 0 if all centers in full cost less.

    rows : (n_rows, n_features) float32, centers : (n_clusters, n_features) float32, moved and scaled alike.
    """
    import numpy as np

    n_clusters, n_features = centers.shape
    scores = 0.5 * np.einsum("jf,jf->j", centers, centers) - rows @ centers.T
    some = centers[:: -(-n_clusters // TRIAL_CENTERS)]
    x, y = rows @ directions, some @ directions
    sq_x, sq_y = np.einsum("if,if->i", rows, rows), np.einsum("jf,jf->j", some, some)
    # A pair is kept where what its product may reach is no less than what its score asks for.
    wanted = 0.5 * sq_y - scores.min(axis=1)[:, None]
    best, best_cost = 0, 0.85 * dense_cost(n_features, n_clusters)
    # Of the directions so far: dot products of all pairs; squared length and largest coordinate of each side.
    products, reached = np.zeros_like(wanted), np.empty_like(wanted)
    sides = [(coordinates, sq_norms, np.zeros(len(coordinates), dtype=np.float32), np.zeros(len(coordinates), dtype=np.float32))
             for coordinates, sq_norms in ((x, sq_x), (y, sq_y))]
    first = 0
    for n_directions in sorted({*N_DIRECTIONS, directions.shape[1]}):
        if n_directions > directions.shape[1]:
            break
        # What rounding to whole numbers leaves over is even on average: a twelfth of a squared step in each direction.
        rest = np.float32(np.sqrt(n_directions / 12))
        lengths = []
        for coordinates, sq_norms, sq_kept, largest in sides:
            new = coordinates[:, first:n_directions]
            sq_kept += np.einsum("if,if->i", new, new)
            np.maximum(largest, np.abs(new).max(axis=1), out=largest)
            step = largest / code_limit if code_limit else 0.0 * largest
            if code_length:  # of half the coordinates
                step = np.maximum(step, np.sqrt(0.5 * sq_kept) / code_length)
            b = rest * step
            lengths.append((np.sqrt(sq_kept), b, np.sqrt(np.maximum(sq_norms - sq_kept, 0.0) + b * b)))
        products += np.matmul(x[:, first:n_directions], y[:, first:n_directions].T, out=reached)
        first = n_directions
        (n_u, b_u, r_u), (n_v, b_v, r_v) = lengths
        np.matmul(np.column_stack((n_u, b_u, r_u)), np.column_stack((b_v, n_v, r_v)).T, out=reached)
        reached += products
        kept = np.count_nonzero(reached >= wanted) / wanted.size * n_clusters - 1.0
        cost = filter_cost(n_directions, kept, n_samples, n_features, n_clusters, code_features, lanes)
        if cost < best_cost:
            best, best_cost = n_directions, cost
    return best


cdef class PrefixState:
    """What the filter keeps between iterations: codes of every sample, and Lloyd's state, which keeps the sums.

    Parameters
    ----------
    X, sample_weight, max_abs, max_weight, n_clusters, n_threads : as LloydState.
    n_directions : int or None. None lets the first step choose, by counting on a few rows; 0 leaves all to Lloyd's.

    The first step allocates, the others nothing. Where the filter costs more than it saves, Lloyd's steps are taken.
    """

    cdef const float[:, ::1] x32
    cdef const double[:, ::1] x64
    cdef object X, max_abs, dense
    cdef bint is_float32, is_forced
    cdef Py_ssize_t n_samples, n_features, n_clusters, block, unit, n_wasted, n_wanted
    cdef int n_threads
    cdef const c.kernels *table
    cdef void *memory
    cdef char *prefix
    cdef char *scratch           # [n_threads], scratch_size apart
    cdef size_t *counts          # [n_threads][16]: pairs compared, samples decided in float64; one cache line each
    cdef char *codes
    cdef size_t scratch_size, tile_bytes
    cdef object found
    cdef int32_t[::1] found_view
    cdef double[:, ::1] bounds   # [n_samples][2]: of the score of the label
    cdef readonly Py_ssize_t n_directions  # -1 before the first step, 0 when Lloyd's steps are taken
    cdef readonly Py_ssize_t n_compared    # pairs that the codes of the last step could not exclude, own labels aside
    cdef readonly Py_ssize_t n_decided     # samples that needed float64

    def __cinit__(self, X, sample_weight, max_abs, double max_weight, Py_ssize_t n_clusters, int n_threads,
                  n_directions=None):
        from fastkmeans._core.lloyd import LloydState

        self.dense = LloydState(X, sample_weight, max_abs, max_weight, n_clusters, n_threads)
        self.table = in_use[0]
        self.X, self.max_abs = X, max_abs
        self.is_float32 = X.dtype.itemsize == 4
        if self.is_float32:
            self.x32 = X
        else:
            self.x64 = X
        self.n_samples, self.n_features = X.shape
        self.n_clusters = n_clusters
        self.n_threads = n_threads
        self.block = block_samples(self.n_features)
        self.unit = unit_samples(self.n_samples, self.block, n_threads)
        self.is_forced = n_directions is not None
        self.n_wanted = min(n_directions, self.n_features, MAX_DIRECTIONS) if self.is_forced else 0
        self.n_directions = -1 if (self.n_wanted if self.is_forced else self._is_worth_a_trial()) else 0

    def __dealloc__(self):
        free(self.memory)

    @property
    def labels(self):
        return self.dense.labels

    @property
    def sums(self):
        return self.dense.sums

    @property
    def grid(self):
        return self.dense.grid

    def move(self, centers, origin, moved, terms):
        """Write the center that the sums of each cluster ask for, see LloydState."""
        return self.dense.move(centers, origin, moved, terms)

    def step(self, const double[:, ::1] centers):
        """Label every sample with its nearest center and follow the labels in `sums`, see LloydState."""
        cdef size_t n_compared = 0, n_decided = 0
        cdef int t
        if centers.shape[0] != self.n_clusters or centers.shape[1] != self.n_features:
            raise ValueError(f"centers must have shape ({self.n_clusters}, {self.n_features}); "
                             f"got ({centers.shape[0]}, {centers.shape[1]}).")
        if self.n_directions < 0:
            self._begin(centers)
        if self.n_directions == 0:
            n_changed = self.dense.step(centers)
            self.n_compared, self.n_decided = self.n_samples * self.n_clusters, self.dense.n_decided
            return n_changed
        with nogil:
            self._pack_centers(centers)
            self.table.prefix_gather_moved(self.prefix)
            self._assign_units(centers)
        for t in range(self.n_threads):
            n_compared += self.counts[16 * t]
            n_decided += self.counts[16 * t + 1]
            self.counts[16 * t] = self.counts[16 * t + 1] = 0
        self.n_compared, self.n_decided = n_compared, n_decided
        n_changed = self.dense.follow(self.found)
        self._weigh()
        return n_changed

    cdef bint _is_worth_a_trial(self):
        """Would the start be paid back by few steps?"""
        cdef double work = <double>self.n_samples * self.n_clusters * self.n_features
        cdef double width = self._most_directions(), rows = self._direction_rows()
        if self.n_features < 16 or self.n_clusters < 16:
            return False
        return self.n_features * (min(6.0 * width, <double>self.n_features) * rows + 30.0 * width * width) < 4.0 * work

    cdef Py_ssize_t _most_directions(self):
        """Directions worth looking for: with few clusters the filter is a small part of the work."""
        # 256 clusters of sentence embeddings: with 128 directions no choice was cheaper than Lloyd's steps, with 160 half as dear.
        return min(self.n_features, 192 if self.n_clusters > 128 else max(48, self.n_clusters // 2))

    cdef Py_ssize_t _direction_rows(self):
        """Rows for the directions: as many as cost a quarter of a step of Lloyd's, if that is not too few."""
        cdef Py_ssize_t affordable = self.n_samples * self.n_clusters // (4 * min(self.n_features,
                                                                                 6 * self._most_directions()))
        return min(max(affordable, <Py_ssize_t>512), <Py_ssize_t>DIRECTION_ROWS, self.n_samples)

    def _begin(self, centers):
        """Choose the directions, and code the samples."""
        import numpy as np

        n_rows = self._direction_rows()
        spread = self.X[::self.n_samples // n_rows][:n_rows]
        offset = spread.mean(axis=0, dtype=np.float64).astype(self.X.dtype)
        largest = float((self.max_abs + np.abs(offset)).max())
        limit = 126 if self.is_float32 else 1020
        scale = 2.0 ** min(max(1 - np.frexp(largest)[1], -limit), limit) if largest > 0 else 1.0
        with np.errstate(over="ignore", invalid="ignore"):
            rows = spread - offset
            rows *= scale
            rows = rows.astype(np.float32, copy=False)
        offset = offset.astype(np.float64)
        if not np.isfinite(rows).all():  # differences that overflow float32 have no directions
            self.n_directions = 0
            return
        directions = principal_directions(rows, self.n_wanted or self._most_directions())
        if self.is_forced:
            self.n_directions = directions.shape[1]
        else:
            with np.errstate(all="ignore"):
                moved = ((np.asarray(centers) - offset) * scale).astype(np.float32)
                n_trial = min(max(32, TRIAL_PAIRS // self.n_clusters), TRIAL_ROWS, len(rows))
                self.n_directions = choose_n_directions(rows[::len(rows) // n_trial][:n_trial], moved, directions,
                                                        self.n_samples, self.table.code_features,
                                                        self.table.code_limit, self.table.code_length,
                                                        self.table.lanes)
        if self.n_directions:
            directions = np.ascontiguousarray(directions[:, :self.n_directions].T)
            wide = directions.astype(np.float64)
            skew = 1.01 * float(np.linalg.norm(wide @ wide.T - np.eye(self.n_directions))) + 1e-12
            self._code_samples(directions, skew, offset, scale)
            self.found = np.full(self.n_samples, -1, dtype=np.int32)
            self.found_view = self.found
            self.bounds = np.empty((self.n_samples, 2))

    cdef int _code_samples(self, const float[:, ::1] directions, double skew, const double[::1] offset,
                           double scale) except -1:
        cdef const c.kernels *table = self.table
        cdef Py_ssize_t n_tiles = (self.n_samples + table.tile_samples - 1) // table.tile_samples
        cdef Py_ssize_t u, n_units = (self.n_samples + self.unit - 1) // self.unit
        cdef size_t prefix_size = aligned(table.prefix_bytes(self.n_clusters, self.n_features, directions.shape[0]))
        cdef size_t counts_size = self.n_threads * 16 * sizeof(size_t)
        self.tile_bytes = table.prefix_tile_bytes(directions.shape[0])
        self.scratch_size = aligned(table.prefix_scratch_bytes(self.n_clusters, self.n_features, directions.shape[0]))
        self.memory = take_zeros(128 + prefix_size + counts_size + self.n_threads * self.scratch_size
                                 + n_tiles * self.tile_bytes)
        if self.memory == NULL:
            raise MemoryError("no memory for the codes of the samples; use algorithm='lloyd'.")
        self.prefix = align(self.memory)
        self.counts = <size_t *>(self.prefix + prefix_size)
        self.scratch = <char *>self.counts + counts_size
        self.codes = self.scratch + self.n_threads * self.scratch_size
        with nogil:
            table.prefix_start(&directions[0, 0], directions.shape[0], skew, &offset[0], scale, self.n_clusters,
                               self.n_features, self.is_float32, self.prefix)
            for u in prange(n_units, schedule="dynamic", chunksize=1, num_threads=self.n_threads):
                self._code_unit(u, threadid())
        return 0

    cdef char *_codes_of(self, Py_ssize_t first) noexcept nogil:
        return self.codes + first // self.table.tile_samples * self.tile_bytes

    cdef void _code_unit(self, Py_ssize_t u, int t) noexcept nogil:
        cdef Py_ssize_t first = u * self.unit, count = min(self.unit, self.n_samples - u * self.unit)
        cdef char *scratch = self.scratch + t * self.scratch_size
        if self.is_float32:
            self.table.prefix_encode_f32(&self.x32[first, 0], count, self.n_samples - first, self.prefix, scratch,
                                         self._codes_of(first))
        else:
            self.table.prefix_encode_f64(&self.x64[first, 0], count, self.n_samples - first, self.prefix, scratch,
                                         self._codes_of(first))

    cdef void _pack_centers(self, const double[:, ::1] centers) noexcept nogil:
        cdef Py_ssize_t p, part = 128, n_parts = (self.n_clusters + 127) // 128
        for p in prange(n_parts, schedule="dynamic", chunksize=1, num_threads=self.n_threads):
            self.table.prefix_pack_centers(&centers[0, 0], p * part, min(part, self.n_clusters - p * part),
                                           self.prefix, self.scratch + threadid() * self.scratch_size)

    cdef void _assign_units(self, const double[:, ::1] centers) noexcept nogil:
        cdef Py_ssize_t u, n_units = (self.n_samples + self.unit - 1) // self.unit
        for u in prange(n_units, schedule="dynamic", chunksize=1, num_threads=self.n_threads):
            self._assign_unit(centers, u, threadid())

    cdef void _assign_unit(self, const double[:, ::1] centers, Py_ssize_t u, int t) noexcept nogil:
        cdef Py_ssize_t first = u * self.unit, count = min(self.unit, self.n_samples - u * self.unit)
        cdef char *scratch = self.scratch + t * self.scratch_size
        if self.is_float32:
            self.table.prefix_assign_f32(&self.x32[first, 0], count, &centers[0, 0], self._codes_of(first), self.prefix,
                                         scratch, &self.found_view[first], &self.bounds[first, 0], self.counts + 16 * t)
        else:
            self.table.prefix_assign_f64(&self.x64[first, 0], count, &centers[0, 0], self._codes_of(first), self.prefix,
                                         scratch, &self.found_view[first], &self.bounds[first, 0], self.counts + 16 * t)

    cdef int _weigh(self) except -1:
        """Go over to Lloyd's steps after two in a row in which the filter did more work. Counted, never timed."""
        kept = self.n_compared / <double>self.n_samples
        cost = filter_cost(self.n_directions, kept, self.n_samples, self.n_features, self.n_clusters,
                           self.table.code_features, self.table.lanes)
        self.n_wasted = self.n_wasted + 1 if cost > dense_cost(self.n_features, self.n_clusters) else 0
        if self.n_wasted == 2 and not self.is_forced:
            self.n_directions = 0
            free(self.memory)
            self.memory = NULL
        return 0

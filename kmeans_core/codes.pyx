# cython: language_level=3, freethreading_compatible=True, boundscheck=False, wraparound=False, cdivision=True
# cython: initializedcheck=False
"""Codes: the samples along their leading principal directions, in one byte a direction, with the lengths of what they lack.

What the prefix filter reads in place of the samples, in seeding and in steps (kernels/prefix.h).
"""
from cython.parallel cimport prange, threadid
from libc.stdint cimport uintptr_t
from libc.stdlib cimport free

cimport kernels as c
from shared cimport align, aligned, kernels_in_use, unit_samples

cdef extern from "kernels/kernels.h" nogil:
    enum:
        SEED_CANDIDATES
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
OFFSET_ROWS = 512  # rows whose mean is the offset where there are no directions to find
MAX_FEATURES = 16_384  # of codes of all features: the length of a row is limited (vec.h, CODE_LENGTH), and rounding takes a part
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


def most_directions(Py_ssize_t n_features, Py_ssize_t n_clusters):
    """Directions worth looking for: with few clusters the filter is a small part of the work."""
    # 256 clusters of sentence embeddings: with 128 directions no choice was cheaper than Lloyd's steps, with 160 half as dear.
    return min(n_features, 192 if n_clusters > 128 else 48)


def count_direction_rows(Py_ssize_t n_samples, Py_ssize_t n_features, Py_ssize_t n_clusters):
    """Rows for the directions: as many as cost a quarter of a step of Lloyd's, if that is not too few."""
    width = min(n_features, 6 * most_directions(n_features, n_clusters))
    return min(max(n_samples * n_clusters // (4 * width), 512), DIRECTION_ROWS, n_samples)


def is_worth_a_trial(Py_ssize_t n_samples, Py_ssize_t n_features, Py_ssize_t n_clusters):
    """Would looking for directions be paid back by few steps?"""
    if n_features < 16 or n_clusters < 16:
        return False
    width = most_directions(n_features, n_clusters)
    n_rows = count_direction_rows(n_samples, n_features, n_clusters)
    return min(6.0 * width, n_features) * n_rows + 30.0 * width * width < 4.0 * n_samples * n_clusters


cdef class CodedRows:
    """The samples in codes.

    Parameters
    ----------
    X : (n_samples, n_features) float32 or float64, C order, finite.
    directions : (n_directions, n_features) float32, orthonormal, nearly; None for the features as they are.
    offset : (n_features,) float64, any point amid the data.   scale : power of two that brings x - offset below 2.
    n_threads : int >= 1.

    Keeps 20 bytes a sample, and one a direction (four where no instruction multiplies bytes).
    """

    cdef const float[:, ::1] x32
    cdef const double[:, ::1] x64
    cdef bint is_float32
    cdef Py_ssize_t n_samples
    cdef void *memory
    cdef char *prefix
    cdef char *scratch           # [n_threads], scratch_size apart
    cdef char *codes
    cdef size_t scratch_size, tile_bytes
    cdef readonly object directions, offset
    cdef readonly double scale, skew
    cdef readonly Py_ssize_t n_directions

    def __cinit__(self, X, directions, offset, double scale, int n_threads):
        import numpy as np

        cdef const c.kernels *table = in_use[0]
        cdef Py_ssize_t n_tiles, unit, u, n_units, n_features = X.shape[1]
        cdef const float[:, ::1] turned = directions
        cdef const double[::1] origin = offset
        self.is_float32 = X.dtype.itemsize == 4
        if self.is_float32:
            self.x32 = X
        else:
            self.x64 = X
        self.n_samples = len(X)
        self.directions, self.offset, self.scale = directions, offset, scale
        self.n_directions = n_features
        if directions is not None:
            self.n_directions = len(directions)
            wide = directions.astype(np.float64)
            self.skew = 1.01 * float(np.linalg.norm(wide @ wide.T - np.eye(self.n_directions))) + 1e-12

        n_tiles = (self.n_samples + table.tile_samples - 1) // table.tile_samples
        cdef size_t prefix_size = aligned(table.prefix_bytes(SEED_CANDIDATES, n_features, self.n_directions,
                                                               directions is not None))
        self.tile_bytes = table.prefix_tile_bytes(self.n_directions)
        self.scratch_size = aligned(table.prefix_scratch_bytes(1, n_features, self.n_directions))
        self.memory = take_zeros(128 + prefix_size + n_threads * self.scratch_size + n_tiles * self.tile_bytes)
        if self.memory == NULL:
            raise MemoryError("no memory for the codes of the samples; use algorithm='lloyd'.")
        self.prefix = align(self.memory)
        self.scratch = self.prefix + prefix_size
        self.codes = self.scratch + n_threads * self.scratch_size
        unit = unit_samples(self.n_samples, block_samples(n_features), n_threads)
        n_units = (self.n_samples + unit - 1) // unit
        with nogil:
            table.prefix_start(NULL if turned is None else &turned[0, 0], self.n_directions, self.skew, &origin[0], scale,
                               SEED_CANDIDATES, n_features, self.is_float32, self.prefix)
            for u in prange(n_units, schedule="dynamic", chunksize=1, num_threads=n_threads):
                self._encode(table, u * unit, min(unit, self.n_samples - u * unit), threadid())

    def __dealloc__(self):
        free(self.memory)

    @property
    def addresses(self):
        """(prefix for SEED_CANDIDATES centers, codes, bytes of a tile): where kernels find them."""
        return <uintptr_t>self.prefix, <uintptr_t>self.codes, self.tile_bytes

    cdef void _encode(self, const c.kernels *table, Py_ssize_t first, Py_ssize_t count, int t) noexcept nogil:
        cdef char *scratch = self.scratch + t * self.scratch_size
        cdef char *codes = self.codes + first // table.tile_samples * self.tile_bytes
        if self.is_float32:
            table.prefix_encode_f32(&self.x32[first, 0], count, self.n_samples - first, self.prefix, scratch, codes)
        else:
            table.prefix_encode_f64(&self.x64[first, 0], count, self.n_samples - first, self.prefix, scratch, codes)


class Codes:
    """The codes of an array, made when they are first asked for: several starts share them.

    X : (n_samples, n_features) float32 or float64, C order, finite.   max_abs : (n_features,) float64, its largest |x|.
    n_threads : int >= 1.
    """

    def __init__(self, X, max_abs, n_threads):
        self.X, self.max_abs, self.n_threads = X, max_abs, n_threads
        self._whole = self._turned = None

    def for_seeding(self):
        """CodedRows of X by its own features; None where float32 is too narrow, rows are too wide, or no instruction
        multiplies bytes.

        Seeds are samples, and fewer directions than features would leave too much of their distances open: of 12 000 x 384
        sentence embeddings 8 % of the pairs with 192 directions at 64 seeds, 1.8 % with all features.
        """
        import numpy as np

        if self._whole is None and in_use[0].code_features > 1 and self.X.shape[1] <= MAX_FEATURES:
            n_rows = min(OFFSET_ROWS, len(self.X))
            rows, offset, scale = self._some_rows(n_rows)
            if np.isfinite(rows).all():
                self._whole = CodedRows(self.X, None, offset, scale, self.n_threads)
        return self._whole

    def for_steps(self, centers, n_directions=None):
        """CodedRows of X along principal directions, for assigning it to such centers; None where they do not pay.

        n_directions : None for what costs least.
        """
        if self._turned is None and (n_directions or is_worth_a_trial(*self.X.shape, len(centers))):
            self._turned = self._turn(centers, n_directions)
        return self._turned

    def _turn(self, centers, n_directions):
        import numpy as np

        cdef const c.kernels *table = in_use[0]
        n_samples, n_features = self.X.shape
        rows, offset, scale = self._some_rows(count_direction_rows(n_samples, n_features, len(centers)))
        if not np.isfinite(rows).all():
            return None
        wanted = n_directions or most_directions(n_features, len(centers))
        directions = principal_directions(rows, min(wanted, n_features, MAX_DIRECTIONS))
        n_kept = directions.shape[1]
        if n_directions is None:
            n_trial = min(max(32, TRIAL_PAIRS // len(centers)), TRIAL_ROWS, len(rows))
            with np.errstate(all="ignore"):
                moved = ((np.asarray(centers) - offset) * scale).astype(np.float32)
                n_kept = choose_n_directions(rows[:: len(rows) // n_trial][:n_trial], moved, directions, n_samples,
                                             table.code_features, table.code_limit, table.code_length, table.lanes)
        if n_kept == 0:
            return None
        return CodedRows(self.X, np.ascontiguousarray(directions[:, :n_kept].T), offset, scale, self.n_threads)

    def _some_rows(self, n_rows):
        """Some rows about their mean and scaled, float32 (not finite where that is too narrow), the mean, and the scale."""
        import numpy as np

        X = self.X
        spread = X[:: len(X) // n_rows][:n_rows]
        offset = spread.mean(axis=0, dtype=np.float64).astype(X.dtype)
        largest = float((self.max_abs + np.abs(offset)).max())
        limit = 126 if X.dtype.itemsize == 4 else 1020
        scale = 2.0 ** min(max(1 - np.frexp(largest)[1], -limit), limit) if largest > 0 else 1.0
        with np.errstate(over="ignore", invalid="ignore"):
            rows = spread - offset
            rows *= scale
            return rows.astype(np.float32, copy=False), offset.astype(np.float64), scale

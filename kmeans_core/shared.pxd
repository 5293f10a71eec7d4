# What every compiled module needs: the kernels in use, threads, aligned memory, the division of rows into units, and
# sums that follow labels.
from cpython.pycapsule cimport PyCapsule_GetPointer
from libc.math cimport fabs, frexp
from libc.stdint cimport int32_t, int64_t, uint8_t, uintptr_t
from libc.string cimport memset

cimport kernels as c
from threads cimport run_region, use_threads


cdef extern from "threads/lock.h" nogil:
    void take_lock(uint8_t *lock) noexcept
    void give_lock(uint8_t *lock) noexcept


cdef extern from "kernels/arena.h" nogil:
    # One block of memory for many arrays: see arena.h.
    ctypedef struct arena:
        pass
    arena arena_in(void *memory)
    void *take(arena *parts, size_t bytes)
    size_t arena_bytes(const arena *parts)


cdef extern from "cached.h" nogil:
    # Rows of files, read without waiting for a device: see cached.h.
    ctypedef struct rows_in_files:
        const int *files
        const int64_t *offsets
        const int64_t *firsts
        size_t n_files, row_bytes
    bint read_if_cached(int fd, char *out, size_t n_bytes, int64_t at) noexcept
    bint read_rows_if_cached(const rows_in_files *rows, int64_t first, size_t count, char *out) noexcept


cdef struct shared_runtime:
    # What `runtime` lends to the other modules.
    const c.kernels *kernels     # in use: read anew for each call
    run_region run               # whoever runs a parallel region

cdef extern from "interrupt.h" nogil:
    # Begin with start_watch, ask `interrupted` before each piece of work, and end with raise_interrupt.
    ctypedef struct signal_watch:
        bint is_stopped
    void start_watch(signal_watch *watch)
    bint interrupted(signal_watch *watch)

cdef enum:
    # Multiply-adds of a piece of work between two looks for signals. If float64 decides all pairs, as between equal
    # centers, a piece takes 0.03 s on one core of a Granite Rapids Xeon.
    PIECE_WORK = 1 << 26


cdef inline int raise_interrupt(signal_watch *watch) except -1:
    """Raise what a signal's handler raised within the region, which has just ended."""
    return -1 if watch.is_stopped else 0


cdef inline int check_count(str name, Py_ssize_t value) except -1:
    """Refuse a number below 1: memory would be laid out too small."""
    if value < 1:
        raise ValueError(f"{name} must be an integer >= 1; got {value}.")
    return 0


cdef inline int check_shape(str name, Py_ssize_t n_rows, Py_ssize_t n_columns, Py_ssize_t wanted_rows,
                            Py_ssize_t wanted_columns) except -1:
    """Refuse an array whose shape is not (wanted_rows, wanted_columns)."""
    if n_rows != wanted_rows or n_columns != wanted_columns:
        raise ValueError(f"{name} must have shape ({wanted_rows}, {wanted_columns}); got ({n_rows}, {n_columns}).")
    return 0


cdef inline Py_ssize_t short_unit(Py_ssize_t unit, Py_ssize_t block, double work, Py_ssize_t least=64) noexcept nogil:
    """The unit, or a shorter one that is a piece of work: whole blocks, or `least` rows if a block is too long.

    work : multiply-adds per row.   least : a multiple of 32.
    """
    cdef double rows = PIECE_WORK / work
    if rows >= unit:
        return unit
    if rows >= block:
        return <Py_ssize_t>rows // block * block
    return min(unit, max(least, <Py_ssize_t>rows // 32 * 32))


cdef inline const c.kernels **kernels_in_use() except NULL:
    """Where runtime keeps its pointer to the kernels in use. Also makes runtime's threads run this module's regions."""
    from fastkmeans._core import runtime
    lent = <shared_runtime *>PyCapsule_GetPointer(runtime._lent, b"fastkmeans._core.runtime")
    use_threads(lent.run)
    return &lent.kernels


cdef inline void add_carefully(double term, double *total, double *lacking) noexcept nogil:
    """Add a term to a total, and add what rounding took to what the total lacks (A. Neumaier,
    "Rundungsfehleranalyse einiger Verfahren zur Summation endlicher Summen", Zeitschrift fuer Angewandte Mathematik und
    Mechanik 54, 1974)."""
    cdef double sum = total[0] + term
    lacking[0] += (total[0] - sum) + term if fabs(total[0]) >= fabs(term) else (term - sum) + total[0]
    total[0] = sum


cdef inline int ceil_log2(double value) noexcept nogil:
    """Smallest e with value <= 2**e; 0 for 0."""
    cdef int exponent
    cdef double mantissa = frexp(value, &exponent)
    return exponent - 1 if mantissa == 0.5 else exponent


cdef inline size_t take_count(size_t *counts, int n_threads, int which) noexcept nogil:
    """Add up a count over the threads, and set it to 0.   counts : [n_threads][16], one cache line or more each"""
    cdef size_t total = 0
    cdef int t
    for t in range(n_threads):
        total += counts[16 * t + which]
        counts[16 * t + which] = 0
    return total


cdef inline size_t aligned(size_t size) noexcept nogil:
    return (size + 127) // 128 * 128


cdef inline char *align(void *memory) noexcept nogil:
    return <char *>((<uintptr_t>memory + 127) // 128 * 128)


cdef inline Py_ssize_t unit_samples(Py_ssize_t n_samples, Py_ssize_t block, int n_threads) noexcept nogil:
    """Rows that a thread takes at a time: whole blocks, some 16 units per thread, lest a slow core delay others."""
    cdef Py_ssize_t blocks = n_samples // (16 * n_threads) // block
    return block * (blocks if blocks > 1 else 1)


cdef inline void pack_for_assign(const c.kernels *table, const double *centers, Py_ssize_t n_clusters,
                                 Py_ssize_t n_features, bint is_float32, double *offset, char *packed) noexcept nogil:
    """Lay centers out as `assign` reads them.

    offset : OUT [n_features], and as many more as scratch.   packed : OUT packed_bytes.
    """
    table.find_offset(centers, n_clusters, n_features, offset)
    table.pack_centers(centers, n_clusters, n_features, offset, is_float32, packed)
    table.lower_scores(packed)
    table.exclude_copies(packed)


cdef inline void begin_one_group(const c.kernels *table, Py_ssize_t n_clusters, int32_t *first_panel,
                                 int32_t *center_of, int32_t *group_of, float *center_drift, float *group_drift,
                                 c.bound_step *bounds) noexcept nogil:
    """Let all centers, none of which has moved, be one group of a step with bounds. Who packs them adds the rest.

    first_panel : OUT [2].   center_of, group_of, center_drift : OUT [n_clusters].   group_drift : OUT [1].
    """
    cdef Py_ssize_t j
    for j in range(n_clusters):
        center_of[j], group_of[j], center_drift[j] = <int32_t>j, 0, 0.0
    group_drift[0] = 0.0
    first_panel[0] = 0
    first_panel[1] = <int32_t>((n_clusters + table.tile_centers - 1) // table.tile_centers)
    bounds.n_groups = 1
    bounds.first_panel, bounds.center_of, bounds.group_of = first_panel, center_of, group_of
    bounds.center_drift, bounds.group_drift = center_drift, group_drift
    bounds.insist = False


cdef struct ranked:
    # An index, and what it is sorted by.
    double value
    int32_t index


cdef inline int ascending(const void *a, const void *b) noexcept nogil:
    """Order of `ranked` for qsort: the lower value first, the lower index of equals."""
    cdef const ranked *left = <const ranked *>a
    cdef const ranked *right = <const ranked *>b
    if left.value != right.value:
        return -1 if left.value < right.value else 1
    return left.index - right.index


cdef inline void sort_by_label(const int32_t *labels, Py_ssize_t n_samples, Py_ssize_t n_clusters, int32_t *rows,
                               int32_t *starts) noexcept nogil:
    """Lay the samples out by cluster, in order.   rows : OUT [n_samples]   starts : OUT [n_clusters + 1], in rows"""
    cdef Py_ssize_t i, j
    cdef int32_t count, start = 0
    memset(starts, 0, (n_clusters + 1) * sizeof(int32_t))
    for i in range(n_samples):
        starts[labels[i]] += 1
    for j in range(n_clusters):
        count = starts[j]
        starts[j] = start
        start += count
    for i in range(n_samples):
        rows[starts[labels[i]]] = <int32_t>i
        starts[labels[i]] += 1
    for j in range(n_clusters, 0, -1):  # by now starts[j] is the end of cluster j
        starts[j] = starts[j - 1]
    starts[0] = 0


cdef struct cached_rows:
    # Rows of files. Each thread reads those of a block when it needs them.
    rows_in_files rows
    Py_ssize_t first             # number of the row that counts as row 0
    c.stored_rows stored         # how they lie in the files
    bint is_plain                # whether that is how kernels read them
    char *raw                    # [n_threads], raw_size apart: rows as they lie in the files, unless plain
    char *wide                   # [n_threads], wide_size apart: wide_rows rows each, as kernels read them
    size_t raw_size, wide_size
    Py_ssize_t wide_rows
    bint is_missing              # whether some could not be read without waiting


cdef struct row_follower:
    # What ClusterSums needs to follow new labels. Any thread may do so, for rows that no other thread takes.
    const char *x
    const c.sparse_rows *sparse  # in place of x
    const c.stored_rows *stored  # in place of x
    cached_rows *cached          # in place of x
    char *wide                   # [n_threads], wide_size apart: scratch for wide_rows stored rows each
    size_t wide_size
    Py_ssize_t wide_rows
    size_t row_bytes
    bint is_float32              # what kernels read
    Py_ssize_t n_features
    const double *weights        # NULL for ones
    int32_t *labels
    c.sum_grid grid
    int n_sums                   # sets of sums; thread t adds to set t % n_sums
    uint8_t *locks               # [n_sums], LOCK_SIZE apart: for sums that threads share; NULL if each has its own
    double *total                # the first set: sums of each cluster
    char *partial                # [n_sums - 1], partial_size apart: the other sets; undefined where not touched
    uint8_t *touched             # [n_sums], touched_size apart (no cache line has two writers): sums that changed, also
                                 # those of the first set, which need no merge
    size_t partial_size, touched_size
    size_t *counts               # [n_threads][16]: labels changed, samples decided in float64; one cache line each


cdef inline const char *row_of(const row_follower *of, Py_ssize_t i) noexcept nogil:
    """Where sample i lies."""
    return of.x + i * of.row_bytes


cdef enum:
    LOCK_SIZE = 64
    PADDED_ROWS = 64             # that vectors may read behind a block of stored rows
    FOLLOWED_ROWS = 128          # stored rows that are followed at a time


cdef inline const char *cached_block(cached_rows *of, const c.kernels *table, bint is_float32, Py_ssize_t first,
                                     Py_ssize_t count, int t) noexcept nogil:
    """Read rows of files, at most wide_rows - PADDED_ROWS, and lay them out; NULL if some must be waited for."""
    cdef char *wide = of.wide + t * of.wide_size
    cdef char *raw = wide if of.is_plain else of.raw + t * of.raw_size
    cdef c.stored_rows stored
    if of.is_missing or not read_rows_if_cached(&of.rows, of.first + first, count, raw):
        of.is_missing = True
        return NULL
    if not of.is_plain:
        stored = of.stored
        stored.values = raw
        table.widen[is_float32](&stored, 0, count, wide)
    return wide


cdef inline const char *block_of(const row_follower *of, const c.kernels *table, Py_ssize_t first, Py_ssize_t count,
                                 int t) noexcept nogil:
    """Where `count` rows lie as kernels read them. Stored rows, at most wide_rows - PADDED_ROWS, are laid out first.

    NULL for rows of files of which some would have to be waited for.
    """
    if of.cached != NULL:
        return cached_block(of.cached, table, of.is_float32, first, count, t)
    if of.stored == NULL:
        return row_of(of, first)
    table.widen[of.is_float32](of.stored, first, count, of.wide + t * of.wide_size)
    return of.wide + t * of.wide_size


cdef inline Py_ssize_t readable_from(const row_follower *of, Py_ssize_t n_samples, Py_ssize_t first) noexcept nogil:
    """Rows that may be read from block_of on."""
    if of.cached != NULL:
        return of.cached.wide_rows
    return of.wide_rows if of.stored != NULL else n_samples - first


cdef inline void follow_rows(const row_follower *of, const c.kernels *table, Py_ssize_t first, Py_ssize_t count,
                             const int32_t *labels, int t) noexcept nogil:
    """Let thread t's sums follow the new labels of `count` rows."""
    if of.stored != NULL and count <= of.wide_rows - PADDED_ROWS and are_many_changed(of, first, count, labels):
        follow_block(of, table, block_of(of, table, first, count, t), first, count, labels, t)
    elif of.stored != NULL:
        follow_changed(of, table, first, count, labels, t)
    elif of.sparse != NULL:
        follow_block(of, table, NULL, first, count, labels, t)
    else:
        follow_block(of, table, row_of(of, first), first, count, labels, t)


cdef inline void follow_block(const row_follower *of, const c.kernels *table, const char *rows, Py_ssize_t first,
                              Py_ssize_t count, const int32_t *labels, int t) noexcept nogil:
    """The same for rows that lie where block_of says."""
    cdef const double *weight = NULL
    if of.weights != NULL:
        weight = of.weights + first
    follow_laid_out(of, table, rows, first, count, weight, labels, of.labels + first, t)


cdef inline bint are_many_changed(const row_follower *of, Py_ssize_t first, Py_ssize_t count,
                                  const int32_t *labels) noexcept nogil:
    """Do so many labels change that all rows are laid out sooner than those alone?"""
    cdef Py_ssize_t i, n_changed = 0
    for i in range(count):
        n_changed += labels[i] != of.labels[first + i]
    return 2 * n_changed > count


cdef inline void follow_changed(const row_follower *of, const c.kernels *table, Py_ssize_t first, Py_ssize_t count,
                                const int32_t *labels, int t) noexcept nogil:
    """The same for stored rows: only those whose labels change are laid out."""
    cdef int64_t[FOLLOWED_ROWS] numbers
    cdef int32_t[FOLLOWED_ROWS] before, after
    cdef double[FOLLOWED_ROWS] weights
    cdef c.stored_rows some = of.stored[0]
    cdef Py_ssize_t i = first, end = first + count, n, most = min(of.wide_rows, <Py_ssize_t>FOLLOWED_ROWS)
    some.numbers = numbers
    while i < end:
        n = 0
        while i < end and n < most:
            if labels[i - first] != of.labels[i]:
                numbers[n] = of.stored.numbers[i] if of.stored.numbers != NULL else i
                before[n], after[n] = of.labels[i], labels[i - first]
                weights[n] = of.weights[i] if of.weights != NULL else 1.0
                of.labels[i] = labels[i - first]
                n += 1
            i += 1
        if n:
            table.widen[of.is_float32](&some, 0, n, of.wide + t * of.wide_size)
            follow_laid_out(of, table, of.wide + t * of.wide_size, 0, n, weights if of.weights != NULL else NULL,
                            after, before, t)


cdef inline void follow_laid_out(const row_follower *of, const c.kernels *table, const char *rows, Py_ssize_t first,
                                 Py_ssize_t count, const double *weight, const int32_t *labels, int32_t *old_labels,
                                 int t) noexcept nogil:
    """Follow rows, or sparse rows from `first` on, with weights and labels of their own.   old_labels : INOUT"""
    cdef int own = t % of.n_sums
    cdef double *sums = of.total if own == 0 else <double *>(of.partial + (own - 1) * of.partial_size)
    cdef uint8_t *touched = of.touched + own * of.touched_size
    if of.locks != NULL:
        take_lock(of.locks + own * LOCK_SIZE)
    if of.sparse != NULL:
        of.counts[16 * t] += table.follow_sparse[of.is_float32](of.sparse, first, count, of.n_features, weight, labels,
                                                                old_labels, of.grid, sums, touched)
    else:
        of.counts[16 * t] += table.follow[of.is_float32](rows, count, of.n_features, weight, labels, old_labels,
                                                         of.grid, sums, touched)
    if of.locks != NULL:
        give_lock(of.locks + own * LOCK_SIZE)

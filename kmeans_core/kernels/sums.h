/* Sums of the samples of each cluster, free of rounding (kernels.h, sum_grid). Included once per real type. */

#ifndef FASTKMEANS_SUMS_SHARED
#define FASTKMEANS_SUMS_SHARED
#define LABEL_RUN 32     /* labels compared at a time: in late iterations few change */
#define FOLLOW_ROWS 4096 /* rows whose changes are listed before any is followed, so that no branch depends on a row */

/* At most so many changed rows are prefetched, and at most so many bytes, a quarter of the first-level cache: an
 * algorithm that found labels without reading the rows has not brought them into the cache. 200 000 x 20 float64 of
 * which 5 % change: 72 ns per changed row, 119 ns if a row is fetched only when it is added (one core, Zen 3). */
#define FOLLOW_AHEAD 16
#define AHEAD_BYTES 8192

/* Rows that are added in one call. With 16 too many are fetched at once: rows that come from memory then took a tenth
 * longer (Zen 3, 1M x 20 float64 of which a quarter change). */
#define FOLLOW_BATCH 4

/* List the rows whose labels differ.   changed   OUT [n], indices from 0;   returns how many. */
static size_t list_changes(const int32_t *old_labels, const int32_t *new_labels, size_t n, uint16_t *changed)
{
    size_t count = 0, i = 0;
    for (; i + LABEL_RUN <= n; i += LABEL_RUN) {
        int32_t difference = 0;
        for (size_t j = i; j < i + LABEL_RUN; j++)
            difference |= old_labels[j] ^ new_labels[j];
        if (!difference)
            continue;
        for (size_t j = i; j < i + LABEL_RUN; j++) {
            changed[count] = (uint16_t)j;
            count += old_labels[j] != new_labels[j];
        }
    }
    for (; i < n; i++) {
        changed[count] = (uint16_t)i;
        count += old_labels[i] != new_labels[i];
    }
    return count;
}

/* The arrays that follow writes do not overlap. If the compiler is not told, a dozen comparisons guard each loop. */
#if defined(__GNUC__) && !defined(__clang__)
#define DISJOINT _Pragma("GCC ivdep")
#else
#define DISJOINT
#endif

/* Sums of cluster j, cleared if nothing was added to them yet: most threads see few clusters, late in a fit. */
static inline double *begun_sums(double *sums, size_t stride, uint8_t *touched, int32_t j)
{
    double *own = sums + (size_t)j * stride;
    if (!touched[j])
        memset(own, 0, stride * sizeof(double));
    touched[j] = 1;
    return own;
}

/* What a value adds to its coarse and to its fine sum. */
typedef struct {
    double coarse, fine;
} value_parts;

static inline value_parts split_value(double value, double coarse, double fine)
{
    const double coarse_part = (value + coarse) - coarse;
    return (value_parts){coarse_part, ((value - coarse_part) + fine) - fine};
}
#endif

/* Add weight * x to a cluster's sums. */
FORCE_INLINE void NAME(add_sample)(const REAL *x, size_t n_features, double weight, sum_grid grid, double *sums)
{
    double *fine_sums = sums + n_features + 1;
    DISJOINT
    for (size_t f = 0; f < n_features; f++) {
        const value_parts parts = split_value(weight * (double)x[f], grid.coarse[f], grid.fine[f]);
        sums[f] += parts.coarse;
        fine_sums[f] += parts.fine;
    }
    const value_parts parts = split_value(weight, grid.coarse[n_features], grid.fine[n_features]);
    sums[n_features] += parts.coarse;
    fine_sums[n_features] += parts.fine;
}

/* Add FOLLOW_BATCH rows to a cluster's sums, which are read and written once for all. */
FORCE_INLINE void NAME(add_batch)(const REAL *const *x, size_t n_features, const double *weight, sum_grid grid,
                                  double *sums)
{
    double *fine_sums = sums + n_features + 1;
    DISJOINT
    for (size_t f = 0; f < n_features; f++) {
        double coarse = sums[f], fine = fine_sums[f];
#pragma GCC unroll 4
        for (int r = 0; r < FOLLOW_BATCH; r++) {
            const value_parts parts = split_value(weight[r] * (double)x[r][f], grid.coarse[f], grid.fine[f]);
            coarse += parts.coarse;
            fine += parts.fine;
        }
        sums[f] = coarse;
        fine_sums[f] = fine;
    }
    for (int r = 0; r < FOLLOW_BATCH; r++) {
        const value_parts parts = split_value(weight[r], grid.coarse[n_features], grid.fine[n_features]);
        sums[n_features] += parts.coarse;
        fine_sums[n_features] += parts.fine;
    }
}

static void NAME(add_rows)(const void *any_x, size_t n_features, const int32_t *rows, size_t count,
                           const double *sample_weight, sum_grid grid, double *sums)
{
    const REAL *x = any_x;
    const size_t row_bytes = n_features * sizeof(REAL), most = AHEAD_BYTES / FOLLOW_BATCH;
    const REAL *batch[FOLLOW_BATCH];
    double weight[FOLLOW_BATCH];
    for (size_t first = 0; first < count; first += FOLLOW_BATCH) {
        const size_t n = count - first < FOLLOW_BATCH ? count - first : FOLLOW_BATCH;
        for (size_t c = first + n; c < first + n + FOLLOW_BATCH && c < count; c++)
            prefetch_bytes((uintptr_t)(x + (size_t)rows[c] * n_features), row_bytes < most ? row_bytes : most);
        for (size_t r = 0; r < n; r++) {
            batch[r] = x + (size_t)rows[first + r] * n_features;
            weight[r] = sample_weight ? sample_weight[rows[first + r]] : 1.0;
        }
        if (n == FOLLOW_BATCH)
            NAME(add_batch)(batch, n_features, weight, grid, sums);
        else
            for (size_t r = 0; r < n; r++)
                NAME(add_sample)(batch[r], n_features, weight[r], grid, sums);
    }
}

/* Subtract weight * x from the sums of one cluster, without rounding, and add it to those of another. */
FORCE_INLINE void NAME(move_sample)(const REAL *x, size_t n_features, double weight, sum_grid grid, double *from,
                                    double *to)
{
    double *fine_from = from + n_features + 1, *fine_to = to + n_features + 1;
    DISJOINT
    for (size_t f = 0; f < n_features; f++) {
        const value_parts parts = split_value(weight * (double)x[f], grid.coarse[f], grid.fine[f]);
        from[f] -= parts.coarse;
        fine_from[f] -= parts.fine;
        to[f] += parts.coarse;
        fine_to[f] += parts.fine;
    }
    const value_parts parts = split_value(weight, grid.coarse[n_features], grid.fine[n_features]);
    from[n_features] -= parts.coarse;
    fine_from[n_features] -= parts.fine;
    to[n_features] += parts.coarse;
    fine_to[n_features] += parts.fine;
}

/* Rows whose labels change: the sums that each leaves (NULL for a first label) and joins. */
typedef struct {
    const REAL *row[FOLLOW_BATCH];
    double weight[FOLLOW_BATCH], *from[FOLLOW_BATCH], *to[FOLLOW_BATCH];
} NAME(changes);

FORCE_INLINE void NAME(apply_each)(const NAME(changes) *changes, size_t count, size_t n_features, sum_grid grid)
{
    for (size_t c = 0; c < count; c++)
        if (changes->from[c])
            NAME(move_sample)(changes->row[c], n_features, changes->weight[c], grid, changes->from[c], changes->to[c]);
        else
            NAME(add_sample)(changes->row[c], n_features, changes->weight[c], grid, changes->to[c]);
}

/* A function of its own, so that all registers are for the sums. Few features have a copy of the code. */
static __attribute__((noinline)) void NAME(apply_changes)(const NAME(changes) *changes, size_t count, size_t n_features,
                                                          sum_grid grid)
{
    if (n_features == 2)
        NAME(apply_each)(changes, count, 2, grid);
    else if (n_features == 3)
        NAME(apply_each)(changes, count, 3, grid);
    else
        NAME(apply_each)(changes, count, n_features, grid);
}

/* Follow the changes of up to FOLLOW_ROWS rows. */
static size_t NAME(follow_rows)(const REAL *x, size_t n_samples, size_t n_features, const double *sample_weight,
                                const int32_t *new_labels, int32_t *old_labels, sum_grid grid, double *sums,
                                uint8_t *touched)
{
    const size_t stride = 2 * (n_features + 1), row_bytes = n_features * sizeof(REAL), fit = AHEAD_BYTES / row_bytes;
    const size_t ahead = fit < 1 ? 1 : fit < FOLLOW_AHEAD ? fit : FOLLOW_AHEAD;
    uint16_t changed[FOLLOW_ROWS + 1];
    const size_t n_changed = list_changes(old_labels, new_labels, n_samples, changed);
    NAME(changes) changes;
    for (size_t c = 0; c < ahead && c < n_changed; c++)
        prefetch_bytes((uintptr_t)(x + changed[c] * n_features), row_bytes);
    for (size_t c = 0, count = 0; c < n_changed; c++) {
        const size_t i = changed[c];
        const int32_t from = old_labels[i], to = new_labels[i];
        if (c + ahead < n_changed)
            prefetch_bytes((uintptr_t)(x + changed[c + ahead] * n_features), row_bytes);
        changes.row[count] = x + i * n_features;
        changes.weight[count] = sample_weight ? sample_weight[i] : 1.0;
        changes.from[count] = from < 0 ? NULL : begun_sums(sums, stride, touched, from);
        changes.to[count] = begun_sums(sums, stride, touched, to);
        old_labels[i] = to;
        if (++count == FOLLOW_BATCH || c + 1 == n_changed) {
            NAME(apply_changes)(&changes, count, n_features, grid);
            count = 0;
        }
    }
    return n_changed;
}

static size_t NAME(follow)(const void *any_x, size_t n_samples, size_t n_features, const double *sample_weight,
                           const int32_t *new_labels, int32_t *old_labels, sum_grid grid, double *sums,
                           uint8_t *touched)
{
    const REAL *x = any_x;
    size_t n_changed = 0;
    for (size_t first = 0; first < n_samples; first += FOLLOW_ROWS) {
        const size_t count = n_samples - first < FOLLOW_ROWS ? n_samples - first : FOLLOW_ROWS;
        const REAL *rows = x + first * n_features;
        const double *weight = sample_weight ? sample_weight + first : NULL;
        n_changed += NAME(follow_rows)(rows, count, n_features, weight, new_labels + first, old_labels + first, grid,
                                       sums, touched);
    }
    return n_changed;
}

/* Sums of the samples of each cluster, free of rounding (kernels.h, sum_grid). Included once per real type. */

#ifndef FASTKMEANS_SUMS_SHARED
#define FASTKMEANS_SUMS_SHARED
#define LABEL_RUN 32    /* labels compared at a time: in late iterations few change */
#define FOLLOW_ROWS 4096 /* rows whose changes are listed before any is followed, so that no branch depends on a row */
#define FOLLOW_AHEAD 16     /* changed rows that are asked for ahead: an algorithm that found labels by itself has not just */
#define AHEAD_BYTES 8192    /* read them. At most as many as a quarter of the first-level cache holds. One core of a Zen 3, */
                            /* 200 000 x 20 float64 of which 5 % change: 72 ns a changed row, 119 when asked for at once. */

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

/* Add a value to its coarse and its fine sum. */
static inline void add_value(double value, double coarse, double fine, double *coarse_sum, double *fine_sum)
{
    const double coarse_part = (value + coarse) - coarse;
    const double rest = value - coarse_part;
    *coarse_sum += coarse_part;
    *fine_sum += (rest + fine) - fine;
}
#endif

/* Add weight * x to a cluster's sums; a negative weight takes the sample out, without a trace. */
static inline __attribute__((always_inline)) void NAME(add_sample)(const REAL *x, size_t n_features, double weight,
                                                                   sum_grid grid, double *sums)
{
    double *restrict coarse_sums = sums;
    double *restrict fine_sums = sums + n_features + 1;
    const double *restrict coarse = grid.coarse;
    const double *restrict fine = grid.fine;
    for (size_t f = 0; f < n_features; f++)
        add_value(weight * (double)x[f], coarse[f], fine[f], coarse_sums + f, fine_sums + f);
    add_value(weight, coarse[n_features], fine[n_features], coarse_sums + n_features, fine_sums + n_features);
}

/* Follow the changes of up to FOLLOW_ROWS rows; n_features is a constant where that is worth a copy of the code. */
static inline __attribute__((always_inline)) size_t NAME(follow_rows)(const REAL *x, size_t n_samples,
                                                                      size_t n_features, const double *sample_weight,
                                                                      const int32_t *new_labels, int32_t *old_labels,
                                                                      sum_grid grid, double *sums, uint8_t *touched)
{
    const size_t stride = 2 * (n_features + 1);
    uint16_t changed[FOLLOW_ROWS + 1];
    const size_t n_changed = list_changes(old_labels, new_labels, n_samples, changed);
    const size_t row_bytes = n_features * sizeof(REAL), fit = AHEAD_BYTES / row_bytes;
    const size_t ahead = fit < 1 ? 1 : fit < FOLLOW_AHEAD ? fit : FOLLOW_AHEAD;
    for (size_t c = 0; c < ahead && c < n_changed; c++)
        prefetch_bytes((uintptr_t)(x + changed[c] * n_features), row_bytes);
    for (size_t c = 0; c < n_changed; c++) {
        if (c + ahead < n_changed)
            prefetch_bytes((uintptr_t)(x + changed[c + ahead] * n_features), row_bytes);
        const size_t i = changed[c];
        const int32_t from = old_labels[i], to = new_labels[i];
        const double weight = sample_weight ? sample_weight[i] : 1.0;
        if (from >= 0) {
            NAME(add_sample)(x + i * n_features, n_features, -weight, grid, sums + (size_t)from * stride);
            touched[from] = 1;
        }
        NAME(add_sample)(x + i * n_features, n_features, weight, grid, sums + (size_t)to * stride);
        touched[to] = 1;
        old_labels[i] = to;
    }
    return n_changed;
}

static size_t NAME(follow)(const REAL *x, size_t n_samples, size_t n_features, const double *sample_weight,
                           const int32_t *new_labels, int32_t *old_labels, sum_grid grid, double *sums,
                           uint8_t *touched)
{
    size_t n_changed = 0;
    for (size_t first = 0; first < n_samples; first += FOLLOW_ROWS) {
        const size_t count = n_samples - first < FOLLOW_ROWS ? n_samples - first : FOLLOW_ROWS;
        const REAL *rows = x + first * n_features;
        const double *weight = sample_weight ? sample_weight + first : NULL;
#define FOLLOW(features) \
    NAME(follow_rows)(rows, count, features, weight, new_labels + first, old_labels + first, grid, sums, touched)
        n_changed += n_features == 2   ? FOLLOW(2)
                     : n_features == 3 ? FOLLOW(3)
                                       : FOLLOW(n_features);
#undef FOLLOW
    }
    return n_changed;
}

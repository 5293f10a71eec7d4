/* Sums of the samples of each cluster, free of rounding (kernels.h, sum_grid). Included once per real type. */

#ifndef FASTKMEANS_SUMS_SHARED
#define FASTKMEANS_SUMS_SHARED
#define LABEL_RUN 32 /* labels compared at a time: in late iterations few change */

static inline int same_labels(const int32_t *a, const int32_t *b)
{
    int32_t difference = 0;
    for (int i = 0; i < LABEL_RUN; i++)
        difference |= a[i] ^ b[i];
    return difference == 0;
}
#endif

/* Add weight * x to a cluster's sums; a negative weight takes the sample out, without a trace. */
static inline void NAME(add_sample)(const REAL *x, size_t n_features, double weight, sum_grid grid, double *sums)
{
    double *restrict coarse_sums = sums;
    double *restrict fine_sums = sums + n_features + 1;
    const double *restrict coarse = grid.coarse;
    const double *restrict fine = grid.fine;
    for (size_t f = 0; f < n_features; f++) {
        const double value = weight * (double)x[f];
        const double coarse_part = (value + coarse[f]) - coarse[f];
        const double rest = value - coarse_part;
        coarse_sums[f] += coarse_part;
        fine_sums[f] += (rest + fine[f]) - fine[f];
    }
    const double coarse_part = (weight + coarse[n_features]) - coarse[n_features];
    const double rest = weight - coarse_part;
    coarse_sums[n_features] += coarse_part;
    fine_sums[n_features] += (rest + fine[n_features]) - fine[n_features];
}

static size_t NAME(follow)(const REAL *x, size_t n_samples, size_t n_features, const double *sample_weight,
                           const int32_t *new_labels, int32_t *old_labels, sum_grid grid, double *sums,
                           uint8_t *touched)
{
    const size_t stride = 2 * (n_features + 1);
    size_t n_changed = 0;
    for (size_t i = 0; i < n_samples; i++) {
        if (i % LABEL_RUN == 0 && i + LABEL_RUN <= n_samples && same_labels(old_labels + i, new_labels + i)) {
            i += LABEL_RUN - 1;
            continue;
        }
        const int32_t from = old_labels[i], to = new_labels[i];
        if (from == to)
            continue;
        const double weight = sample_weight ? sample_weight[i] : 1.0;
        if (from >= 0) {
            NAME(add_sample)(x + i * n_features, n_features, -weight, grid, sums + (size_t)from * stride);
            touched[from] = 1;
        }
        NAME(add_sample)(x + i * n_features, n_features, weight, grid, sums + (size_t)to * stride);
        touched[to] = 1;
        old_labels[i] = to;
        n_changed++;
    }
    return n_changed;
}

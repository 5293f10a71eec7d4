/* What a fit must know of its samples before it starts. Included once per real type. */

#ifndef FASTKMEANS_DESCRIBE_SHARED
#define FASTKMEANS_DESCRIBE_SHARED
#define DESCRIBE_WIDTH 64 /* float64 sums side by side: rows of few features are taken several at a time */
#endif

/* Mean and squared deviations in two passes over a block that the caller keeps cache-sized (Chan, Golub and LeVeque,
 * "Algorithms for computing the sample variance", The American Statistician 37(3), 1983: merged by the caller).
 * Few features: `group` rows are one long row, whose columns are folded at the end. */
static void NAME(describe)(const REAL *x, size_t n_samples, size_t n_features, double *max_abs, double *mean,
                           double *m2)
{
    const size_t group = n_features < DESCRIBE_WIDTH ? DESCRIBE_WIDTH / n_features : 1;
    const size_t width = group * n_features, n_values = n_samples * n_features;
    double wide_max[DESCRIBE_WIDTH], wide_sum[DESCRIBE_WIDTH], wide_mean[DESCRIBE_WIDTH];
    double *largest = group > 1 ? wide_max : max_abs, *sum = group > 1 ? wide_sum : m2;
    for (size_t i = 0; i < width; i++)
        largest[i] = sum[i] = 0.0;
    for (size_t first = 0; first < n_values; first += width) {
        const size_t count = n_values - first < width ? n_values - first : width;
        for (size_t i = 0; i < count; i++) {
            const double value = (double)x[first + i], magnitude = fabs(value);
            largest[i] = magnitude > largest[i] ? magnitude : largest[i];
            sum[i] += value;
        }
    }
    for (size_t f = 0; f < n_features; f++) {
        double total = 0.0, top = 0.0;
        for (size_t i = f; i < width; i += n_features) {
            total += sum[i];
            top = largest[i] > top ? largest[i] : top;
        }
        mean[f] = total / (double)n_samples;
        max_abs[f] = top;
    }
    const double *means = group > 1 ? wide_mean : mean;
    for (size_t i = 0; i < width && group > 1; i++)
        wide_mean[i] = mean[i % n_features];
    for (size_t i = 0; i < width; i++)
        sum[i] = 0.0;
    for (size_t first = 0; first < n_values; first += width) {
        const size_t count = n_values - first < width ? n_values - first : width;
        for (size_t i = 0; i < count; i++) {
            const double deviation = (double)x[first + i] - means[i];
            sum[i] += deviation * deviation;
        }
    }
    for (size_t f = 0; f < n_features && group > 1; f++) {
        m2[f] = 0.0;
        for (size_t i = f; i < width; i += n_features)
            m2[f] += sum[i];
    }
}

/* Written so that a NaN, which compares false, is found too; the flags have the width of the values, for the vectors. */
static int NAME(has_unusable)(const REAL *values, size_t n, REAL limit)
{
    REAL found[16] = {0}, any = 0;
    size_t i = 0;
    for (; i + 16 <= n; i += 16)
        for (int j = 0; j < 16; j++)
            found[j] = (REAL)fabs(values[i + j]) <= limit ? found[j] : 1;
    for (; i < n; i++)
        any = (REAL)fabs(values[i]) <= limit ? any : 1;
    for (int j = 0; j < 16; j++)
        any += found[j];
    return any > 0;
}

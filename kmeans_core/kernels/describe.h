/* What a fit must know of its samples before it starts. Included once per real type. */

#ifndef FASTKMEANS_DESCRIBE_SHARED
#define FASTKMEANS_DESCRIBE_SHARED
#define DESCRIBE_WIDTH 64  /* values side by side: of rows with few features, several rows */
#define DESCRIBE_STRIP 256 /* values of a long row that are taken together */
#define FLAT_FEATURES 32   /* rows of at most so many features are read as one run of values by find_smallest */
/* Rows of a run are added up in registers, and DESCRIBE_RUNS runs before they go into sums that keep what rounding
 * took. So no sum is the end of a long chain of roundings (engines/rounding.py counts them). Runs of 16 rows read
 * memory in an order that prefetching does not follow: a million rows of 20 float64 took 22 ms, with runs of 4 11.5 ms
 * (Zen 4). */
#define DESCRIBE_RUN 4
#define DESCRIBE_RUNS 8

/* Sums of each column: of the runs that are not yet in `all`, of all other runs, and what rounding took from `all`. */
typedef struct {
    double runs[DESCRIBE_STRIP], all[DESCRIBE_STRIP], lacking[DESCRIBE_STRIP];
} column_sums;

static void begin_sums(column_sums *sums, size_t width)
{
    for (size_t i = 0; i < width; i++)
        sums->runs[i] = sums->all[i] = sums->lacking[i] = 0.0;
}

static void close_runs(column_sums *sums, size_t width)
{
    for (size_t i = 0; i < width; i++) {
        const two_reals sum = two_sum(sums->all[i], sums->runs[i]);
        sums->all[i] = sum.high;
        sums->lacking[i] += sum.low;
        sums->runs[i] = 0.0;
    }
}

/* How many short rows lie side by side: about DESCRIBE_WIDTH values, and whole vectors if that takes few rows. */
static size_t rows_side_by_side(size_t n_features)
{
    const size_t most = DESCRIBE_WIDTH / n_features, odd_part = n_features % 8;
    const size_t even = odd_part == 0 ? 1 : odd_part == 4 ? 2 : odd_part % 2 == 0 ? 4 : 8;
    if (most >= even)
        return most / even * even;
    return even * n_features <= 2 * DESCRIBE_WIDTH ? even : most;
}

/* Fold the columns of one feature. */
static double folded(const column_sums *sums, size_t f, size_t n_features, size_t width)
{
    two_reals total = {0.0, 0.0};
    for (size_t i = f; i < width; i += n_features) {
        const two_reals sum = two_sum(total.high, sums->all[i]);
        total = (two_reals){sum.high, total.low + (sum.low + sums->lacking[i])};
    }
    return total.high + total.low;
}

/* How many strips of features `describe` describes one by one. */
static size_t describe_strips(size_t n_features) { return (n_features + DESCRIBE_STRIP - 1) / DESCRIBE_STRIP; }
#endif

/* Largest |x|, and sum, of n_rows rows of `width` columns. */
FORCE_INLINE void NAME(add_run)(const REAL *x, size_t stride, size_t n_rows, size_t width, double *largest,
                                double *runs)
{
    size_t i = 0;
    for (; i + VD_LANES <= width; i += VD_LANES) {
        vdouble most = vd_load(largest + i), sum = {0.0};
#pragma GCC unroll 16
        for (size_t r = 0; r < n_rows; r++) {
            const vdouble value = NAME(vd_load)(x + r * stride + i);
            most = vd_max(vd_abs(value), most);
            sum += value;
        }
        vd_store(largest + i, most);
        vd_store(runs + i, vd_load(runs + i) + sum);
    }
    for (; i < width; i++) {
        double sum = 0.0;
        for (size_t r = 0; r < n_rows; r++) {
            const double value = (double)x[r * stride + i], magnitude = fabs(value);
            largest[i] = magnitude > largest[i] ? magnitude : largest[i];
            sum += value;
        }
        runs[i] += sum;
    }
}

/* Sums of deviations and of their squares. */
FORCE_INLINE void NAME(add_deviations)(const REAL *x, size_t stride, size_t n_rows, size_t width, const double *means,
                                       double *runs, double *sq_runs)
{
    size_t i = 0;
    for (; i + VD_LANES <= width; i += VD_LANES) {
        const vdouble mean = vd_load(means + i);
        vdouble sum = {0.0}, sq_sum = {0.0};
#pragma GCC unroll 16
        for (size_t r = 0; r < n_rows; r++) {
            const vdouble deviation = NAME(vd_load)(x + r * stride + i) - mean;
            sum += deviation;
            sq_sum += deviation * deviation;
        }
        vd_store(runs + i, vd_load(runs + i) + sum);
        vd_store(sq_runs + i, vd_load(sq_runs + i) + sq_sum);
    }
    for (; i < width; i++) {
        double sum = 0.0, sq_sum = 0.0;
        for (size_t r = 0; r < n_rows; r++) {
            const double deviation = (double)x[r * stride + i] - means[i];
            sum += deviation;
            sq_sum += deviation * deviation;
        }
        runs[i] += sum;
        sq_runs[i] += sq_sum;
    }
}

/* Describe `width` columns: n_features of them, or those of several short rows side by side.
 *   stride     values from one such row to the next      n_values   from x on, a last row may be short */
static void NAME(describe_strip)(const REAL *x, size_t stride, size_t n_values, size_t n_samples, size_t n_features,
                                 size_t width, double *max_abs, double *mean, double *m2)
{
    const size_t n_whole = n_values < width ? 0 : 1 + (n_values - width) / stride, n_runs = n_whole / DESCRIBE_RUN;
    /* Values of a row that is not whole. */
    const size_t n_last = n_values > n_whole * stride ? n_values - n_whole * stride : 0;
    double largest[DESCRIBE_STRIP], means[DESCRIBE_STRIP];
    column_sums sum, sq;
    begin_sums(&sum, width);
    begin_sums(&sq, width);
    for (size_t i = 0; i < width; i++)
        largest[i] = 0.0;
    for (size_t run = 0; run < n_runs; run++) {
        NAME(add_run)(x + run * DESCRIBE_RUN * stride, stride, DESCRIBE_RUN, width, largest, sum.runs);
        if (run % DESCRIBE_RUNS == DESCRIBE_RUNS - 1)
            close_runs(&sum, width);
    }
    NAME(add_run)(x + n_runs * DESCRIBE_RUN * stride, stride, n_whole % DESCRIBE_RUN, width, largest, sum.runs);
    NAME(add_run)(x + n_whole * stride, stride, 1, n_last, largest, sum.runs);
    close_runs(&sum, width);
    for (size_t f = 0; f < n_features; f++) {
        max_abs[f] = largest[f];
        for (size_t i = f; i < width; i += n_features)
            max_abs[f] = largest[i] > max_abs[f] ? largest[i] : max_abs[f];
        mean[f] = folded(&sum, f, n_features, width) / (double)n_samples;
        for (size_t i = f; i < width; i += n_features)
            means[i] = mean[f];
    }
    begin_sums(&sum, width);
    for (size_t run = 0; run < n_runs; run++) {
        NAME(add_deviations)(x + run * DESCRIBE_RUN * stride, stride, DESCRIBE_RUN, width, means, sum.runs, sq.runs);
        if (run % DESCRIBE_RUNS == DESCRIBE_RUNS - 1) {
            close_runs(&sum, width);
            close_runs(&sq, width);
        }
    }
    NAME(add_deviations)(x + n_runs * DESCRIBE_RUN * stride, stride, n_whole % DESCRIBE_RUN, width, means, sum.runs,
                         sq.runs);
    NAME(add_deviations)(x + n_whole * stride, stride, 1, n_last, means, sum.runs, sq.runs);
    close_runs(&sum, width);
    close_runs(&sq, width);
    for (size_t f = 0; f < n_features; f++) {
        const double lacking = folded(&sum, f, n_features, width);
        m2[f] = folded(&sq, f, n_features, width) - lacking * (lacking / (double)n_samples);
        m2[f] = m2[f] > 0.0 || m2[f] != m2[f] ? m2[f] : 0.0;
        mean[f] += lacking / (double)n_samples;
    }
}

/* Mean and squared deviations in two passes over a block, which the caller keeps small enough for the cache and merges
 * with others. The second pass corrects the mean of the first (T. F. Chan, G. H. Golub and R. J. LeVeque, "Algorithms
 * for computing the sample variance", The American Statistician 37(3), 1983). */
static void NAME(describe)(const void *any_x, size_t n_samples, size_t n_features, size_t strip, double *max_abs,
                           double *mean, double *m2)
{
    const REAL *x = any_x;
    const size_t n_values = n_samples * n_features, f = strip * DESCRIBE_STRIP;
    if (n_features < DESCRIBE_WIDTH) {
        const size_t width = rows_side_by_side(n_features) * n_features;
        NAME(describe_strip)(x, width, n_values, n_samples, n_features, width, max_abs, mean, m2);
        return;
    }
    const size_t width = n_features - f < DESCRIBE_STRIP ? n_features - f : DESCRIBE_STRIP;
    NAME(describe_strip)(x + f, n_features, n_values - f, n_samples, width, width, max_abs + f, mean + f, m2 + f);
}

#define LARGEST_VECS 4 /* vectors of columns whose largest values stay in registers */

/* The largest |x| of LARGEST_VECS vectors of columns.   stride  from row to row      largest  OUT */
static void NAME(find_largest_of_some)(const REAL *x, size_t stride, size_t n_rows, REAL *largest)
{
    NAME(sizes) most[LARGEST_VECS];
    memset(most, 0, sizeof most);
    for (size_t i = 0; i < n_rows; i++, x += stride)
#pragma GCC unroll 4
        for (int v = 0; v < LARGEST_VECS; v++)
            most[v] = NAME(sizes_max)(most[v], NAME(sizes_load)(x + v * (sizeof *most / sizeof(REAL))));
    memcpy(largest, most, sizeof most);
}

static inline double NAME(larger)(double most, REAL x)
{
    const double magnitude = fabs((double)x);
    return magnitude <= most || most != most ? most : magnitude; /* a NaN stays */
}

/* Values are read once, but for some columns that are read twice because vectors are whole. */
static void NAME(find_largest)(const void *any_x, size_t n_samples, size_t n_features, double *max_abs)
{
    const REAL *x = any_x;
    const size_t side = n_features < DESCRIBE_WIDTH ? rows_side_by_side(n_features) : 1, width = side * n_features;
    const size_t together = LARGEST_VECS * sizeof(NAME(sizes)) / sizeof(REAL), n_values = n_samples * n_features;
    const size_t n_rows = width < together ? 0 : n_values / width;
    REAL largest[LARGEST_VECS * sizeof(NAME(sizes)) / sizeof(REAL)];
    for (size_t f = 0; f < n_features; f++)
        max_abs[f] = 0.0;
    for (size_t f = 0; f < width && n_rows > 0; f += together) {
        const size_t first = f + together <= width ? f : width - together;
        NAME(find_largest_of_some)(x + first, width, n_rows, largest);
        for (size_t i = 0; i < together; i++)
            max_abs[(first + i) % n_features] = NAME(larger)(max_abs[(first + i) % n_features], largest[i]);
    }
    for (size_t i = n_rows * width; i < n_values; i++)
        max_abs[i % n_features] = NAME(larger)(max_abs[i % n_features], x[i]);
}

/* The same of VD_LANES rows at a time, as one run of values: rows of fewer features would leave lanes unused. */
static size_t NAME(find_smallest_narrow)(const REAL *x, size_t n_samples, size_t n_features, double *min_abs)
{
    vdouble least[FLAT_FEATURES];
    double lane[VD_LANES];
    size_t i = 0;
    for (size_t v = 0; v < n_features; v++)
        least[v] = (vdouble){0} + HUGE_VAL;
    for (; i + VD_LANES <= n_samples; i += VD_LANES, x += VD_LANES * n_features)
        for (size_t v = 0; v < n_features; v++)
            least[v] = vd_min_above_zero(vd_abs(NAME(vd_load)(x + v * VD_LANES)), least[v]);
    for (size_t v = 0; v < n_features; v++) {
        vd_store(lane, least[v]);
        for (size_t l = 0; l < VD_LANES; l++) {
            const size_t f = (v * VD_LANES + l) % n_features;
            min_abs[f] = lane[l] < min_abs[f] ? lane[l] : min_abs[f];
        }
    }
    return i;
}

static void NAME(find_smallest)(const void *any_x, size_t n_samples, size_t n_features, double *min_abs)
{
    const REAL *x = any_x;
    size_t i = 0;
    if (n_features <= FLAT_FEATURES)
        i = NAME(find_smallest_narrow)(x, n_samples, n_features, min_abs);
    for (x += i * n_features; i < n_samples; i++, x += n_features) {
        size_t f = 0;
        for (; f + VD_LANES <= n_features; f += VD_LANES)
            vd_store(min_abs + f, vd_min_above_zero(vd_abs(NAME(vd_load)(x + f)), vd_load(min_abs + f)));
        for (; f < n_features; f++) {
            const double magnitude = fabs((double)x[f]);
            min_abs[f] = magnitude > 0.0 && magnitude < min_abs[f] ? magnitude : min_abs[f];
        }
    }
}

/* A NaN compares false, so it is found too. Flags are as wide as the values, so that the compiler makes vectors. */
static int NAME(has_unusable)(const void *any_values, size_t n, double any_limit)
{
    const REAL *values = any_values;
    const REAL limit = (REAL)any_limit;
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

/* What splitting a cluster saves. Included once per real type.
 *
 * Sums of float64 in an order that is the same on all instruction sets: eight lanes, no fused multiply-add.
 */

/* All iterations together are taken to save at most so many times what the first one does. It was at most 2.8 times, in
 * 556 clusters of digits, sentences, maps and flights. */
#define SPLIT_HOPE 4.0

/* (x - mean).direction */
static inline double NAME(along)(const REAL *x, const double *mean, const double *direction, size_t n_features)
{
    enum { PARTS = 8 / VD_LANES };
    vdouble sums[PARTS];
#pragma GCC unroll 8
    for (int p = 0; p < PARTS; p++)
        sums[p] = (vdouble){0.0};
    size_t f = 0;
    for (; f + 8 <= n_features; f += 8)
#pragma GCC unroll 8
        for (int p = 0; p < PARTS; p++) {
            const size_t at = f + (size_t)p * VD_LANES;
            sums[p] += (NAME(vd_load)(x + at) - vd_load(mean + at)) * vd_load(direction + at);
        }
    double total = vd_total_of_eight(sums);
    for (; f < n_features; f++)
        total += ((double)x[f] - mean[f]) * direction[f];
    return total;
}

/* Sum over the rows of a cluster of weight times squared distance to its mean.
 *   rows   IN [n_rows]       weights   IN of all samples, or NULL for ones
 *   far    OUT the farthest row with a weight; the first of equals, -1 for none */
static double NAME(inertia_of_cluster)(const void *any_x, size_t n_features, const int32_t *rows, size_t n_rows,
                                       const double *weights, const double *mean, int32_t *far)
{
    const REAL *x = any_x;
    double inertia = 0.0, largest = -1.0;
    *far = -1;
    for (size_t r = 0; r < n_rows; r++) {
        const size_t i = (size_t)rows[r];
        const double weight = weights ? weights[i] : 1.0;
        const double sq = weight > 0.0 ? NAME(sq_distance)(x + i * n_features, mean, n_features) : -1.0;
        inertia += weight > 0.0 ? weight * sq : 0.0;
        if (sq > largest) {
            largest = sq;
            *far = rows[r];
        }
    }
    return inertia;
}

/* Split a cluster by iterations of 2-means; the first one splits along the line from the mean to a row. Returns by how
 * much the inertia falls; 0 if one side has no weight, or if the first iteration saves less than least / SPLIT_HOPE.
 *   far          IN  that row
 *   most_rows    all iterations but the last use at most about so many rows, evenly spread
 *   direction    scratch [n_features]
 *   halves       OUT [2][n_features]: the means of both sides, from `mean` on */
static double NAME(split_cluster)(const void *any_x, size_t n_features, const int32_t *rows, size_t n_rows,
                                  const double *weights, const double *mean, int32_t far, double least,
                                  size_t n_iterations, size_t most_rows, double *direction, double *halves)
{
    const REAL *x = any_x;
    double threshold = 0.0, saved = 0.0;
    for (size_t f = 0; f < n_features; f++)
        direction[f] = (double)x[(size_t)far * n_features + f] - mean[f];
    for (size_t iteration = 0; iteration <= n_iterations; iteration++) {
        const size_t stride = iteration < n_iterations ? (n_rows + most_rows - 1) / most_rows : 1;
        double side_weights[2] = {0.0, 0.0}, sq_apart = 0.0;
        memset(halves, 0, 2 * n_features * sizeof(double));
        for (size_t r = 0; r < n_rows; r += stride) {
            const REAL *row = x + (size_t)rows[r] * n_features;
            const double weight = weights ? weights[rows[r]] : 1.0;
            if (!(weight > 0.0))
                continue;
            const int side = NAME(along)(row, mean, direction, n_features) > threshold;
            double *sums = halves + (size_t)side * n_features;
            side_weights[side] += weight;
            for (size_t f = 0; f < n_features; f++)
                sums[f] += weight * ((double)row[f] - mean[f]);
        }
        if (!(side_weights[0] > 0.0 && side_weights[1] > 0.0))
            return 0.0;
        threshold = 0.0;
        for (size_t f = 0; f < n_features; f++) {
            const double low = halves[f] /= side_weights[0], high = halves[n_features + f] /= side_weights[1];
            direction[f] = high - low;
            threshold += 0.5 * (high - low) * (high + low);
            sq_apart += (high - low) * (high - low);
        }
        saved = side_weights[0] / (side_weights[0] + side_weights[1]) * side_weights[1] * sq_apart;
        if (iteration == 0 && SPLIT_HOPE * (double)stride * saved < least)
            return 0.0;
    }
    return saved;
}

/* Decisions in float64 on the stored rows and the stored centers. Included once per real type.
 *
 * Compiled without contraction into fused multiply-adds: the sums are those of NumPy, bit for bit.
 */

/* Sum of (x - c)^2 over n features in the order of NumPy's pairwise summation: plain below 8 terms, eight
 * interleaved sums up to 128, halves (a multiple of 8) above. */
static double NAME(sq_distance)(const REAL *x, const double *c, size_t n)
{
    if (n < 8) {
        double sum = 0.0;
        for (size_t f = 0; f < n; f++)
            sum += ((double)x[f] - c[f]) * ((double)x[f] - c[f]);
        return sum;
    }
    if (n > 128) {
        const size_t half = n / 2 - n / 2 % 8;
        return NAME(sq_distance)(x, c, half) + NAME(sq_distance)(x + half, c + half, n - half);
    }
    double part[8] = {0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0};
    size_t f = 0;
    for (; f + 8 <= n; f += 8)
        for (int i = 0; i < 8; i++)
            part[i] += ((double)x[f + i] - c[f + i]) * ((double)x[f + i] - c[f + i]);
    double sum = ((part[0] + part[1]) + (part[2] + part[3])) + ((part[4] + part[5]) + (part[6] + part[7]));
    for (; f < n; f++)
        sum += ((double)x[f] - c[f]) * ((double)x[f] - c[f]);
    return sum;
}

/* The nearest center of one sample that the tile could not prove.
 *   x        IN  the stored row
 *   lane     IN  its column of the tile, stride TILE_SAMPLES
 *   norm     |x'|, rounded up
 *   scores   scratch [padded centers]
 * Scores every center once more in float32, keeps those that the bound of their own pair cannot exclude, and takes
 * the nearest of these in float64. Comparisons are written so that a NaN (an overflow of float32) keeps a center. */
static int32_t NAME(decide)(const REAL *x, const float *lane, float norm, const packed_centers *packed, float *scores)
{
    const size_t n_features = packed->n_features;
    for (size_t p = 0; p < packed->n_panels; p += RESCORE_PANELS)
        rescore(lane, packed, p, scores);
    const vec least_upper = v_splat(lower_bounds(packed, norm, scores));
    double nearest_sq = HUGE_VAL;
    int32_t label = 0;
    for (size_t first = 0; first < packed->n_clusters; first += LANES) {
        const uint32_t excluded = v_bits(v_less(least_upper, v_load(scores + first)));
        for (uint32_t bits = ~excluded & ALL_LANES; bits; bits &= bits - 1) {
            const size_t j = first + (size_t)__builtin_ctz(bits);
            if (j >= packed->n_clusters)
                break;
            const double sq = NAME(sq_distance)(x, packed->centers + j * n_features, n_features);
            if (sq < nearest_sq) {
                nearest_sq = sq;
                label = (int32_t)j;
            }
        }
    }
    return label;
}

static void NAME(own_sq_distances)(const void *any_x, size_t n_samples, size_t n_features, const double *centers,
                                   const int32_t *labels, double *sq_distances)
{
    const REAL *x = any_x;
    for (size_t i = 0; i < n_samples; i++)
        sq_distances[i] = NAME(sq_distance)(x + i * n_features, centers + (size_t)labels[i] * n_features, n_features);
}

static void NAME(all_sq_distances)(const void *any_x, size_t n_samples, size_t n_features, const double *centers,
                                   size_t n_clusters, double *sq_distances)
{
    const REAL *x = any_x;
    for (size_t i = 0; i < n_samples; i++)
        for (size_t j = 0; j < n_clusters; j++)
            sq_distances[i * n_clusters + j] =
                NAME(sq_distance)(x + i * n_features, centers + j * n_features, n_features);
}

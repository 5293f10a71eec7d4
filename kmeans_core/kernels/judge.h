/* How well samples fit their clusters: the sums of a sweep's criteria. Included once per real type.
 *
 * Eight samples are the lanes, centers are broadcast, JUDGE_CENTERS at a time: 8 sums, 2 samples, 1 difference and 1
 * center are 12 of 16 registers where eight float64 take two. float64 by differences, as in silhouette.h.
 */

#ifndef FASTKMEANS_JUDGE_SHARED
#define FASTKMEANS_JUDGE_SHARED
#define JUDGE_CENTERS 4
#define EIGHT_VECS (EIGHT / VD_LANES)

/* Squared distances of eight samples to `count` centers (the last one again where there are fewer). */
static inline void eight_squares(const double *samples, const double *centers, size_t count, size_t n_features,
                                 vdouble (*squares)[EIGHT_VECS])
{
    const double *center[JUDGE_CENTERS];
#pragma GCC unroll 4
    for (size_t c = 0; c < JUDGE_CENTERS; c++) {
        center[c] = centers + (c < count ? c : count - 1) * n_features;
#pragma GCC unroll 8
        for (int v = 0; v < EIGHT_VECS; v++)
            squares[c][v] = (vdouble){0.0};
    }
    for (size_t f = 0; f < n_features; f++)
#pragma GCC unroll 4
        for (int c = 0; c < JUDGE_CENTERS; c++)
#pragma GCC unroll 8
            for (int v = 0; v < EIGHT_VECS; v++) {
                const vdouble away = vd_load(samples + f * EIGHT + v * VD_LANES) - center[c][f];
                squares[c][v] = vd_fmadd(squares[c][v], away, away);
            }
}
#endif

/* Squared distance of a sample to the mean of its cluster; the order of the sum is free. */
static inline double NAME(square_from)(const REAL *x, const double *mean, size_t n_features)
{
    vdouble squares = {0.0};
    double rest = 0.0;
    size_t f = 0;
    for (; f + VD_LANES <= n_features; f += VD_LANES) {
        const vdouble away = NAME(vd_load)(x + f) - vd_load(mean + f);
        squares = vd_fmadd(squares, away, away);
    }
    for (; f < n_features; f++)
        rest += ((double)x[f] - mean[f]) * ((double)x[f] - mean[f]);
    return vd_total(squares) + rest;
}

/* Sums over samples of weight times simplified silhouette, and for each cluster of weight times distance to its mean.
 *   labels          IN [n_samples], of n_clusters >= 2      sample_weight   IN [n_samples], or NULL for ones
 *   eights          IN  the samples as gather_eights lays them out
 *   centers, means  IN [n_clusters][n_features]
 *   sums            OUT [1 + n_clusters] */
static void NAME(judge)(const void *any_x, const double *eights, size_t n_samples, size_t n_features,
                        const int32_t *labels, const double *sample_weight, const double *centers, const double *means,
                        size_t n_clusters, double *sums)
{
    const REAL *x = any_x;
    vdouble silhouette_sums[EIGHT_VECS] = {{0.0}};
    memset(sums, 0, (1 + n_clusters) * sizeof(double));
    for (size_t first = 0; first < n_samples; first += EIGHT) {
        const size_t left = n_samples - first < EIGHT ? n_samples - first : EIGHT;
        int64_t own_label[EIGHT];
        double distances[EIGHT], weights[EIGHT];
        for (size_t lane = 0; lane < EIGHT; lane++) {
            const size_t i = first + (lane < left ? lane : left - 1);
            const REAL *row = x + i * n_features;
            own_label[lane] = labels[i];
            distances[lane] = NAME(square_from)(row, means + (size_t)labels[i] * n_features, n_features);
            weights[lane] = lane >= left ? 0.0 : sample_weight ? sample_weight[i] : 1.0;
        }
        vdouble own[EIGHT_VECS], nearest[EIGHT_VECS], squares[JUDGE_CENTERS][EIGHT_VECS];
#pragma GCC unroll 8
        for (int v = 0; v < EIGHT_VECS; v++) {
            own[v] = (vdouble){0.0};
            nearest[v] = own[v] + HUGE_VAL;
        }
        for (size_t j = 0; j < n_clusters; j += JUDGE_CENTERS) {
            const size_t count = n_clusters - j < JUDGE_CENTERS ? n_clusters - j : JUDGE_CENTERS;
            eight_squares(eights + first * n_features, centers + j * n_features, count, n_features, squares);
            for (size_t c = 0; c < count; c++)
#pragma GCC unroll 8
                for (int v = 0; v < EIGHT_VECS; v++) {
                    const vd_mask is_own = vd_load_labels(own_label + v * VD_LANES) == (int64_t)(j + c);
                    own[v] = vd_pick(is_own, squares[c][v], own[v]);
                    nearest[v] = vd_pick(~is_own & (squares[c][v] < nearest[v]), squares[c][v], nearest[v]);
                }
        }
#pragma GCC unroll 8
        for (int v = 0; v < EIGHT_VECS; v++) {
            const vdouble a = vd_sqrt(own[v]), b = vd_sqrt(nearest[v]), larger = vd_pick(a < b, b, a);
            const vdouble none = {0.0}, weight = vd_load(weights + v * VD_LANES);
            const vdouble silhouette =
                vd_pick(larger > none, (b - a) / vd_pick(larger > none, larger, none + 1.0), none);
            silhouette_sums[v] += weight * silhouette;
            vd_store(distances + v * VD_LANES, weight * vd_sqrt(vd_load(distances + v * VD_LANES)));
        }
        for (size_t lane = 0; lane < left; lane++)
            sums[1 + own_label[lane]] += distances[lane];
    }
    double parts[EIGHT];
    memcpy(parts, silhouette_sums, sizeof parts);
    for (size_t lane = 0; lane < EIGHT; lane++)
        sums[0] += parts[lane];
}

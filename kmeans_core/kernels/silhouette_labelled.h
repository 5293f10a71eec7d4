/* Several labelings of the same others, for one metric of silhouette.h: a distance is computed once. */

static void JOIN(METRIC_VERB, labelled)(const double *samples, const double *others, size_t n_others, size_t n_features,
                                        const int32_t *labels, size_t n_labelings, size_t stride, double *distances,
                                        double *sums)
{
    for (size_t first = 0; first < n_others; first += EIGHT)
        for (size_t lane = 0; lane < EIGHT; lane += VD_LANES) {
            vdouble apart[EIGHT];
            JOIN(METRIC_VERB, eight)(samples + lane, others + first * n_features, n_features, apart);
#pragma GCC unroll 8
            for (size_t c = 0; c < EIGHT; c++)
                vd_store(distances + (first + c) * EIGHT + lane, apart[c]);
        }
    for (size_t l = 0; l < n_labelings; l++, labels += stride)
        for (size_t i = 0; i < n_others; i++) {
            double *sum = sums + (size_t)labels[i] * EIGHT;
#pragma GCC unroll 8
            for (size_t lane = 0; lane < EIGHT; lane += VD_LANES)
                vd_store(sum + lane, vd_load(sum + lane) + vd_load(distances + i * EIGHT + lane));
        }
}

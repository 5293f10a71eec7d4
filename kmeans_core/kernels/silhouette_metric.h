/* One metric of silhouette.h: included once per metric, with METRIC_VERB, METRIC_ADD and METRIC_FINISH. */

/* Distances of VD_LANES samples to eight others. */
FORCE_INLINE void JOIN(METRIC_VERB, eight)(const double *samples, const double *others, size_t n_features,
                                           vdouble *distances)
{
    vdouble sum[EIGHT];
#pragma GCC unroll 8
    for (int c = 0; c < EIGHT; c++)
        sum[c] = (vdouble){0.0};
    for (size_t f = 0; f < n_features; f++) {
        const vdouble x = vd_load(samples + f * EIGHT);
#pragma GCC unroll 8
        for (int c = 0; c < EIGHT; c++) { /* 8 sums, 1 sample, 1 difference and 1 other: 11 of 16 registers */
            const vdouble away = x - others[f * EIGHT + c];
            sum[c] = METRIC_ADD(sum[c], away);
        }
    }
#pragma GCC unroll 8
    for (int c = 0; c < EIGHT; c++)
        distances[c] = METRIC_FINISH(c, sum[c]);
}

static void METRIC_VERB(const double *samples, size_t n_samples, const double *others, size_t n_others,
                        size_t n_features, const cluster_runs *runs, const int64_t *labels, double *sums, double *own,
                        double *nearest)
{
    for (size_t i = 0; i < n_samples; i += VD_LANES) {
        const double *x = samples + i / EIGHT * EIGHT * n_features + i % EIGHT;
        vdouble sum = vd_load(sums + i);
        for (size_t first = 0; first < n_others; first += EIGHT) {
            const int32_t *run = runs->labels + first;
            vdouble distances[EIGHT];
            JOIN(METRIC_VERB, eight)(x, others + first * n_features, n_features, distances);
            if (n_others - first >= EIGHT && run[0] == run[EIGHT]) {
                sum += ((distances[0] + distances[1]) + (distances[2] + distances[3]))
                       + ((distances[4] + distances[5]) + (distances[6] + distances[7]));
                continue;
            }
#pragma GCC unroll 8
            for (size_t c = 0; c < EIGHT; c++) {
                if (first + c == n_others)
                    break;
                sum += distances[c];
                if (run[c] == run[c + 1])
                    continue;
                const vdouble mean = sum * runs->per_sum[run[c]] + runs->offset[run[c]], least = vd_load(nearest + i);
                const vd_mask is_own = vd_load_labels(labels + i) == (int64_t)run[c];
                vd_store(nearest + i, vd_pick(~is_own & (mean < least), mean, least));
                vd_store(own + i, vd_pick(is_own, mean, vd_load(own + i)));
                sum = (vdouble){0.0};
            }
        }
        vd_store(sums + i, sum);
    }
}

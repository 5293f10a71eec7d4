/* Every pair once, for one metric of silhouette.h: a distance is added to the sums of both samples. Nearly all eights
 * lie within one cluster; the others are added lane by lane. */

static void JOIN(METRIC_VERB, pairs)(const double *samples, size_t n_samples, const int32_t *labels, double *sums,
                                     const double *others, size_t n_others, const int32_t *other_labels,
                                     double *other_sums, size_t n_features, size_t n_clusters)
{
    for (size_t j = 0; j < n_others; j += EIGHT) {
        const int32_t *other_label = other_labels + j;
        const int other_is_pure = other_label[0] == other_label[EIGHT - 1];
        double *other_sum = other_sums ? other_sums + j * n_clusters : NULL;
        vdouble columns[EIGHT];
        for (int c = 0; c < EIGHT; c++)
            columns[c] = (vdouble){0.0};
        for (size_t i = 0; i < n_samples; i += EIGHT) {
            const int32_t *label = labels + i;
            const int is_pure = other_is_pure && label[0] == label[EIGHT - 1];
            double *sum = sums + i * n_clusters;
            for (size_t lane = 0; lane < EIGHT; lane += VD_LANES) {
                vdouble distances[EIGHT];
                JOIN(METRIC_VERB, eight)(samples + i * n_features + lane, others + j * n_features, n_features,
                                         distances);
                if (is_pure) {
                    double *row = sum + (size_t)other_label[0] * EIGHT + lane;
                    vd_store(row, vd_load(row)
                                      + (((distances[0] + distances[1]) + (distances[2] + distances[3]))
                                         + ((distances[4] + distances[5]) + (distances[6] + distances[7]))));
#pragma GCC unroll 8
                    for (int c = 0; c < EIGHT; c++)
                        columns[c] += distances[c];
                    continue;
                }
                double apart[EIGHT][VD_LANES];
#pragma GCC unroll 8
                for (int c = 0; c < EIGHT; c++)
                    vd_store(apart[c], distances[c]);
                for (size_t c = 0; c < EIGHT; c++)
                    for (size_t l = 0; l < VD_LANES; l++) {
                        if (other_label[c] < 0 || label[lane + l] < 0)
                            continue;
                        sum[(size_t)other_label[c] * EIGHT + lane + l] += apart[c][l];
                        if (other_sum)
                            other_sum[(size_t)label[lane + l] * EIGHT + c] += apart[c][l];
                    }
            }
            if (is_pure && (i + EIGHT >= n_samples || label[2 * EIGHT - 1] != label[0])) {
                for (int c = 0; c < EIGHT; c++) {
                    if (other_sum)
                        other_sum[(size_t)label[0] * EIGHT + c] += vd_total(columns[c]);
                    columns[c] = (vdouble){0.0};
                }
            }
        }
    }
}

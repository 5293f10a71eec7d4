/* The merge of cluster j that raises the inertia least. Only clusters that weigh more, or that weigh as much and have a
 * higher index, are tried, so that each pair is tried once. Returns the rise (J. H. Ward, JASA 58, 1963); infinite if
 * there is none.
 *   means     IN [n_clusters][n_features]      weights   IN [n_clusters]
 *   partner   OUT the other cluster, -1 for none */
static double cheapest_merge(const double *means, const double *weights, size_t n_clusters, size_t n_features, size_t j,
                             int32_t *partner)
{
    double least = HUGE_VAL;
    *partner = -1;
    for (size_t i = 0; i < n_clusters; i++) {
        if (weights[i] < weights[j] || (weights[i] == weights[j] && i <= j))
            continue;
        const double share = weights[j] > 0.0 ? weights[j] / (weights[j] + weights[i]) * weights[i] : 0.0;
        const double rise = share * sq_distance_f64(means + j * n_features, means + i * n_features, n_features);
        if (rise < least) {
            least = rise;
            *partner = (int32_t)i;
        }
    }
    return least;
}

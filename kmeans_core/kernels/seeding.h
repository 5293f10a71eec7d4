/* Squared distances to the candidates of k-means++. Included once per real type.
 *
 * In the type of the samples, by differences: a copy of a seed is at distance zero exactly.
 */

#ifndef FASTKMEANS_SEEDING_SHARED
#define FASTKMEANS_SEEDING_SHARED
#define SEED_SAMPLES 64  /* samples turned into columns at a time: 64 x 15 float64 = 7.5 KiB, a fraction of L1 */
#define SEED_NARROW 16   /* below it samples are lanes, from it on features are */
#define SEED_SUMS 16     /* independent sums over features */
#endif

/* Few features: columns of samples.   sq_distances   OUT [n_samples], n_samples <= SEED_SAMPLES */
static void NAME(seed_narrow)(REAL columns[][SEED_SAMPLES], size_t n_features, const REAL *candidate, REAL scale,
                              REAL *sq_distances)
{
    for (int s = 0; s < SEED_SAMPLES; s++)
        sq_distances[s] = 0;
    for (size_t f = 0; f < n_features; f++)
        for (int s = 0; s < SEED_SAMPLES; s++) {
            const REAL difference = (columns[f][s] - candidate[f]) * scale;
            sq_distances[s] += difference * difference;
        }
}

/* Many features: one sample, one candidate. */
static REAL NAME(seed_wide)(const REAL *x, const REAL *candidate, size_t n_features, REAL scale)
{
    REAL part[SEED_SUMS] = {0}, sum = 0;
    size_t f = 0;
    for (; f + SEED_SUMS <= n_features; f += SEED_SUMS)
        for (int i = 0; i < SEED_SUMS; i++) {
            const REAL difference = (x[f + i] - candidate[f + i]) * scale;
            part[i] += difference * difference;
        }
    for (; f < n_features; f++) {
        const REAL difference = (x[f] - candidate[f]) * scale;
        sum += difference * difference;
    }
    for (int width = SEED_SUMS / 2; width; width /= 2)
        for (int i = 0; i < width; i++)
            part[i] += part[i + width];
    return sum + part[0];
}

static void NAME(seed_columns)(const REAL *x, size_t n_samples, size_t n_features, REAL columns[][SEED_SAMPLES])
{
    for (size_t f = 0; f < n_features; f++)
        for (size_t s = 0; s < SEED_SAMPLES; s++)
            columns[f][s] = s < n_samples ? x[s * n_features + f] : 0;
}

/* Distances of up to SEED_SAMPLES samples to one candidate; columns hold the samples when there are few features. */
static void NAME(seed_distances)(const REAL *x, REAL columns[][SEED_SAMPLES], size_t n_samples, size_t n_features,
                                 const REAL *candidate, REAL scale, REAL *sq_distances)
{
    if (n_features < SEED_NARROW) {
        NAME(seed_narrow)(columns, n_features, candidate, scale, sq_distances);
        return;
    }
    for (size_t s = 0; s < n_samples; s++)
        sq_distances[s] = NAME(seed_wide)(x + s * n_features, candidate, n_features, scale);
}

static void NAME(candidate_potentials)(const REAL *x, size_t n_samples, size_t n_features, const REAL *candidates,
                                       size_t n_candidates, double scale, const double *min_sq,
                                       const double *sample_weight, double *potentials)
{
    REAL columns[SEED_NARROW][SEED_SAMPLES], sq_distances[SEED_SAMPLES];
    for (size_t l = 0; l < n_candidates; l++)
        potentials[l] = 0.0;
    for (size_t first = 0; first < n_samples; first += SEED_SAMPLES) {
        const size_t count = n_samples - first < SEED_SAMPLES ? n_samples - first : SEED_SAMPLES;
        const REAL *rows = x + first * n_features;
        if (n_features < SEED_NARROW)
            NAME(seed_columns)(rows, count, n_features, columns);
        for (size_t l = 0; l < n_candidates; l++) {
            NAME(seed_distances)(rows, columns, count, n_features, candidates + l * n_features, (REAL)scale,
                                 sq_distances);
            double sum = 0.0;
            for (size_t s = 0; s < count; s++) {
                const double sq = (double)sq_distances[s], old = min_sq[first + s];
                sum += (sample_weight ? sample_weight[first + s] : 1.0) * (sq < old ? sq : old);
            }
            potentials[l] += sum;
        }
    }
}

static double NAME(accept_candidate)(const REAL *x, size_t n_samples, size_t n_features, const REAL *candidate,
                                     double scale, const double *sample_weight, double *min_sq)
{
    REAL columns[SEED_NARROW][SEED_SAMPLES], sq_distances[SEED_SAMPLES];
    double potential = 0.0;
    for (size_t first = 0; first < n_samples; first += SEED_SAMPLES) {
        const size_t count = n_samples - first < SEED_SAMPLES ? n_samples - first : SEED_SAMPLES;
        const REAL *rows = x + first * n_features;
        if (n_features < SEED_NARROW)
            NAME(seed_columns)(rows, count, n_features, columns);
        NAME(seed_distances)(rows, columns, count, n_features, candidate, (REAL)scale, sq_distances);
        for (size_t s = 0; s < count; s++) {
            const double sq = (double)sq_distances[s];
            if (sq < min_sq[first + s])
                min_sq[first + s] = sq;
            potential += (sample_weight ? sample_weight[first + s] : 1.0) * min_sq[first + s];
        }
    }
    return potential;
}

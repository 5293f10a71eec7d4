/* k-means++ over sparse rows: a row meets eight candidates at once, by the few stored values that it shares with them.
 * Included once per real type.
 *
 *     |x - c|^2 = |x|^2 + |c|^2 - 2 sum over the features that both store of x c.
 * Both lengths and the sum are added up one stored value after the other. So a copy of a candidate has distance 0.
 */

#ifndef FASTKMEANS_SPARSE_SEEDING_SHARED
#define FASTKMEANS_SPARSE_SEEDING_SHARED
#define SEED_VECS (SPARSE_SEEDS / VD_LANES)
#define TAKEN_TOGETHER 256 /* rows that are looked up at a time: the memory brings them while others are added up */

static double least_seed_norm(const sparse_seeds *seeds)
{
    double least = HUGE_VAL;
    for (int t = 0; t < SPARSE_SEEDS; t++)
        least = seeds->sq_norms[t] < least ? seeds->sq_norms[t] : least;
    return least;
}
#endif

/* Of the stored values from `first` to `end`, those whose feature a candidate stores, too.   shared   OUT; the number
 * No branch: in texts it would often be guessed wrongly. Few values are shared, so each lies in a cache line that no
 * reading ahead brings. Asked for here, it is there by the time that the last value is looked at. Without, seeding
 * 100 000 x 10 000 took twice as long. */
static size_t NAME(find_shared)(const sparse_rows *rows, const uint8_t *is_stored, int64_t first, int64_t end,
                                int64_t *shared)
{
    const REAL *values = rows->values;
    size_t count = 0;
    for (int64_t e = first; e < end; e++) {
        shared[count] = e;
        count += is_stored[rows->features[e]];
    }
    for (size_t s = 0; s < count; s++)
        __builtin_prefetch(values + shared[s]);
    return count;
}

/* Squared distances of a row to all candidates.   sq_norm   of the row     shared   its [count] shared values
 *   sq   OUT [SPARSE_SEEDS] */
static inline void NAME(sq_to_seeds)(const sparse_rows *rows, const sparse_seeds *seeds, double sq_norm,
                                     const int64_t *shared, size_t count, double *sq)
{
    vdouble dots[SEED_VECS];
    for (int v = 0; v < SEED_VECS; v++)
        dots[v] = (vdouble){0.0};
    for (size_t s = 0; s < count; s++) {
        const double x = ((const REAL *)rows->values)[shared[s]];
        const double *c = seeds->columns + (size_t)seeds->places[rows->features[shared[s]]] * SPARSE_SEEDS;
        for (int v = 0; v < SEED_VECS; v++)
            dots[v] += x * vd_load(c + v * VD_LANES);
    }
    for (int v = 0; v < SEED_VECS; v++) {
        const vdouble own = sq_norm + vd_load(seeds->sq_norms + v * VD_LANES);
        vd_store(sq + v * VD_LANES, vd_max(own - (dots[v] + dots[v]), (vdouble){0.0}));
    }
}

static void NAME(sq_norms_sparse)(const sparse_rows *rows, size_t first, size_t n_samples, double *sq_norms)
{
    for (size_t i = 0; i < n_samples; i++)
        sq_norms[i] = NAME(stored_sq_norm)(NAME(row_at)(rows, first + i));
}

static void NAME(try_seeds_sparse)(const sparse_rows *rows, size_t first, size_t n_samples, const sparse_seeds *seeds,
                                   const double *sq_norms, const double *min_sq_distances, const double *sample_weight,
                                   int64_t *shared, uint8_t *closer, double *gains)
{
    const double least = least_seed_norm(seeds);
    const int64_t *starts = rows->starts + first;
    double sq[SPARSE_SEEDS];
    vdouble sums[SEED_VECS];
    for (int v = 0; v < SEED_VECS; v++)
        sums[v] = (vdouble){0.0};
    memset(closer, 0, n_samples);
    for (size_t start = 0; start < n_samples; start += SPARSE_SEED_ROWS) {
        const size_t end = n_samples - start < SPARSE_SEED_ROWS ? n_samples : start + SPARSE_SEED_ROWS;
        const size_t count = NAME(find_shared)(rows, seeds->is_stored, starts[start], starts[end], shared);
        size_t s = 0;
        shared[count] = INT64_MAX;
        for (size_t i = start; i < end; i++) {
            const size_t own = s;
            const double nearest = min_sq_distances[i];
            while (shared[s] < starts[i + 1])
                s++;
            if (s == own && !(sq_norms[i] + least < nearest))
                continue;
            NAME(sq_to_seeds)(rows, seeds, sq_norms[i], shared + own, s - own, sq);
            unsigned bits = 0;
            for (int t = 0; t < SPARSE_SEEDS; t++)
                bits |= (unsigned)(sq[t] < nearest) << t;
            closer[i] = (uint8_t)bits;
            const double weight = sample_weight ? sample_weight[i] : 1.0;
            for (int v = 0; v < SEED_VECS; v++) /* infinity less infinity is no gain */
                sums[v] += weight * vd_max(nearest - vd_load(sq + v * VD_LANES), (vdouble){0.0});
        }
    }
    for (int v = 0; v < SEED_VECS; v++)
        vd_store(gains + v * VD_LANES, sums[v]);
}

static void NAME(take_seed_sparse)(const sparse_rows *rows, size_t first, size_t n_samples, const sparse_seeds *seeds,
                                   int which, const double *sq_norms, const uint8_t *closer, int64_t *shared,
                                   double *min_sq_distances)
{
    double sq[SPARSE_SEEDS];
    size_t some[TAKEN_TOGETHER];
    for (size_t start = 0; start < n_samples; start += TAKEN_TOGETHER) {
        const size_t end = n_samples - start < TAKEN_TOGETHER ? n_samples : start + TAKEN_TOGETHER;
        size_t n_closer = 0;
        for (size_t i = start; i < end; i++) {
            some[n_closer] = i;
            n_closer += closer[i] >> which & 1;
        }
        for (size_t s = 0; s < n_closer; s++)
            __builtin_prefetch(rows->features + rows->starts[first + some[s]]);
        for (size_t s = 0; s < n_closer; s++) {
            const size_t i = some[s];
            const int64_t *starts = rows->starts + first + i;
            const size_t count = NAME(find_shared)(rows, seeds->is_stored, starts[0], starts[1], shared);
            NAME(sq_to_seeds)(rows, seeds, sq_norms[i], shared, count, sq);
            min_sq_distances[i] = sq[which];
        }
    }
}

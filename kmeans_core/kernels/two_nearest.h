/* The two nearest centers of each sample, kept while some of the centers move.
 *
 * Sums of float64 in an order that is the same on all instruction sets: a sample per lane, feature by feature, no fused
 * multiply-add.
 */

#define NEAREST_VECS (EIGHT / VD_LANES)
#define FEW_LISTED 8 /* comparing with so few centers takes no longer than finding out which are near */

#if VD_LANES == 1
static inline int any_lane(vd_mask m) { return m[0] != 0; }
#else
static inline int any_lane(vd_mask m) { return wide_bits((wide_mask)m) != 0; }
#endif

/* Compare eight samples with the listed centers. See two_nearest in kernels.h. */
FORCE_INLINE void compare_eight(const double *samples, size_t n_features, const double *centers, const int32_t *listed,
                                size_t n_listed, int64_t *nearest, double *sq_nearest, int64_t *second,
                                double *sq_second)
{
    vd_mask first[NEAREST_VECS], next[NEAREST_VECS];
    vdouble sq_first[NEAREST_VECS], sq_next[NEAREST_VECS];
    for (int v = 0; v < NEAREST_VECS; v++) {
        first[v] = vd_load_labels(nearest + v * VD_LANES);
        next[v] = vd_load_labels(second + v * VD_LANES);
        sq_first[v] = vd_load(sq_nearest + v * VD_LANES);
        sq_next[v] = vd_load(sq_second + v * VD_LANES);
    }
    for (size_t l = 0; l < n_listed; l++) {
        const double *center = centers + (size_t)listed[l] * n_features;
        vdouble sq[NEAREST_VECS];
        for (int v = 0; v < NEAREST_VECS; v++)
            sq[v] = (vdouble){0.0};
        for (size_t f = 0; f < n_features; f++)
            for (int v = 0; v < NEAREST_VECS; v++) {
                const vdouble away = vd_load(samples + f * EIGHT + v * VD_LANES) - center[f];
                sq[v] += away * away;
            }
        for (int v = 0; v < NEAREST_VECS; v++) {
            const vd_mask is_next = sq[v] < sq_next[v];
            if (!any_lane(is_next)) /* most centers are nearest to no sample */
                continue;
            const vd_mask is_first = sq[v] < sq_first[v], label = (vd_mask){0} + (int64_t)listed[l];
            next[v] = (is_first & first[v]) | (~is_first & ((is_next & label) | (~is_next & next[v])));
            sq_next[v] = vd_pick(is_first, sq_first[v], vd_pick(is_next, sq[v], sq_next[v]));
            first[v] = (is_first & label) | (~is_first & first[v]);
            sq_first[v] = vd_pick(is_first, sq[v], sq_first[v]);
        }
    }
    for (int v = 0; v < NEAREST_VECS; v++) {
        *(vd_mask *)(nearest + v * VD_LANES) = first[v];
        *(vd_mask *)(second + v * VD_LANES) = next[v];
        vd_store(sq_nearest + v * VD_LANES, sq_first[v]);
        vd_store(sq_second + v * VD_LANES, sq_next[v]);
    }
}

/* How many of the centers around center a may be among the two nearest of a sample of these eight. The two nearest
 * centers p and q of a sample x may have moved: they are now within reach(p) = |x - p| + shift(p) and reach(q). A
 * center j with |a - j| > |a - p| + reach(p) + max(reach(p), reach(q)) is farther than both. */
static inline size_t count_near(const center_moves *moves, const int32_t *around, const double *apart, size_t n_all,
                                const int64_t *nearest, const double *sq_nearest, const int64_t *second,
                                const double *sq_second)
{
    double reach = 0.0;
    for (size_t i = 0; i < EIGHT; i++) {
        const double own = sqrt(sq_nearest[i]) + moves->shifts[nearest[i]];
        const double other = sqrt(sq_second[i]) + moves->shifts[second[i]];
        const double farthest = apart[nearest[i]] + own + (own > other ? own : other);
        reach = farthest > reach ? farthest : reach;
    }
    size_t n_near = 0;
    while (n_near < n_all && apart[around[n_near]] <= reach)
        n_near++;
    return n_near;
}

static size_t two_nearest(const double *eights, size_t n_eights, size_t n_features, const double *centers,
                          const center_moves *moves, int64_t *nearest, double *sq_nearest, int64_t *second,
                          double *sq_second)
{
    size_t n_compared = 0;
    for (size_t e = 0; e < n_eights; e++) {
        const size_t at = e * EIGHT;
        int stale = moves->n_moved == moves->n_all;
        for (size_t i = at; i < at + EIGHT; i++)
            stale |= moves->has_moved[nearest[i]] | moves->has_moved[second[i]];
        const int32_t *listed = stale ? moves->all : moves->moved;
        size_t n_listed = stale ? moves->n_all : moves->n_moved;
        const size_t a = (size_t)nearest[at];
        if (moves->apart && moves->shifts[a] < HUGE_VAL && n_listed > FEW_LISTED) {
            const int32_t *around = moves->around + a * moves->n_places;
            const size_t n_near = count_near(moves, around, moves->apart + a * moves->n_places, moves->n_all,
                                             nearest + at, sq_nearest + at, second + at, sq_second + at);
            if (n_near < n_listed) {
                listed = around;
                n_listed = n_near;
                stale = 1;
            }
        }
        if (stale)
            for (size_t i = at; i < at + EIGHT; i++) {
                nearest[i] = second[i] = 0;
                sq_nearest[i] = sq_second[i] = HUGE_VAL;
            }
        const double *samples = eights + at * n_features;
        if (n_features == 2)
            compare_eight(samples, 2, centers, listed, n_listed, nearest + at, sq_nearest + at, second + at,
                          sq_second + at);
        else
            compare_eight(samples, n_features, centers, listed, n_listed, nearest + at, sq_nearest + at, second + at,
                          sq_second + at);
        n_compared += n_listed;
    }
    return n_compared * EIGHT;
}

/* The two nearest centers of each sample, kept while some of the centers move.
 *
 * Sums of float64 in an order that is the same on all instruction sets: a sample per lane, feature by feature, no fused
 * multiply-add.
 */

#define NEAREST_VECS (EIGHT / VD_LANES)
#define FEW_LISTED 8 /* comparing with so few centers takes no longer than finding out which are near */

typedef struct {
    vd_mask first, next;       /* labels of the two nearest centers */
    vdouble sq_first, sq_next; /* and their squared distances */
} nearest_two;

/* Take a center into the two nearest. Without branches: which of a list's first centers are nearer is a guess, and a
 * wrong one takes as long as three centers. */
FORCE_INLINE void take_center(nearest_two *two, vdouble sq, int64_t label)
{
    const vd_bits is_first = vd_less(sq, two->sq_first), is_next = vd_less(sq, two->sq_next);
    const vd_mask labels = (vd_mask){0} + label;
    two->next = vd_pick_labels(is_first, two->first, vd_pick_labels(is_next, labels, two->next));
    two->first = vd_pick_labels(is_first, labels, two->first);
    two->sq_next = vd_min(vd_max(two->sq_first, sq), two->sq_next);
    two->sq_first = vd_min(sq, two->sq_first);
}

/* Compare eight samples with the listed centers. See two_nearest in kernels.h.
 *   is_anew   whether no two nearest centers are known yet */
FORCE_INLINE void compare_eight(const double *samples, size_t n_features, const double *centers, const int32_t *listed,
                                size_t n_listed, int is_anew, int64_t *nearest, double *sq_nearest, int64_t *second,
                                double *sq_second)
{
    nearest_two two[NEAREST_VECS];
    for (int v = 0; v < NEAREST_VECS; v++) {
        two[v].first = two[v].next = (vd_mask){0};
        two[v].sq_first = two[v].sq_next = (vdouble){0} + HUGE_VAL;
        if (is_anew)
            continue;
        two[v].first = vd_load_labels(nearest + v * VD_LANES);
        two[v].next = vd_load_labels(second + v * VD_LANES);
        two[v].sq_first = vd_load(sq_nearest + v * VD_LANES);
        two[v].sq_next = vd_load(sq_second + v * VD_LANES);
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
        for (int v = 0; v < NEAREST_VECS; v++)
            take_center(two + v, sq[v], listed[l]);
    }
    for (int v = 0; v < NEAREST_VECS; v++) {
        *(vd_mask *)(nearest + v * VD_LANES) = two[v].first;
        *(vd_mask *)(second + v * VD_LANES) = two[v].next;
        vd_store(sq_nearest + v * VD_LANES, two[v].sq_first);
        vd_store(sq_second + v * VD_LANES, two[v].sq_next);
    }
}

/* How many of the centers around center a may be among the two nearest of a sample of these eight. The two nearest
 * centers p and q of a sample x may have moved: they are now within reach(p) = |x - p| + shift(p) and reach(q). A
 * center j with |a - j| > |a - p| + reach(p) + max(reach(p), reach(q)) is farther than both. */
static inline size_t count_near(const center_moves *moves, const int32_t *around, const double *apart, size_t n_all,
                                const int64_t *nearest, const double *sq_nearest, const int64_t *second,
                                const double *sq_second)
{
    double own_shift[EIGHT], other_shift[EIGHT], away[EIGHT], reach[EIGHT], farthest = 0.0;
    for (size_t i = 0; i < EIGHT; i++) {
        own_shift[i] = moves->shifts[nearest[i]];
        other_shift[i] = moves->shifts[second[i]];
        away[i] = apart[nearest[i]];
    }
    for (size_t i = 0; i < EIGHT; i += VD_LANES) {
        const vdouble own = vd_sqrt(vd_load(sq_nearest + i)) + vd_load(own_shift + i);
        const vdouble other = vd_sqrt(vd_load(sq_second + i)) + vd_load(other_shift + i);
        vd_store(reach + i, vd_load(away + i) + own + vd_max(own, other));
    }
    for (size_t i = 0; i < EIGHT; i++)
        farthest = reach[i] > farthest ? reach[i] : farthest;
    size_t n_near = 0;
    while (n_near < n_all && apart[around[n_near]] <= farthest)
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
        const double *samples = eights + at * n_features;
        if (n_features == 2)
            compare_eight(samples, 2, centers, listed, n_listed, stale, nearest + at, sq_nearest + at, second + at,
                          sq_second + at);
        else
            compare_eight(samples, n_features, centers, listed, n_listed, stale, nearest + at, sq_nearest + at,
                          second + at, sq_second + at);
        n_compared += n_listed;
    }
    return n_compared * EIGHT;
}

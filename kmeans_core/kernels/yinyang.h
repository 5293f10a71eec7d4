/* Bounds that let a sample keep its label unread. Included once per real type.
 *
 * Y. Ding et al., "Yinyang K-Means: A Drop-In Replacement of the Classic K-Means with Consistent Speedup", ICML 2015,
 * in its simplified form (J. Newling and F. Fleuret, "Fast k-means with accurate bounds", ICML 2016): centers form
 * groups; a sample keeps an upper bound u of the distance to its own center and, for each group, a lower bound l of the
 * distance to the group's other centers. A group whose l exceeds u holds no nearer center. What is left is gathered
 * into tiles of samples, group by group, and scored as `assign` scores a block.
 *
 * Distances are in units of step->unit, true ones, not squared. Bounds are stored apart from the drifts:
 *     stored u = u - drift of the own center so far,    stored l = l + drift of the group so far,
 * so that a test adds today's drift, and a sample that passes is read only.
 *
 * Rounding, with e = 2^-24. Drifts are rounded up from float64: by at most 2 e of themselves.
 *   stored l   is a root (1), a sum (1), a product (1), and counts on the drift at the time (2): at most 5 e (l + drift)
 *              too large; it is lowered by 8 e. What a test loses later, e |stored l - drift|, is the factor of `test`.
 *   stored u   is a difference (1), a sum (1), and counts on the drift (2): at most 4 e (u + drift) too small; 8 e are
 *              added. The sum at the test: the factor of `test`.
 *   squares    |x'|^2 + 2 score. The score is off by E (kernels.h), |x'|^2 by gamma |x'|^2: each feature is stored with
 *              two roundings and squared, n_features sums, a root and its square: n_features + 7 roundings. The two
 *              sums here add e (2 |x'|^2 + 2 |score|), and 2 |score| <= 2 E / gamma with gamma >= 9 e: hence 1.25.
 *   decision   E holds the rounding of a float64 decision; u from sq_distance is raised by 2^-20 for it.
 * NaN and infinity come from |x'|^2 alone (|c'| < 2 in each feature): the lower bound is then 0, the upper infinite.
 */

#ifndef FASTKMEANS_YINYANG_SHARED
#define FASTKMEANS_YINYANG_SHARED

#define STORE_ROUNDING 0x1p-21f
#define TEST_ROUNDING (1.0f + 0x1p-22f)

typedef struct {
    block_scratch block;
    tile_state group;    /* the best two of one tile in one group */
    int32_t *ids;        /* [rows]: samples that fail the test, and then those that fail it with the exact u, */
    float *upper;        /* [rows]: their upper bound, */
    float *own_low;      /* [rows]: a lower bound of the same distance, */
    float *rival;        /* [rows]: the least lower bound among what was scored beside their center */
    int32_t *chosen;     /* [rows]: places in ids */
} bound_scratch;

static size_t bound_scratch_bytes(size_t n_clusters, size_t n_features, size_t n_rows)
{
    return aligned(scratch_bytes(n_clusters, n_features)) + aligned(sizeof(bound_scratch))
           + 5 * aligned(n_rows * sizeof(float));
}

static bound_scratch *divide_bound_scratch(void *memory, const bound_step *step, size_t n_rows)
{
    const packed_centers *grouped = step->grouped;
    char *place = (char *)memory + aligned(scratch_bytes(grouped->n_clusters, grouped->n_features));
    bound_scratch *scratch = (bound_scratch *)place;
    place += aligned(sizeof(bound_scratch));
    scratch->block = divide_scratch(memory, grouped);
    scratch->ids = (int32_t *)place;
    place += aligned(n_rows * sizeof(float));
    scratch->upper = (float *)place;
    place += aligned(n_rows * sizeof(float));
    scratch->own_low = (float *)place;
    place += aligned(n_rows * sizeof(float));
    scratch->rival = (float *)place;
    place += aligned(n_rows * sizeof(float));
    scratch->chosen = (int32_t *)place;
    return scratch;
}

/* |x'|^2, from below and from above. */
typedef struct {
    vec low, high;
} sq_range;

static inline sq_range sq_range_of(const packed_centers *packed, vec norm)
{
    const float largest = packed->max_norm;
    const vec sq = v_mul(norm, norm);
    const vec error = score_error(packed, v_splat(0.5f * largest * largest),
                                  v_mul(norm, v_splat(1.0f + packed->gamma)), v_splat(largest));
    const vec slack =
        v_mul(v_splat(1.25f), v_add(v_mul(v_splat(packed->gamma), sq), v_add(error, error)));
    return (sq_range){v_sub(sq, slack), v_add(sq, slack)};
}

/* Distances from scores. Comparisons send a NaN to 0 here and to infinity there. */
static inline vec low_distance(vec low, vec score, vec ratio)
{
    const vec sq = v_add(low, v_add(score, score)), zero = v_splat(0.0f);
    return v_mul(v_sqrt(v_pick(v_less(zero, sq), sq, zero)), ratio);
}

static inline vec high_distance(vec high, vec score, vec ratio)
{
    const vec sq = v_add(high, v_add(score, score)), zero = v_splat(0.0f), infinite = v_splat(HUGE_VALF);
    const vec known = v_pick(v_less(sq, infinite), sq, infinite);
    const vec root = v_sqrt(v_pick(v_less(zero, known), known, zero));
    return v_add(v_mul(v_mul(root, v_splat(1.0f + 0x1p-20f)), ratio), v_splat(0x1p-100f));
}

static inline float stored_upper(float upper, float drift)
{
    return (upper - drift) + STORE_ROUNDING * (upper + drift);
}

static inline float stored_lower(float lower, float drift) { return (lower + drift) * (1.0f - STORE_ROUNDING); }

/* May group g hold a center nearer than `upper`? Written so that a NaN says yes. */
static inline int may_hold(float upper, float stored, float group_drift)
{
    return !(upper * TEST_ROUNDING < stored - group_drift);
}

static void reset_state(tile_state *state)
{
    for (int s = 0; s < TILE_SAMPLES; s++) {
        state->best[s] = state->second[s] = HUGE_VALF;
        state->label[s] = 0;
    }
}

/* One tile against the centers of one group. */
static void score_group(const float *tile, const bound_step *step, size_t g, tile_state *state)
{
    const packed_centers *grouped = step->grouped;
    const size_t panel_size = (1 + grouped->n_features) * TILE_CENTERS;
    reset_state(state);
    for (int32_t p = step->first_panel[g]; p < step->first_panel[g + 1]; p++)
        score_panel(tile, grouped->panels + (size_t)p * panel_size, grouped->n_features, p * TILE_CENTERS, state);
}

/* Samples that the bounds do not settle: ids OUT [n_samples]; returns how many. */
static size_t find_failing(const bound_step *step, size_t n_samples, const int32_t *labels, const float *upper,
                           const float *lower, size_t stride, int32_t *ids)
{
    float high[256], low[256];
    size_t n_failing = 0;
    for (size_t first = 0; first < n_samples; first += 256) {
        const size_t count = n_samples - first < 256 ? n_samples - first : 256;
        for (size_t i = 0; i < count; i++) {
            high[i] = (upper[first + i] + step->center_drift[labels[first + i]]) * TEST_ROUNDING;
            low[i] = HUGE_VALF;
        }
        for (size_t g = 0; g < step->n_groups; g++) {
            const float drift = step->group_drift[g];
            const float *stored = lower + g * stride + first;
            for (size_t i = 0; i < count; i++) {
                const float bound = stored[i] - drift;
                low[i] = bound < low[i] ? bound : low[i];
            }
        }
        for (size_t i = 0; i < count; i++) {
            ids[n_failing] = (int32_t)(first + i);
            n_failing += !(high[i] < low[i]);
        }
    }
    return n_failing;
}

/* Groups that may hold a center nearer than `upper`, in centers to score; what a pair costs to gather counts too. */
static size_t centers_left(const bound_step *step, const float *lower, size_t stride, float upper)
{
    size_t n_centers = 0;
    for (size_t g = 0; g < step->n_groups; g++)
        if (may_hold(upper, lower[g * stride], step->group_drift[g]))
            n_centers += (size_t)(step->first_panel[g + 1] - step->first_panel[g]) * TILE_CENTERS + GATHER_CENTERS;
    return n_centers;
}
#endif

/* The distance to the own center, from above and below, by the float64 decision itself. A square of float64 loses at
 * most 2^-1074 a feature where it vanishes, and is of no use where it overflows. */
static inline float NAME(own_distance)(const REAL *x, int32_t label, const bound_step *step, float *low)
{
    const packed_centers *packed = step->packed;
    const size_t n_features = packed->n_features;
    const double sq = NAME(sq_distance)(x, packed->centers + (size_t)label * n_features, n_features);
    const double lost = (double)n_features * 0x1p-1070;
    *low = sq < 1e300 && sq > lost ? (float)(sqrt(sq - lost) * step->unit * (1.0 - 0x1p-20)) : 0.0f;
    return (float)(sqrt(sq + lost) * step->unit * (1.0 + 0x1p-20)) + 0x1p-100f;
}

/* Gather samples into one tile; lanes behind `count` keep what they held. */
static void NAME(gather_tile)(const REAL *x, const int32_t *ids, const int32_t *chosen, size_t count,
                              const packed_centers *packed, block_scratch block)
{
    const size_t n_features = packed->n_features;
    REAL *rows = block.rows;
    for (size_t s = 0; s < count; s++)
        memcpy(rows + s * n_features, x + (size_t)ids[chosen[s]] * n_features, n_features * sizeof(REAL));
    NAME(pack_tile)(rows, packed, packed->OFFSET, block.tiles, block.norms);
}

/* Score all centers of a block of assign's size, label its samples and bound them. */
static size_t NAME(bound_block)(const REAL *x, size_t n_samples, size_t n_readable, const bound_step *step,
                                bound_scratch *scratch, int32_t *labels, float *upper, float *lower, size_t stride)
{
    const packed_centers *grouped = step->grouped, *packed = step->packed;
    const block_scratch block = scratch->block;
    const size_t n_features = grouped->n_features, n_tiles = (n_samples + TILE_SAMPLES - 1) / TILE_SAMPLES;
    const vec ratio = v_splat((float)(step->unit / grouped->scale)), lowered = v_splat(1.0f - STORE_ROUNDING);
    size_t n_decided = 0;
    NAME(pack_block)(x, n_samples, n_readable, grouped, block);
    for (size_t t = 0; t < n_tiles; t++)
        reset_state(block.states + t);
    for (size_t g = 0; g < step->n_groups; g++)
        for (size_t t = 0; t < n_tiles; t++) {
            tile_state *state = block.states + t, *group = &scratch->group;
            score_group(block.tiles + t * n_features * TILE_SAMPLES, step, g, group);
            for (int v = 0; v < TILE_VECS; v++) {
                const size_t at = t * TILE_SAMPLES + (size_t)v * LANES;
                const vec low = sq_range_of(grouped, v_load(block.norms + at)).low;
                const vec best = v_load(group->best + v * LANES), second = v_load(group->second + v * LANES);
                const vec old = v_load(state->best + v * LANES);
                const vmask closer = v_less(best, old);
                const vec bound = v_add(low_distance(low, best, ratio), v_splat(step->group_drift[g]));
                v_store(lower + g * stride + at, v_mul(bound, lowered));
                v_store(state->second + v * LANES,
                        v_min(second, v_min(v_load(state->second + v * LANES), v_max(best, old))));
                v_store(state->best + v * LANES, v_min(best, old));
                vi_store(state->label + v * LANES, vi_pick(closer, vi_load(group->label + v * LANES),
                                                          vi_load(state->label + v * LANES)));
                /* The second best of the best center's group, which bounds the group for this sample. */
                v_store(scratch->rival + at, v_pick(closer, second, v_load(scratch->rival + at)));
            }
        }
    for (size_t t = 0; t < n_tiles; t++) {
        const tile_state *state = block.states + t;
        float *norms = block.norms + t * TILE_SAMPLES, high[TILE_SAMPLES], low[TILE_SAMPLES];
        const size_t first = t * TILE_SAMPLES;
        const size_t left = n_samples - first < TILE_SAMPLES ? n_samples - first : TILE_SAMPLES;
        for (int v = 0; v < TILE_VECS; v++) {
            const vec norm = v_load(norms + v * LANES);
            const sq_range range = sq_range_of(grouped, norm);
            v_store(high + v * LANES, high_distance(range.high, v_load(state->best + v * LANES), ratio));
            v_store(low + v * LANES,
                    low_distance(range.low, v_load(scratch->rival + first + (size_t)v * LANES), ratio));
            v_store(norms + v * LANES, v_mul(norm, v_splat(1.0f + grouped->gamma)));
        }
        for (int v = 0; v < TILE_VECS; v++) {
            const uint32_t undecided = unproven(grouped, state, norms, v);
            for (size_t s = (size_t)v * LANES; s < (size_t)(v + 1) * LANES && s < left; s++) {
                const size_t i = first + s;
                int32_t label = step->center_of[state->label[s]];
                if (undecided >> (s - (size_t)v * LANES) & 1) {
                    /* Every group keeps the bound of its best center, which holds whichever center wins. */
                    label = NAME(decide)(x + i * n_features, block.tiles + first * n_features + s, norms[s], packed,
                                         block.scores);
                    high[s] = NAME(own_distance)(x + i * n_features, label, step, low + s);
                    n_decided++;
                } else {
                    const int32_t g = step->group_of[label];
                    lower[(size_t)g * stride + i] = stored_lower(low[s], step->group_drift[g]);
                }
                labels[i] = label;
                upper[i] = stored_upper(high[s], step->center_drift[label]);
            }
        }
    }
    return n_decided;
}

static size_t NAME(assign_bounded)(const REAL *x, size_t n_samples, size_t n_readable, const bound_step *step,
                                   void *memory, int32_t *labels, float *upper, float *lower, size_t stride)
{
    bound_scratch *scratch = divide_bound_scratch(memory, step, stride);
    const size_t n_features = ((const packed_centers *)step->grouped)->n_features;
    const size_t block = block_samples(n_features);
    size_t n_decided = 0;
    for (size_t first = 0; first < n_samples; first += block)
        n_decided += NAME(bound_block)(x + first * n_features, n_samples - first < block ? n_samples - first : block,
                                       n_readable - first, step, scratch, labels + first, upper + first,
                                       lower + first, stride);
    return n_decided;
}

static size_t NAME(probe_bounds)(const REAL *x, size_t n_samples, size_t n_features, const bound_step *step,
                                 void *memory, const int32_t *labels, const float *upper, const float *lower,
                                 size_t stride)
{
    const bound_scratch *scratch = divide_bound_scratch(memory, step, stride);
    const size_t n_failing = find_failing(step, n_samples, labels, upper, lower, stride, scratch->ids);
    size_t n_centers = 0;
    for (size_t t = 0; t < n_failing; t++) {
        const size_t i = (size_t)scratch->ids[t];
        float low;
        const float high = NAME(own_distance)(x + i * n_features, labels[i], step, &low);
        n_centers += TIGHTEN_CENTERS + centers_left(step, lower + i, stride, high);
    }
    return n_centers;
}

/* One tile of samples against group g: what it tells of their labels and bounds.
 * The label changes only where the new upper bound is below the old one. The old center is then one more center of its
 * group that the group's bound must not exceed. */
static void NAME(visit_group)(const REAL *x, const bound_step *step, size_t g, const int32_t *chosen, size_t count,
                              bound_scratch *scratch, int32_t *labels, float *lower, size_t stride)
{
    const packed_centers *grouped = step->grouped;
    const block_scratch block = scratch->block;
    const vec ratio = v_splat((float)(step->unit / grouped->scale));
    float high[TILE_SAMPLES], low[TILE_SAMPLES], low_second[TILE_SAMPLES];
    NAME(gather_tile)(x, scratch->ids, chosen, count, grouped, block);
    score_group(block.tiles, step, g, &scratch->group);
    for (int v = 0; v < TILE_VECS; v++) {
        const sq_range range = sq_range_of(grouped, v_load(block.norms + v * LANES));
        const vec best = v_load(scratch->group.best + v * LANES);
        v_store(high + v * LANES, high_distance(range.high, best, ratio));
        v_store(low + v * LANES, low_distance(range.low, best, ratio));
        v_store(low_second + v * LANES,
                low_distance(range.low, v_load(scratch->group.second + v * LANES), ratio));
    }
    for (size_t s = 0; s < count; s++) {
        const size_t t = (size_t)chosen[s], i = (size_t)scratch->ids[t];
        const int32_t old = labels[i], best = step->center_of[scratch->group.label[s]];
        float bound = low_second[s];
        if (best != old) {
            if (high[s] < scratch->upper[t]) {
                const size_t from = (size_t)step->group_of[old];
                const float own = stored_lower(scratch->own_low[t], step->group_drift[from]);
                if (from != g && own < lower[from * stride + i])
                    lower[from * stride + i] = own;
                if (scratch->own_low[t] < scratch->rival[t])
                    scratch->rival[t] = scratch->own_low[t];
                labels[i] = best;
                scratch->upper[t] = high[s];
                scratch->own_low[t] = low[s];
            } else
                bound = low[s];
        }
        lower[g * stride + i] = stored_lower(bound, step->group_drift[g]);
        scratch->rival[t] = bound < scratch->rival[t] ? bound : scratch->rival[t];
    }
}

/* Decide in float64 the samples that what was scored leaves open. chosen IN: their places. */
static void NAME(decide_chosen)(const REAL *x, const bound_step *step, size_t n_chosen, bound_scratch *scratch,
                                int32_t *labels, float *lower, size_t stride)
{
    const packed_centers *packed = step->packed;
    const block_scratch block = scratch->block;
    for (size_t first = 0; first < n_chosen; first += TILE_SAMPLES) {
        const size_t count = n_chosen - first < TILE_SAMPLES ? n_chosen - first : TILE_SAMPLES;
        NAME(gather_tile)(x, scratch->ids, scratch->chosen + first, count, packed, block);
        for (size_t s = 0; s < count; s++) {
            const size_t t = (size_t)scratch->chosen[first + s], i = (size_t)scratch->ids[t];
            const REAL *row = x + i * packed->n_features;
            const int32_t old = labels[i];
            const int32_t label =
                NAME(decide)(row, block.tiles + s, block.norms[s] * (1.0f + packed->gamma), packed, block.scores);
            if (label != old) {
                /* The new center's group keeps a bound that includes it: lower than need be, never wrong. */
                const size_t from = (size_t)step->group_of[old];
                const float own = stored_lower(scratch->own_low[t], step->group_drift[from]);
                if (own < lower[from * stride + i])
                    lower[from * stride + i] = own;
                labels[i] = label;
            }
            scratch->upper[t] = NAME(own_distance)(row, label, step, scratch->own_low + t);
        }
    }
}

static size_t NAME(reassign_bounded)(const REAL *x, size_t n_samples, size_t n_readable, const bound_step *step,
                                     void *memory, int32_t *labels, float *upper, float *lower, size_t stride,
                                     size_t *n_scored)
{
    bound_scratch *scratch = divide_bound_scratch(memory, step, stride);
    const size_t n_features = ((const packed_centers *)step->packed)->n_features;
    const size_t n_clusters = ((const packed_centers *)step->packed)->n_clusters;
    int32_t *ids = scratch->ids, *chosen = scratch->chosen;
    const size_t n_failing = find_failing(step, n_samples, labels, upper, lower, stride, ids);
    size_t n_left = 0, n_open = 0;
    if (4 * n_failing > n_samples) {
        /* Ask a few before the rest: a block in which most fail is scored as a whole, in fewer and fuller tiles. */
        size_t n_centers = 0, n_asked = 0;
        for (size_t t = 0; t < n_failing; t += 32, n_asked++) {
            const size_t i = (size_t)ids[t];
            float low;
            const float high = NAME(own_distance)(x + i * n_features, labels[i], step, &low);
            n_centers += TIGHTEN_CENTERS + centers_left(step, lower + i, stride, high);
        }
        if (n_centers * n_failing > n_asked * n_samples * (n_clusters + DENSE_CENTERS)) {
            *n_scored += n_samples * n_clusters;
            return NAME(assign_bounded)(x, n_samples, n_readable, step, memory, labels, upper, lower, stride);
        }
    }
    for (size_t t = 0; t < n_failing; t++) {
        const size_t i = (size_t)ids[t];
        if (t + 12 < n_failing) {
            const char *ahead = (const char *)(x + (size_t)ids[t + 12] * n_features);
            for (size_t byte = 0; byte < n_features * sizeof(REAL) && byte < 512; byte += 64)
                __builtin_prefetch(ahead + byte);
        }
        float low;
        const float high = NAME(own_distance)(x + i * n_features, labels[i], step, &low);
        int open = 0;
        for (size_t g = 0; g < step->n_groups; g++)
            open |= may_hold(high, lower[g * stride + i], step->group_drift[g]);
        upper[i] = stored_upper(high, step->center_drift[labels[i]]);
        ids[n_left] = (int32_t)i;
        scratch->upper[n_left] = high;
        scratch->own_low[n_left] = low;
        scratch->rival[n_left] = HUGE_VALF;
        n_left += (size_t)open;
    }
    for (size_t g = 0; g < step->n_groups; g++) {
        size_t n_chosen = 0;
        for (size_t t = 0; t < n_left; t++) {
            chosen[n_chosen] = (int32_t)t;
            n_chosen += (size_t)may_hold(scratch->upper[t], lower[g * stride + (size_t)ids[t]],
                                         step->group_drift[g]);
        }
        for (size_t first = 0; first < n_chosen; first += TILE_SAMPLES)
            NAME(visit_group)(x, step, g, chosen + first,
                              n_chosen - first < TILE_SAMPLES ? n_chosen - first : TILE_SAMPLES, scratch, labels,
                              lower, stride);
        *n_scored += n_chosen * (size_t)(step->first_panel[g + 1] - step->first_panel[g]) * TILE_CENTERS;
    }
    for (size_t t = 0; t < n_left; t++) {
        chosen[n_open] = (int32_t)t;
        n_open += !(scratch->upper[t] * TEST_ROUNDING < scratch->rival[t]);
    }
    NAME(decide_chosen)(x, step, n_open, scratch, labels, lower, stride);
    for (size_t t = 0; t < n_left; t++) {
        const size_t i = (size_t)ids[t];
        upper[i] = stored_upper(scratch->upper[t], step->center_drift[labels[i]]);
    }
    return n_open;
}

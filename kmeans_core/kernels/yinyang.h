/* Bounds that let a sample keep its label unread. Included once per real type.
 *
 * Y. Ding et al., "Yinyang K-Means: A Drop-In Replacement of the Classic K-Means with Consistent Speedup", ICML 2015,
 * in its simplified form (J. Newling and F. Fleuret, "Fast k-means with accurate bounds", ICML 2016): centers form
 * groups; a sample keeps an upper bound u of the distance to its own center and, for each group, a lower bound l of the
 * distance to the group's other centers. A group whose l exceeds u holds no nearer center. For each
 * other group samples are gathered into tiles, and scored as `assign` scores a block.
 *
 * Distances are not squared, and multiplied by step->unit. Bounds are stored apart from the drifts:
 *     stored u = u - drift of the own center so far,    stored l = l + drift of the group so far,
 * so a test adds the present drift, and nothing is written for a sample that passes.
 *
 * Rounding, with e = 2^-24. Drifts are rounded up from float64: by at most 2 e of themselves.
 *   stored l   is a root (1), a sum (1), a product (1), and counts on the drift at the time (2): at most 5 e of
 *              (l + drift) too large; it is lowered by 8 e. What a test loses later,
 *              e |stored l - drift|, is the factor of `test`.
 *   stored u   is a difference (1), a sum (1), and counts on the drift (2): at most 4 e (u + drift) too small; 8 e are
 *              added. The sum at the test: the factor of `test`.
 *   squares    |x'|^2 + 2 score. The score is off by E (kernels.h), |x'|^2 by gamma |x'|^2: each feature is stored with
 *              two roundings and squared, n_features sums, a root and its square: n_features + 7 roundings. The two
 *              sums here add e (2 |x'|^2 + 2 |score|), and 2 |score| <= 2 E / gamma with gamma >= 9 e: hence 1.25.
 *   decision   E holds the rounding of a float64 decision; u from sq_distance is raised by 2^-20 for it.
 *   skipped    a group that passed the test with the stored u is not scored. If the tile then prefers another center of
 *              the own group, that center is proven nearer than the old one, or the sample is decided in float64.
 * NaN and infinity come from |x'|^2 alone (|c'| < 2 in each feature): the lower bound is then 0, the upper infinite.
 */

#ifndef FASTKMEANS_YINYANG_SHARED
#define FASTKMEANS_YINYANG_SHARED

#define STORE_ROUNDING 0x1p-21f
#define TEST_ROUNDING (1.0f + 0x1p-22f)
#define COPY_BYTES 64
#define TEST_RUN 256 /* samples tested at a time: their masks stay in the first-level cache */

typedef struct {
    block_scratch block;
    tile_state group; /* the best two of one tile in one group */
    int32_t *found;   /* [rows]: samples that fail the test */
    uint32_t *asked;  /* [rows]: the groups for which they fail it, one bit each */
    /* The same samples, one own group after the other; [rows + TILE_SAMPLES], so that a tile may begin anywhere. */
    int32_t *ids;
    uint32_t *open; /* groups left to score, one bit each */
    int32_t *place; /* of the best center so far */
    float *upper;   /* bounds of the distance to that center */
    float *own_low;
    float *rival;     /* least lower bound among the other centers that were scored */
    int32_t *chosen;  /* places in ids */
    int32_t *waiting; /* places of samples that have a group left */
} bound_scratch;

static size_t bound_scratch_bytes(size_t n_clusters, size_t n_features, size_t n_rows)
{
    return aligned(scratch_bytes(n_clusters, n_features)) + aligned(sizeof(bound_scratch))
           + 10 * aligned((n_rows + TILE_SAMPLES) * sizeof(float));
}

static bound_scratch *divide_bound_scratch(void *memory, const bound_step *step, size_t n_rows)
{
    const packed_centers *grouped = step->grouped;
    const size_t size = aligned((n_rows + TILE_SAMPLES) * sizeof(float));
    char *place = (char *)memory + aligned(scratch_bytes(grouped->n_clusters, grouped->n_features));
    bound_scratch *scratch = (bound_scratch *)place;
    place += aligned(sizeof(bound_scratch));
    scratch->block = divide_scratch(memory, grouped);
    scratch->found = (int32_t *)place;
    scratch->asked = (uint32_t *)(place + size);
    scratch->ids = (int32_t *)(place + 2 * size);
    scratch->open = (uint32_t *)(place + 3 * size);
    scratch->place = (int32_t *)(place + 4 * size);
    scratch->upper = (float *)(place + 5 * size);
    scratch->own_low = (float *)(place + 6 * size);
    scratch->rival = (float *)(place + 7 * size);
    scratch->chosen = (int32_t *)(place + 8 * size);
    scratch->waiting = (int32_t *)(place + 9 * size);
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
    const vec error = score_error(packed, v_splat(0.5f * largest * largest), v_mul(norm, v_splat(1.0f + packed->gamma)),
                                  v_splat(largest));
    const vec slack = v_mul(v_splat(1.25f), v_add(v_mul(v_splat(packed->gamma), sq), v_add(error, error)));
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

/* Samples whose label the bounds do not prove: found and asked OUT; returns how many. Their rows are prefetched while
 * the next samples are tested. */
static size_t find_failing(const char *x, size_t row_bytes, size_t n_samples, const bound_step *step,
                           const int32_t *labels, const float *upper, const float *lower, size_t stride, int32_t *found,
                           uint32_t *asked)
{
    float high[TEST_RUN];
    uint32_t groups[TEST_RUN];
    size_t n_failing = 0, n_fetched = 0;
    for (size_t first = 0; first < n_samples; first += TEST_RUN) {
        const size_t count = n_samples - first < TEST_RUN ? n_samples - first : TEST_RUN;
        for (size_t i = 0; i < count; i++) {
            high[i] = (upper[first + i] + step->center_drift[labels[first + i]]) * TEST_ROUNDING;
            groups[i] = 0;
        }
        for (size_t g = 0; g < step->n_groups; g++) {
            const float drift = step->group_drift[g];
            const float *stored = lower + g * stride + first;
            const uint32_t bit = 1u << g;
            for (size_t i = 0; i < count; i++)
                groups[i] |= high[i] < stored[i] - drift ? 0 : bit;
        }
        for (size_t i = 0; i < count; i++) {
            found[n_failing] = (int32_t)(first + i);
            asked[n_failing] = groups[i];
            n_failing += groups[i] != 0;
        }
        for (; n_fetched < n_failing; n_fetched++) {
            const char *row = x + (size_t)found[n_fetched] * row_bytes;
            for (size_t byte = 0; byte < row_bytes && byte < 512; byte += 64)
                __builtin_prefetch(row + byte);
            __builtin_prefetch(row + row_bytes - 1);
        }
    }
    return n_failing;
}

/* Of the groups in `asked`, those that may hold a center nearer than `upper`. */
static inline uint32_t groups_left(const bound_step *step, uint32_t asked, const float *lower, size_t stride,
                                   float upper)
{
    uint32_t left = 0;
    for (; asked; asked &= asked - 1) {
        const size_t g = (size_t)__builtin_ctz(asked);
        left |= (uint32_t)may_hold(upper, lower[g * stride], step->group_drift[g]) << g;
    }
    return left;
}

static inline size_t group_centers(const bound_step *step, size_t g)
{
    return (size_t)(step->first_panel[g + 1] - step->first_panel[g]) * TILE_CENTERS;
}

/* Costs of one sample, in centers scored; fitted to times at 12 x 100 .. 64 x 256 features x centers on one core of a
 * Zen 5. Fewer features make a center cheaper, so that other work costs as much as more centers. */
static inline size_t test_cost(size_t n_features) { return 4 + 300 / n_features; }
static inline size_t gather_cost(size_t n_features) { return 20 + 400 / n_features; }
static inline size_t dense_cost(size_t n_clusters) { return 10 + n_clusters; }

static inline size_t visit_cost(const bound_step *step, size_t g)
{
    return gather_cost(((const packed_centers *)step->grouped)->n_features) + group_centers(step, g);
}

/* Sort the samples found by the group of their center. first OUT [n_groups + 1] */
static void sort_by_group(size_t n_failing, const bound_step *step, const int32_t *labels, bound_scratch *scratch,
                          size_t *first)
{
    size_t next[32];
    for (size_t g = 0; g <= step->n_groups; g++)
        first[g] = 0;
    for (size_t t = 0; t < n_failing; t++)
        first[step->group_of[labels[scratch->found[t]]] + 1]++;
    for (size_t g = 0; g < step->n_groups; g++) {
        next[g] = first[g];
        first[g + 1] += first[g];
    }
    for (size_t t = 0; t < n_failing; t++) {
        const int32_t i = scratch->found[t], g = step->group_of[labels[i]];
        const size_t to = next[g]++;
        scratch->ids[to] = i;
        scratch->open[to] = scratch->asked[t] & ~(1u << g);
    }
}

/* Which groups may still hold a nearer center, the own one aside? open INOUT */
static void close_groups(size_t n_failing, const bound_step *step, const float *lower, size_t stride,
                         bound_scratch *scratch)
{
    uint32_t *restrict open = scratch->open;
    const int32_t *restrict ids = scratch->ids;
    const float *restrict upper = scratch->upper;
    for (size_t g = 0; g < step->n_groups; g++) {
        const float drift = step->group_drift[g];
        const float *restrict stored = lower + g * stride;
        const uint32_t others = ~(1u << g);
        for (size_t t = 0; t < n_failing; t++)
            open[t] &= upper[t] * TEST_ROUNDING < stored[ids[t]] - drift ? others : ~0u;
    }
}
#endif

/* The distance to the own center, from above and below, by the float64 decision itself. A square that underflows loses
 * at most 2^-1074 per feature; one that overflows is of no use. */
static inline float NAME(own_distance)(const REAL *x, int32_t label, const bound_step *step, float *low)
{
    const packed_centers *packed = step->packed;
    const size_t n_features = packed->n_features;
    const double sq = NAME(sq_distance)(x, packed->centers + (size_t)label * n_features, n_features);
    const double lost = (double)n_features * 0x1p-1070;
    *low = sq < 1e300 && sq > lost ? (float)(sqrt(sq - lost) * step->unit * (1.0 - 0x1p-20)) : 0.0f;
    return (float)(sqrt(sq + lost) * step->unit * (1.0 + 0x1p-20)) + 0x1p-100f;
}

/* What scoring one sample anew would cost, in centers: its own group, and those that its exact distance leaves. */
static size_t NAME(sample_cost)(const REAL *x, int32_t label, uint32_t asked, const bound_step *step,
                                const float *lower, size_t stride)
{
    const uint32_t own = 1u << step->group_of[label];
    float low;
    const float high = NAME(own_distance)(x, label, step, &low);
    size_t n_centers = 0;
    for (uint32_t left = own | groups_left(step, asked & ~own, lower, stride, high); left; left &= left - 1)
        n_centers += visit_cost(step, (size_t)__builtin_ctz(left));
    return n_centers;
}

/* Gather samples into one tile; the lanes from `count` on keep what they held. */
static void NAME(gather_tile)(const REAL *x, size_t n_readable, const int32_t *ids, size_t count,
                              const packed_centers *packed, block_scratch block)
{
    const size_t row_bytes = packed->n_features * sizeof(REAL);
    char *copy = block.rows;
    for (size_t s = 0; s < count; s++, copy += row_bytes) {
        const size_t i = (size_t)ids[s];
        const char *row = (const char *)x + i * row_bytes;
        /* Copy whole runs of bytes, over the place of the next rows, but not past the array's end or the last row. */
        if ((n_readable - i - 1) * row_bytes >= COPY_BYTES && (count - s - 1) * row_bytes >= COPY_BYTES)
            for (size_t byte = 0; byte < row_bytes; byte += COPY_BYTES)
                memcpy(copy + byte, row + byte, COPY_BYTES);
        else
            memcpy(copy, row, row_bytes);
    }
    NAME(pack_tile)(block.rows, packed, packed->OFFSET, block.tiles, block.norms);
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
                vi_store(state->label + v * LANES,
                         vi_pick(closer, vi_load(group->label + v * LANES), vi_load(state->label + v * LANES)));
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
                    /* Each group keeps the bound of its best center, which holds whichever center is nearest. */
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

static size_t NAME(assign_bounded)(const void *any_x, size_t n_samples, size_t n_readable, const bound_step *step,
                                   void *memory, int32_t *labels, float *upper, float *lower, size_t stride)
{
    const REAL *x = any_x;
    bound_scratch *scratch = divide_bound_scratch(memory, step, stride);
    const size_t n_features = ((const packed_centers *)step->grouped)->n_features;
    const size_t block = block_samples(n_features);
    size_t n_decided = 0;
    for (size_t first = 0; first < n_samples; first += block)
        n_decided += NAME(bound_block)(x + first * n_features, n_samples - first < block ? n_samples - first : block,
                                       n_readable - first, step, scratch, labels + first, upper + first, lower + first,
                                       stride);
    return n_decided;
}

static size_t NAME(probe_bounds)(const void *any_x, size_t n_samples, size_t n_features, const bound_step *step,
                                 void *memory, const int32_t *labels, const float *upper, const float *lower,
                                 size_t stride)
{
    const REAL *x = any_x;
    const bound_scratch *scratch = divide_bound_scratch(memory, step, stride);
    const size_t n_failing = find_failing((const char *)x, n_features * sizeof(REAL), n_samples, step, labels, upper,
                                          lower, stride, scratch->found, scratch->asked);
    size_t n_centers = n_samples * test_cost(n_features);
    for (size_t t = 0; t < n_failing; t++) {
        const size_t i = (size_t)scratch->found[t];
        n_centers += NAME(sample_cost)(x + i * n_features, labels[i], scratch->asked[t], step, lower + i, stride);
    }
    return n_centers;
}

/* One tile of samples, places t.. in ids, against the group of their own center: finds the best center, its bounds, and
 * the group's bound for the other centers. */
static void NAME(visit_own_group)(const REAL *x, size_t n_readable, const bound_step *step, size_t g, size_t t,
                                  size_t count, bound_scratch *scratch, float *lower)
{
    const packed_centers *grouped = step->grouped;
    const block_scratch block = scratch->block;
    const vec ratio = v_splat((float)(step->unit / grouped->scale));
    const vec drift = v_splat(step->group_drift[g]), lowered = v_splat(1.0f - STORE_ROUNDING);
    float stored[TILE_SAMPLES];
    NAME(gather_tile)(x, n_readable, scratch->ids + t, count, grouped, block);
    score_group(block.tiles, step, g, &scratch->group);
    for (int v = 0; v < TILE_VECS; v++) {
        const size_t at = t + (size_t)v * LANES;
        const sq_range range = sq_range_of(grouped, v_load(block.norms + v * LANES));
        const vec best = v_load(scratch->group.best + v * LANES);
        const vec second = low_distance(range.low, v_load(scratch->group.second + v * LANES), ratio);
        v_store(scratch->upper + at, high_distance(range.high, best, ratio));
        v_store(scratch->own_low + at, low_distance(range.low, best, ratio));
        v_store(scratch->rival + at, second);
        vi_store(scratch->place + at, vi_load(scratch->group.label + v * LANES));
        v_store(stored + v * LANES, v_mul(v_add(second, drift), lowered));
    }
    for (size_t s = 0; s < count; s++)
        lower[scratch->ids[t + s]] = stored[s];
}

/* One tile of samples against another group. The center changes only if the new upper bound is below the old one;
 * the old center is then one more center that its group's bound must not exceed. chosen IN: places in ids */
static void NAME(visit_group)(const REAL *x, size_t n_readable, const bound_step *step, size_t g, const int32_t *chosen,
                              size_t count, bound_scratch *scratch, float *lower, size_t stride)
{
    const packed_centers *grouped = step->grouped;
    const block_scratch block = scratch->block;
    const vec ratio = v_splat((float)(step->unit / grouped->scale));
    float high[TILE_SAMPLES], low[TILE_SAMPLES], low_second[TILE_SAMPLES];
    int32_t ids[TILE_SAMPLES];
    for (size_t s = 0; s < count; s++)
        ids[s] = scratch->ids[chosen[s]];
    NAME(gather_tile)(x, n_readable, ids, count, grouped, block);
    score_group(block.tiles, step, g, &scratch->group);
    for (int v = 0; v < TILE_VECS; v++) {
        const sq_range range = sq_range_of(grouped, v_load(block.norms + v * LANES));
        const vec best = v_load(scratch->group.best + v * LANES);
        v_store(high + v * LANES, high_distance(range.high, best, ratio));
        v_store(low + v * LANES, low_distance(range.low, best, ratio));
        v_store(low_second + v * LANES, low_distance(range.low, v_load(scratch->group.second + v * LANES), ratio));
    }
    for (size_t s = 0; s < count; s++) {
        const size_t t = (size_t)chosen[s];
        float bound = low[s];
        if (high[s] < scratch->upper[t]) {
            const size_t from = (size_t)step->group_of[step->center_of[scratch->place[t]]];
            float *old = lower + from * stride + ids[s];
            const float own = stored_lower(scratch->own_low[t], step->group_drift[from]);
            *old = own < *old ? own : *old;
            scratch->rival[t] = scratch->own_low[t] < scratch->rival[t] ? scratch->own_low[t] : scratch->rival[t];
            scratch->place[t] = scratch->group.label[s];
            scratch->upper[t] = high[s];
            scratch->own_low[t] = low[s];
            bound = low_second[s];
        }
        lower[g * stride + (size_t)ids[s]] = stored_lower(bound, step->group_drift[g]);
        scratch->rival[t] = bound < scratch->rival[t] ? bound : scratch->rival[t];
    }
}

/* Decide in float64 the samples that what was scored leaves open. chosen IN: places in ids; labels, lower INOUT */
static void NAME(decide_chosen)(const REAL *x, size_t n_readable, const bound_step *step, size_t n_chosen,
                                bound_scratch *scratch, int32_t *labels, float *lower, size_t stride)
{
    const packed_centers *packed = step->packed;
    const block_scratch block = scratch->block;
    for (size_t first = 0; first < n_chosen; first += TILE_SAMPLES) {
        const size_t count = n_chosen - first < TILE_SAMPLES ? n_chosen - first : TILE_SAMPLES;
        int32_t ids[TILE_SAMPLES];
        for (size_t s = 0; s < count; s++)
            ids[s] = scratch->ids[scratch->chosen[first + s]];
        NAME(gather_tile)(x, n_readable, ids, count, packed, block);
        for (size_t s = 0; s < count; s++) {
            const size_t t = (size_t)scratch->chosen[first + s], i = (size_t)ids[s];
            const REAL *row = x + i * packed->n_features;
            const int32_t best = step->center_of[scratch->place[t]];
            const float norm = block.norms[s] * (1.0f + packed->gamma);
            const int32_t label = NAME(decide)(row, block.tiles + s, norm, packed, block.scores);
            if (label != best) {
                /* The new center's group keeps a bound that includes it: lower than need be, never wrong. */
                const size_t from = (size_t)step->group_of[best];
                const float own = stored_lower(scratch->own_low[t], step->group_drift[from]);
                if (own < lower[from * stride + i])
                    lower[from * stride + i] = own;
            }
            scratch->upper[t] = NAME(own_distance)(row, label, step, scratch->own_low + t);
            labels[i] = label;
        }
    }
}

static size_t NAME(reassign_bounded)(const void *any_x, size_t n_samples, size_t n_readable, const bound_step *step,
                                     void *memory, int32_t *labels, float *upper, float *lower, size_t stride,
                                     bound_work *work)
{
    const REAL *x = any_x;
    bound_scratch *scratch = divide_bound_scratch(memory, step, stride);
    const size_t n_features = ((const packed_centers *)step->packed)->n_features;
    const size_t n_clusters = ((const packed_centers *)step->packed)->n_clusters;
    const size_t n_failing = find_failing((const char *)x, n_features * sizeof(REAL), n_samples, step, labels, upper,
                                          lower, stride, scratch->found, scratch->asked);
    if (3 * n_failing > n_samples && !step->insist) {
        /* Most samples fail: a few of them tell whether to score the whole block, in fewer and fuller tiles. */
        size_t n_centers = 0, n_asked = 0;
        for (size_t t = 0; t < n_failing; t += 1 + n_failing / 48, n_asked++) {
            const size_t i = (size_t)scratch->found[t];
            n_centers += NAME(sample_cost)(x + i * n_features, labels[i], scratch->asked[t], step, lower + i, stride);
        }
        if (n_centers * n_failing > n_asked * n_samples * dense_cost(n_clusters)) {
            work->n_scored += n_samples * n_clusters;
            work->cost += n_samples * (dense_cost(n_clusters) + test_cost(n_features));
            return NAME(assign_bounded)(x, n_samples, n_readable, step, memory, labels, upper, lower, stride);
        }
    }
    size_t first[33], n_waiting = 0, n_undecided = 0;
    work->cost += n_samples * test_cost(n_features);
    sort_by_group(n_failing, step, labels, scratch, first);
    for (size_t g = 0; g < step->n_groups; g++) {
        for (size_t t = first[g]; t < first[g + 1]; t += TILE_SAMPLES) {
            for (size_t next = t + TILE_SAMPLES; next < t + 2 * TILE_SAMPLES && next < n_failing; next++)
                prefetch_bytes((uintptr_t)(x + (size_t)scratch->ids[next] * n_features), n_features * sizeof(REAL));
            NAME(visit_own_group)(x, n_readable, step, g, t,
                                  first[g + 1] - t < TILE_SAMPLES ? first[g + 1] - t : TILE_SAMPLES, scratch,
                                  lower + g * stride);
        }
        work->n_scored += (first[g + 1] - first[g]) * group_centers(step, g);
        work->cost += (first[g + 1] - first[g]) * visit_cost(step, g);
    }
    close_groups(n_failing, step, lower, stride, scratch);
    for (size_t t = 0; t < n_failing; t++) {
        scratch->waiting[n_waiting] = (int32_t)t;
        n_waiting += scratch->open[t] != 0;
    }
    for (size_t g = 0; g < step->n_groups && n_waiting; g++) {
        size_t n_chosen = 0;
        for (size_t w = 0; w < n_waiting; w++) {
            scratch->chosen[n_chosen] = scratch->waiting[w];
            n_chosen += scratch->open[scratch->waiting[w]] >> g & 1;
        }
        for (size_t t = 0; t < n_chosen; t += TILE_SAMPLES)
            NAME(visit_group)(x, n_readable, step, g, scratch->chosen + t,
                              n_chosen - t < TILE_SAMPLES ? n_chosen - t : TILE_SAMPLES, scratch, lower, stride);
        work->n_scored += n_chosen * group_centers(step, g);
        work->cost += n_chosen * visit_cost(step, g);
    }
    for (size_t t = 0; t < n_failing; t++) {
        labels[scratch->ids[t]] = step->center_of[scratch->place[t]];
        scratch->chosen[n_undecided] = (int32_t)t;
        n_undecided += !(scratch->upper[t] * TEST_ROUNDING < scratch->rival[t]);
    }
    NAME(decide_chosen)(x, n_readable, step, n_undecided, scratch, labels, lower, stride);
    for (size_t t = 0; t < n_failing; t++) {
        const int32_t i = scratch->ids[t];
        upper[i] = stored_upper(scratch->upper[t], step->center_drift[labels[i]]);
    }
    return n_undecided;
}

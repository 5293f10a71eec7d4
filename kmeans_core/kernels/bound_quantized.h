/* Bounds begin from whole scores (quantized.h): every sample gets its label and all bounds of yinyang.h. Included once
 * per real type.
 *
 * |x' - c'| differs from |i - u l| by at most e = r + p, and |i - u l|^2 = |i|^2 + 2 u score up to u for the rounding
 * of H. The terms of that sum may cancel: 2^-20 of their size is subtracted from it for a lower bound, and added to it
 * for an upper one.
 */

#ifndef FASTKMEANS_BOUND_QUANTIZED_SHARED
#define FASTKMEANS_BOUND_QUANTIZED_SHARED

/* What the scores of one tile mean as distances, in units of the bounds. */
typedef struct {
    const float *sq_norms, *rests; /* [TILE_SAMPLES] */
    float center_rest, two_units, ratio;
} whole_distances;

/* |i - u l|, taken too large by what its terms may round, or too small.   side  1 or -1 */
static inline float root_of_whole(whole_distances d, int s, int32_t score, float side)
{
    const float part = d.two_units * (float)score, doubt = 0x1p-20f * (d.sq_norms[s] + fabsf(part)) + d.two_units;
    const float sq = (d.sq_norms[s] + part) + side * doubt;
    return sqrtf(sq > 0.0f ? sq : 0.0f);
}

static inline float low_of_whole(whole_distances d, int s, int32_t score)
{
    const float root = root_of_whole(d, s, score, -1.0f);
    const float low = (root - (d.rests[s] + d.center_rest)) * d.ratio * (1.0f - 0x1p-20f);
    return low > 0.0f ? low : 0.0f;
}

static inline float high_of_whole(whole_distances d, int s, int32_t score)
{
    const float root = root_of_whole(d, s, score, 1.0f);
    const float high = (root + (d.rests[s] + d.center_rest)) * d.ratio * (1.0f + 0x1p-19f) + 0x1p-100f;
    return high < HUGE_VALF ? high : HUGE_VALF;
}

/* The best two centers of group g, by their places. */
static void fold_group(const quantized_centers *q, const int32_t *words, const bound_step *step, size_t g,
                       whole_state *state)
{
    const size_t from = (size_t)step->first_panel[g], to = (size_t)step->first_panel[g + 1];
    if (IS_NARROW(q->how->n_words)) {
        fold_narrow(words, q, from, to, state);
        return;
    }
    reset_whole(state);
    fold_panels(q, words, words, from, to, state);
}

/* Take the best two of a group into those of all groups.
 *   rival   INOUT [TILE_SAMPLES]: the second best of the best center's group
 *   lower   OUT [TILE_SAMPLES]: bound of the group */
static void take_group(const whole_state *group, whole_distances d, float drift, whole_state *state, int32_t *rival,
                       float *lower)
{
    for (int s = 0; s < TILE_SAMPLES; s++) {
        const int32_t best = group->best[s], old = state->best[s], larger = best > old ? best : old;
        const int32_t second = group->second[s] < state->second[s] ? group->second[s] : state->second[s];
        const int closer = best < old;
        lower[s] = stored_lower(low_of_whole(d, s, best), drift);
        state->second[s] = second < larger ? second : larger;
        state->best[s] = closer ? best : old;
        state->label[s] = closer ? group->label[s] : state->label[s];
        rival[s] = closer ? group->second[s] : rival[s];
    }
}
#endif

/* Label and bound a block of assign's size.   grouped, plain  IN centers by place and by index, quantized alike */
static size_t NAME(bound_quantized_block)(const REAL *x, size_t n_samples, const int32_t *tiles,
                                          const quantized_centers *grouped, const quantized_centers *plain,
                                          const bound_step *step, quantized_scratch scratch, int32_t *labels,
                                          float *upper, float *lower, size_t stride)
{
    const quantizer *how = plain->how;
    const size_t n_features = how->frame.n_features, tile_words = (WORD_HEAD + how->n_words) * TILE_SAMPLES;
    const size_t n_tiles = (n_samples + TILE_SAMPLES - 1) / TILE_SAMPLES;
    int32_t rival[BLOCK_SAMPLES];
    size_t n_undecided = 0;
    whole_distances d = {.center_rest = (float)(grouped->rest * PAD),
                         .two_units = (float)(2.0 * grouped->unit),
                         .ratio = (float)(step->unit / how->frame.scale)};
    for (size_t t = 0; t < n_tiles; t++)
        reset_whole(scratch.states + t);
    for (size_t g = 0; g < step->n_groups; g++)
        for (size_t t = 0; t < n_tiles; t++) {
            whole_state group;
            d.sq_norms = lengths_of(tiles + t * tile_words);
            d.rests = d.sq_norms + TILE_SAMPLES;
            fold_group(grouped, tiles + t * tile_words + WORD_HEAD * TILE_SAMPLES, step, g, &group);
            take_group(&group, d, step->group_drift[g], scratch.states + t, rival + t * TILE_SAMPLES,
                       lower + g * stride + t * TILE_SAMPLES);
        }
    for (size_t t = 0; t < n_tiles; t++) {
        const whole_state *state = scratch.states + t;
        const int32_t *tile = tiles + t * tile_words;
        const size_t first = t * TILE_SAMPLES,
                     left = n_samples - first < TILE_SAMPLES ? n_samples - first : TILE_SAMPLES;
        const uint32_t undecided = undecided_samples(tile, plain, state, scratch.gaps + first);
        d.sq_norms = lengths_of(tile);
        d.rests = d.sq_norms + TILE_SAMPLES;
        for (size_t s = 0; s < left; s++) {
            const size_t i = first + s;
            float high = high_of_whole(d, (int)s, state->best[s]), low;
            int32_t label = step->center_of[state->label[s]];
            if (undecided >> s & 1) {
                /* Each group keeps the bound of its best center, which holds whichever center is nearest. */
                whole_scores(tile + WORD_HEAD * TILE_SAMPLES + s, plain, scratch.scores);
                label =
                    NAME(decide_quantized)(x + i * n_features, plain, scratch.scores, state->best[s], scratch.gaps[i]);
                high = NAME(own_distance)(x + i * n_features, label, step, &low);
                n_undecided++;
            } else {
                const int32_t g = step->group_of[label];
                lower[(size_t)g * stride + i] = stored_lower(low_of_whole(d, (int)s, rival[i]), step->group_drift[g]);
            }
            labels[i] = label;
            upper[i] = stored_upper(high, step->center_drift[label]);
        }
    }
    return n_undecided;
}

static size_t NAME(bound_quantized)(const void *any_x, size_t n_samples, const void *tiles, const void *grouped,
                                    const void *plain, const bound_step *step, void *memory, int32_t *labels,
                                    float *upper, float *lower, size_t stride)
{
    const REAL *x = any_x;
    const quantized_centers *q = plain;
    const size_t n_features = q->how->frame.n_features, block = block_samples(n_features);
    const size_t tile_bytes = quantized_tile_bytes(n_features, q->how->bits);
    const quantized_scratch scratch = divide_quantized_scratch(memory, q->n_clusters, n_features);
    size_t n_undecided = 0;
    for (size_t first = 0; first < n_samples; first += block)
        n_undecided += NAME(bound_quantized_block)(
            x + first * n_features, n_samples - first < block ? n_samples - first : block,
            (const int32_t *)((const char *)tiles + first / TILE_SAMPLES * tile_bytes), grouped, plain, step, scratch,
            labels + first, upper + first, lower + first, stride);
    return n_undecided;
}

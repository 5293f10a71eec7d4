/* Samples without their rows: whole scores (quantized.h) tell most labels, and how far centers may move until a label
 * may change, so that few samples are scored in a later step. Included once, for all real types.
 *
 * A sample keeps a number `until`. Each center has a way, which grows by what it and the farthest of the others move. A
 * sample whose `until` exceeds the way of its center keeps its label (G. Hamerly, "Making k-means even faster", SDM
 * 2010). Here `until` is the way now and the gap between bounds of the distances to the nearest two centers
 * (bound_quantized.h). What later steps round, a share of 2^-50 of a distance per feature in float64, and 2^-20 of the
 * way, is taken off it; see gaps.pyx and engines/gaps.py. */

#include "until.h"

/* Samples of a tile that bounds leave open, one bit each.   left  IN samples that there are */
static inline uint32_t open_samples(const float *until, const int32_t *before, const double *ways, size_t left)
{
    uint32_t open = 0;
    for (size_t s = 0; s < left; s++)
        open |= (uint32_t)!((double)until[s] > ways[before[s]]) << s;
    return open;
}

/* Is a tile scored faster sample by sample? A sample takes `panels` vectors of centers per word and its column of the
 * tile, then a fold over lanes; the tile takes TILE_VECS vectors per word and center. Fitted to k = 8 .. 100, d = 30 ..
 * 200 with 1 to 16 open samples on one core of a Zen 4. */
static inline int pays_alone(uint32_t open, const quantized_centers *q)
{
    const float words = (float)q->how->n_words, panels = (float)((q->n_clusters + LANES - 1) / LANES);
    const float alone = 60.0f + words * (2.0f + panels) + 5.0f * panels;
    const float tile = (float)TILE_VECS * (float)q->n_clusters * (words + 5.0f);
    return (float)__builtin_popcount(open) * alone < tile;
}

/* Score one sample of a tile, and write the best two to its lane of the state. */
static void score_alone(const int32_t *words, const quantized_centers *q, int32_t *scores, whole_state *state, int s)
{
    int32_t best[LANES], second[LANES], label[LANES];
    vint low = vi_splat(INT32_MAX), next = vi_splat(INT32_MAX), at = vi_splat(0);
    whole_scores(words + s, q, scores);
    for (size_t j = q->n_clusters; j % LANES; j++)
        scores[j] = INT32_MAX; /* scores of far samples exceed FAR_SCORE; only what is less than INT32_MAX is taken */
    for (size_t j = 0; j < q->n_clusters; j += LANES)
        fold_score(vi_load(scores + j), vi_load(q->numbers + j), &low, &next, &at);
    vi_store(best, low);
    vi_store(second, next);
    vi_store(label, at);
    int nearest = 0;
    int32_t others = second[0];
    for (int v = 1; v < LANES; v++) {
        const int closer = best[v] < best[nearest] || (best[v] == best[nearest] && label[v] < label[nearest]);
        const int32_t farther = best[closer ? nearest : v];
        others = others < farther ? others : farther;
        others = others < second[v] ? others : second[v];
        nearest = closer ? v : nearest;
    }
    state->best[s] = best[nearest];
    state->second[s] = others;
    state->label[s] = label[nearest];
}

/* Write how long the labels of a tile last, for the samples in `proven`.   until  OUT their entries */
static void store_until(const int32_t *tile, const quantized_centers *q, const whole_state *state, const double *ways,
                        uint32_t proven, size_t left, float *until)
{
    const double shrunk = 1.0 - (0x1p-22 + (double)q->how->frame.n_features * 0x1p-50), grown = 2.0 - shrunk;
    const whole_distances d = {.sq_norms = lengths_of(tile),
                               .rests = lengths_of(tile) + TILE_SAMPLES,
                               .center_rest = (float)(q->rest * PAD),
                               .two_units = (float)(2.0 * q->unit),
                               .ratio = 1.0f};
    float low[TILE_SAMPLES], high[TILE_SAMPLES];
    for (int s = 0; s < TILE_SAMPLES; s++) {
        low[s] = low_of_whole(d, s, state->second[s]);
        high[s] = high_of_whole(d, s, state->best[s]);
    }
    for (size_t s = 0; s < left; s++) {
        if (!(proven >> s & 1))
            continue;
        const double gap = (double)low[s] * shrunk - (double)high[s] * grown;
        until[s] = until_of(ways[state->label[s]], gap / q->how->frame.scale);
    }
}

/* Score the samples of a block that are open, tile by tile or one by one.   open  IN [n_tiles] */
static void score_open(const int32_t *tiles, size_t n_tiles, const uint32_t *open, const quantized_centers *q,
                       const quantized_scratch *scratch)
{
    const size_t tile_words = (WORD_HEAD + q->how->n_words) * TILE_SAMPLES;
    size_t t = 0;
    while (t < n_tiles) {
        size_t n_whole = 0;
        while (t + n_whole < n_tiles && open[t + n_whole] && !pays_alone(open[t + n_whole], q))
            n_whole++;
        if (n_whole) {
            whole_tiles(tiles + t * tile_words, n_whole, q, scratch->states + t);
            t += n_whole;
            continue;
        }
        for (uint32_t bits = open[t]; bits; bits &= bits - 1)
            score_alone(tiles + t * tile_words + WORD_HEAD * TILE_SAMPLES, q, scratch->scores, scratch->states + t,
                        __builtin_ctz(bits));
        t++;
    }
}

static void screen_quantized(size_t n_samples, const void *quantized, const void *centers, void *memory,
                             const int32_t *before, const double *ways, float *until, int32_t *labels)
{
    const quantized_centers *q = centers;
    const size_t tile_words = (WORD_HEAD + q->how->n_words) * TILE_SAMPLES;
    const size_t n_tiles = (n_samples + TILE_SAMPLES - 1) / TILE_SAMPLES;
    const quantized_scratch scratch = divide_quantized_scratch(memory, q->n_clusters, q->how->frame.n_features);
    const int32_t *tiles = quantized;
    uint32_t open[BLOCK_SAMPLES / TILE_SAMPLES];
    for (size_t t = 0, first = 0; t < n_tiles; t++, first += TILE_SAMPLES)
        open[t] = open_samples(until + first, before + first, ways,
                               n_samples - first < TILE_SAMPLES ? n_samples - first : TILE_SAMPLES);
    memset(scratch.states, 0, n_tiles * sizeof(whole_state)); /* lanes that are not scored */
    score_open(tiles, n_tiles, open, q, &scratch);
    for (size_t t = 0; t < n_tiles; t++) {
        const whole_state *state = scratch.states + t;
        const size_t first = t * TILE_SAMPLES,
                     left = n_samples - first < TILE_SAMPLES ? n_samples - first : TILE_SAMPLES;
        memcpy(labels + first, before + first, left * sizeof(int32_t));
        if (!open[t])
            continue;
        const uint32_t undecided = undecided_samples(tiles + t * tile_words, q, state, scratch.gaps + first) & open[t];
        store_until(tiles + t * tile_words, q, state, ways, open[t] & ~undecided, left, until + first);
        for (uint32_t bits = open[t]; bits; bits &= bits - 1) {
            const int s = __builtin_ctz(bits);
            const int is_undecided = undecided >> s & 1;
            labels[first + (size_t)s] = is_undecided ? ~state->label[s] : state->label[s];
            until[first + (size_t)s] = is_undecided ? -HUGE_VALF : until[first + (size_t)s];
        }
    }
}

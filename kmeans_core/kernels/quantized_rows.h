/* Quantized samples (quantized.h). Included once per real type. */

/* Quantize the samples of a block.   out  OUT whole tiles, quantized_tile_bytes each */
static void NAME(quantize)(const void *any_x, size_t n_samples, size_t n_readable, const void *memory,
                           void *scratch_memory, void *out)
{
    const REAL *x = any_x;
    const quantizer *how = memory;
    const size_t n_features = how->frame.n_features;
    const quantized_scratch scratch = divide_quantized_scratch(scratch_memory, 1, n_features);
    const size_t tile_words = (WORD_HEAD + how->n_words) * TILE_SAMPLES;
    int32_t *tile = out;
    for (size_t first = 0; first < n_samples; first += TILE_SAMPLES, tile += tile_words) {
        const size_t left = n_samples - first < TILE_SAMPLES ? n_samples - first : TILE_SAMPLES;
        NAME(pack_block)(x + first * n_features, left, n_readable - first, &how->frame, scratch.pack);
        quantize_tile(how, scratch.pack.tiles, scratch.pack.norms, tile);
    }
}

/* How many centers are near a sample, as decide_quantized finds them. */
static size_t NAME(count_near_scores)(const quantized_centers *q, const int32_t *scores, int32_t best, int32_t gap)
{
    const vint most = vi_splat(gap < FAR_SCORE ? best + gap : INT32_MAX);
    size_t n_near = 0;
    for (size_t first = 0; first < q->n_clusters; first += LANES)
        n_near += (size_t)__builtin_popcount(~v_bits(vi_less(most, vi_load(scores + first))) & ALL_LANES);
    return n_near < q->n_clusters ? n_near : q->n_clusters;
}

/* The nearest center of a sample that the whole scores could not prove: in float64, among those near the best. */
static int32_t NAME(decide_quantized)(const REAL *x, const quantized_centers *q, const int32_t *scores, int32_t best,
                                      int32_t gap)
{
    const size_t n_features = q->how->frame.n_features;
    double nearest_sq = HUGE_VAL;
    int32_t label = 0;
    const vint most = vi_splat(gap < FAR_SCORE ? best + gap : INT32_MAX);
    for (size_t first = 0; first < q->n_clusters; first += LANES) {
        const uint32_t excluded = v_bits(vi_less(most, vi_load(scores + first)));
        for (uint32_t bits = ~excluded & ALL_LANES; bits; bits &= bits - 1) {
            const size_t j = first + (size_t)__builtin_ctz(bits);
            if (j >= q->n_clusters)
                break;
            const double sq = NAME(sq_distance)(x, q->centers + j * n_features, n_features);
            if (sq < nearest_sq) {
                nearest_sq = sq;
                label = (int32_t)j;
            }
        }
    }
    return label;
}

/* Assign the listed samples of a block together, by float32 scores and their proof. */
static void NAME(assign_gathered)(const REAL *x, const stored_rows *stored, size_t first_stored, const uint16_t *listed,
                                  size_t n_listed, size_t n_features, const gathered_rows *many, int32_t *labels)
{
    REAL *rows = many->rows;
    for (size_t u = 0; u < n_listed; u++) {
        if (stored)
            NAME(widen)(stored, first_stored + listed[u], 1, rows + u * n_features);
        else
            memcpy(rows + u * n_features, x + listed[u] * n_features, n_features * sizeof(REAL));
    }
    NAME(assign)(rows, n_listed, n_listed, many->packed, many->scratch, many->labels);
    for (size_t u = 0; u < n_listed; u++)
        labels[listed[u]] = many->labels[u];
}

/* Whole scores of sample i of a block into scratch. */
static void NAME(score_again)(const int32_t *tiles, const quantized_centers *q, const quantized_scratch *scratch,
                              size_t i)
{
    const size_t tile_words = (WORD_HEAD + q->how->n_words) * TILE_SAMPLES;
    whole_scores(tiles + i / TILE_SAMPLES * tile_words + WORD_HEAD * TILE_SAMPLES + i % TILE_SAMPLES, q,
                 scratch->scores);
}

/* Decide sample i of a block by the scores in scratch.   x  IN its row is read there; or OUT, if rows are stored */
static int32_t NAME(decide_alone)(const REAL *x, const stored_rows *stored, size_t first_stored,
                                  const quantized_centers *q, const quantized_scratch *scratch, size_t i)
{
    if (stored)
        NAME(widen)(stored, first_stored + i, 1, (void *)(uintptr_t)x);
    const REAL *row = stored ? x : x + i * q->how->frame.n_features;
    const int32_t best = scratch->states[i / TILE_SAMPLES].best[i % TILE_SAMPLES];
    return NAME(decide_quantized)(row, q, scratch->scores, best, scratch->gaps[i]);
}

static size_t NAME(assign_quantized)(const void *any_x, const stored_rows *stored, size_t first_stored,
                                     size_t n_samples, const void *quantized, const void *centers, void *memory,
                                     int32_t *labels, const gathered_rows *many)
{
    const REAL *x = any_x;
    const quantized_centers *q = centers;
    const size_t n_features = q->how->frame.n_features, tile_words = (WORD_HEAD + q->how->n_words) * TILE_SAMPLES;
    const size_t n_tiles = (n_samples + TILE_SAMPLES - 1) / TILE_SAMPLES;
    const quantized_scratch scratch = divide_quantized_scratch(memory, q->n_clusters, n_features);
    const int32_t *tiles = quantized;
    size_t n_undecided = 0;
    whole_tiles(tiles, n_tiles, q, scratch.states);
    for (size_t t = 0; t < n_tiles; t++) {
        const whole_state *state = scratch.states + t;
        const size_t first = t * TILE_SAMPLES,
                     left = n_samples - first < TILE_SAMPLES ? n_samples - first : TILE_SAMPLES;
        memcpy(labels + first, state->label, left * sizeof(int32_t));
        uint32_t bits = undecided_samples(tiles + t * tile_words, q, state, scratch.gaps + first);
        for (; bits; bits &= bits - 1) {
            const size_t s = (size_t)__builtin_ctz(bits);
            if (s >= left)
                break;
            scratch.undecided[n_undecided++] = (uint16_t)(first + s);
            if (!stored)
                prefetch_bytes((uintptr_t)(x + (first + s) * n_features), n_features * sizeof(REAL));
        }
    }
    if (many
        && cost_together(n_undecided, q->n_clusters, n_features)
               < (float)n_undecided * cost_alone(q->n_clusters, n_features, q->how->n_words)) {
        NAME(assign_gathered)(x, stored, first_stored, scratch.undecided, n_undecided, n_features, many, labels);
        return n_undecided;
    }
    size_t n_waiting = 0, n_near = 0;
    for (size_t u = 0; u < n_undecided; u++) {
        const size_t i = scratch.undecided[u];
        NAME(score_again)(tiles, q, &scratch, i);
        const int32_t best = scratch.states[i / TILE_SAMPLES].best[i % TILE_SAMPLES];
        const size_t own_near = many ? NAME(count_near_scores)(q, scratch.scores, best, scratch.gaps[i]) : 0;
        if (own_near > crowd_of(q->n_clusters)) {
            scratch.undecided[n_waiting++] = (uint16_t)i;
            n_near += own_near;
        } else {
            labels[i] = NAME(decide_alone)(x, stored, first_stored, q, &scratch, i);
        }
    }
    if (n_waiting && pays_together(n_waiting, n_near, q->n_clusters, n_features)) {
        NAME(assign_gathered)(x, stored, first_stored, scratch.undecided, n_waiting, n_features, many, labels);
        *many->n_crowded += n_waiting;
        return n_undecided;
    }
    for (size_t u = 0; u < n_waiting; u++) {
        NAME(score_again)(tiles, q, &scratch, scratch.undecided[u]);
        labels[scratch.undecided[u]] = NAME(decide_alone)(x, stored, first_stored, q, &scratch, scratch.undecided[u]);
    }
    return n_undecided;
}

/* Which candidates may be closer to a sample than its seed is? As find_near, for seeding.
 *   to_units   factor from a scaled squared distance of the seeding to units of whole scores
 * A candidate is ruled out by |i - u l| - e > distance to the seed, squared and in scores. The difference form of the
 * seeding is off by n_features + 4 roundings of REAL. */
static void NAME(find_near_quantized)(const void *quantized, size_t n_samples, const void *candidates, double to_units,
                                      const void *any_min_sq, uint64_t *near)
{
    const REAL *min_sq = any_min_sq;
    const quantized_centers *q = candidates;
    const size_t n_words = q->how->n_words, tile_words = (WORD_HEAD + n_words) * TILE_SAMPLES;
    const float gamma = q->how->frame.gamma, half_unit = (float)(0.5 / q->unit), center_rest = (float)(q->rest * PAD);
    const float per_sq = (float)(to_units * PAD) * (1.0f + gamma);
    const int32_t *tile = quantized;
    int32_t sums[TILE_CENTERS * TILE_SAMPLES] __attribute__((aligned(64)));
    int32_t bound[TILE_SAMPLES];
    for (size_t first = 0; first < n_samples; first += TILE_SAMPLES, tile += tile_words) {
        const size_t left = n_samples - first < TILE_SAMPLES ? n_samples - first : TILE_SAMPLES;
        const uint32_t present = (uint32_t)((1ull << left) - 1);
        const float *sq_norms = lengths_of(tile), *rests = sq_norms + TILE_SAMPLES;
        for (int s = 0; s < TILE_SAMPLES; s++) {
            /* min_sq is readable to whole tiles. */
            const float reach = sqrtf((float)min_sq[first + s] * per_sq) + rests[s] + center_rest;
            const float sq = reach * reach * half_unit, sq_norm = sq_norms[s] * half_unit;
            const float most = (sq - sq_norm) + (6.0f * gamma + 0x1p-18f) * (sq + sq_norm) + 2.0f;
            bound[s] = most < 0x1p29f ? most > -0x1p30f ? (int32_t)most : -2 * FAR_SCORE : INT32_MAX;
        }
        memset(near + first, 0, left * sizeof(uint64_t));
        const int32_t *words = tile + WORD_HEAD * TILE_SAMPLES;
        for (size_t p = 0; p < q->n_panels; p++) {
            const size_t count = q->n_clusters - p * TILE_CENTERS < TILE_CENTERS ? q->n_clusters - p * TILE_CENTERS
                                                                                 : TILE_CENTERS;
            whole_panel(q, words, words + tile_words, p, sums);
            if (!(any_within(sums, (int)count, bound) & present))
                continue;
            for (size_t j = 0; j < count; j++)
                for (uint32_t bits = within(sums + j * TILE_SAMPLES, bound) & present; bits; bits &= bits - 1)
                    near[first + (size_t)__builtin_ctz(bits)] |= 1ull << (p * TILE_CENTERS + j);
        }
    }
}

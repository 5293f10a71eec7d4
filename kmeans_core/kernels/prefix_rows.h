/* The prefix filter over samples (prefix.h). Included once per real type. */

/* Codes of the samples of a block.   codes  OUT whole tiles, prefix_tile_bytes each */
static void NAME(prefix_encode)(const REAL *x, size_t n_samples, size_t n_readable, const void *memory,
                                void *scratch_memory, void *codes)
{
    const prefix *p = memory;
    const prefix_scratch scratch = divide_prefix_scratch(scratch_memory, p);
    const size_t tile_bytes = prefix_tile_bytes(p->frame.n_clusters);
    for (size_t first = 0; first < n_samples; first += TILE_SAMPLES) {
        const size_t left = n_samples - first < TILE_SAMPLES ? n_samples - first : TILE_SAMPLES;
        NAME(pack_block)(x + first * p->frame.n_features, left, n_readable - first, &p->frame, scratch.pack);
        encode_tile(p, scratch, (char *)codes + first / TILE_SAMPLES * tile_bytes);
    }
}

/* Score |c'|^2 / 2 - x'.c' of a stored row and center j, with a dot product in float32. */
static double NAME(prefix_score)(const prefix *p, const REAL *x, size_t j)
{
    const size_t n_features = p->frame.n_features;
    const REAL *offset = p->frame.OFFSET, scale = (REAL)p->frame.scale;
    const float *c = p->rows + j * n_features;
    vec sum[4] = {v_splat(0.0f), v_splat(0.0f), v_splat(0.0f), v_splat(0.0f)};
    size_t f = 0;
    for (; f + 4 * LANES <= n_features; f += 4 * LANES)
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++)
            sum[i] = v_fnmadd(sum[i], V_LOAD_REAL(x + f + i * LANES, offset + f + i * LANES, scale),
                              v_load(c + f + i * LANES));
    for (; f + LANES <= n_features; f += LANES)
        sum[0] = v_fnmadd(sum[0], V_LOAD_REAL(x + f, offset + f, scale), v_load(c + f));
    float lanes[LANES], score;
    v_store(lanes, v_add(v_add(sum[0], sum[1]), v_add(sum[2], sum[3])));
#pragma GCC unroll 4
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int i = 0; i < half; i++)
            lanes[i] += lanes[half + i];
    score = lanes[0];
    for (; f < n_features; f++)
        score -= (float)((x[f] - offset[f]) * scale) * c[f];
    return p->half_sq_norms[j] + (double)score;
}

/* Compare center j, which the codes could not exclude, with the best so far.   Returns whether float64 was asked. */
static int NAME(prefix_compare)(const prefix *p, const double *centers, const REAL *x, double norm, size_t j,
                                prefix_best *best)
{
    const size_t n_features = p->frame.n_features;
    const double score = NAME(prefix_score)(p, x, j), margin = score_margin(p, norm, j);
    if (score - margin > best->upper)
        return 0;
    if (score + margin < best->lower) {
        best->lower = score - margin;
        best->upper = score + margin;
        best->sq_distance = -1.0;
        best->label = (int32_t)j;
        return 0;
    }
    if (best->sq_distance < 0.0)
        best->sq_distance = NAME(sq_distance)(x, centers + (size_t)best->label * n_features, n_features);
    const double sq_distance = NAME(sq_distance)(x, centers + j * n_features, n_features);
    /* Whoever wins is at most as far as either upper bound says. */
    best->upper = fmin(best->upper, score + margin);
    if (sq_distance < best->sq_distance || (sq_distance == best->sq_distance && (int32_t)j < best->label)) {
        best->lower = score - margin;
        best->sq_distance = sq_distance;
        best->label = (int32_t)j;
    }
    return 1;
}

/* A block, tile by tile: bound the label so far, exclude by codes panel by panel, compare what remains. */
static void NAME(prefix_assign)(const REAL *x, size_t n_samples, const double *centers, const void *codes,
                                const void *memory, int32_t *labels, size_t *counts)
{
    const prefix *p = memory;
    const size_t n_features = p->frame.n_features, tile_bytes = prefix_tile_bytes(p->frame.n_clusters);
    const center_rests largest = largest_rests(p);
    for (size_t first = 0; first < n_samples; first += TILE_SAMPLES) {
        const size_t left = n_samples - first < TILE_SAMPLES ? n_samples - first : TILE_SAMPLES;
        const float *row = codes;
        const float *inverse = row + ROW_INVERSE_STEP * TILE_SAMPLES, *norms = row + ROW_NORM * TILE_SAMPLES;
        code sums[TILE_CENTERS * TILE_SAMPLES] __attribute__((aligned(64)));
        uint32_t kept[TILE_CENTERS], in_float64 = 0;
        float limits[TILE_SAMPLES];
        int32_t start[TILE_SAMPLES];
        prefix_best best[TILE_SAMPLES];
        if (labels[0] < 0)
            guess_labels(p, row, start);
        else
            memcpy(start, labels, left * sizeof(int32_t));
        for (size_t s = 0; s < left; s++) {
            const size_t j = (size_t)start[s];
            const double score = NAME(prefix_score)(p, x + s * n_features, j), margin = score_margin(p, norms[s], j);
            best[s] = (prefix_best){score - margin, score + margin, -1.0, start[s]};
            limits[s] = limit_of(p, &best[s], norms[s], inverse[s], row_rest(row, s, largest));
        }
        for (size_t s = left; s < TILE_SAMPLES; s++)
            limits[s] = HUGE_VALF;
        /* While this tile is in the registers, the rows of the next one come nearer. */
        const size_t n_next = n_samples - first - left < TILE_SAMPLES ? n_samples - first - left : TILE_SAMPLES;
        const char *next = (const char *)(x + left * n_features);
        const size_t next_bytes = n_next * n_features * sizeof(REAL);
        const size_t bytes_a_panel = (next_bytes / p->n_panels + 64) / 64 * 64;
        size_t fetched = 0;
        for (size_t q = 0; q < p->n_panels; q++) {
            for (const size_t until = fetched + bytes_a_panel; fetched < until && fetched < next_bytes; fetched += 64)
                __builtin_prefetch(next + fetched, 0, 2);
            dot_panel((const code *)(row + ROW_TERMS * TILE_SAMPLES), p->codes + q * (1 + p->n_codes) * TILE_CENTERS,
                      p->n_codes, sums);
            uint32_t any = prune_panel(sums, p->terms + q * CENTER_TERMS * TILE_CENTERS, row, limits, kept);
            for (; any; any &= any - 1) {
                const size_t e = (size_t)__builtin_ctz(any), j = q * TILE_CENTERS + e;
                for (uint32_t bits = kept[e]; bits; bits &= bits - 1) {
                    const size_t s = (size_t)__builtin_ctz(bits);
                    if (s >= left || j >= p->n_clusters)
                        break;
                    if (best[s].label == (int32_t)j)
                        continue;
                    if (NAME(prefix_compare)(p, centers, x + s * n_features, norms[s], j, &best[s]))
                        in_float64 |= 1u << s;
                    limits[s] = limit_of(p, &best[s], norms[s], inverse[s], row_rest(row, s, largest));
                    counts[0]++;
                }
            }
        }
        counts[1] += (size_t)__builtin_popcount(in_float64);
        for (size_t s = 0; s < left; s++)
            labels[s] = best[s].label;
        codes = (const char *)codes + tile_bytes;
        labels += TILE_SAMPLES;
        x += TILE_SAMPLES * n_features;
    }
}

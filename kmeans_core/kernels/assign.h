/* A block of samples: pack, score, prove, decide. Included once per real type. */

/* Pack the samples of a block; the last ones go through a padded copy where a vector would read past the array. */
static void NAME(pack_block)(const REAL *x, size_t n_samples, size_t n_readable, const packed_centers *packed,
                             block_scratch scratch)
{
    const size_t n_features = packed->n_features;
    for (size_t first = 0; first < n_samples; first += TILE_SAMPLES) {
        const REAL *rows = x + first * n_features;
        if ((n_readable - first) * n_features < TILE_SAMPLES * n_features + LANES) {
            const size_t left = n_samples - first < TILE_SAMPLES ? n_samples - first : TILE_SAMPLES;
            REAL *copy = scratch.rows;
            memcpy(copy, rows, left * n_features * sizeof(REAL));
            for (size_t i = left * n_features; i < TILE_SAMPLES * n_features + LANES; i++)
                copy[i] = 0;
            rows = copy;
        }
        NAME(pack_tile)(rows, packed, packed->OFFSET, scratch.tiles + first * n_features, scratch.norms + first);
    }
}

static size_t NAME(assign)(const void *any_x, size_t n_samples, size_t n_readable, const void *centers, void *memory,
                           int32_t *labels)
{
    const REAL *x = any_x;
    const packed_centers *packed = centers;
    const block_scratch scratch = divide_scratch(memory, packed);
    const size_t n_features = packed->n_features;
    const size_t n_tiles = (n_samples + TILE_SAMPLES - 1) / TILE_SAMPLES;
    const float round_up = 1.0f + packed->gamma;
    size_t n_decided = 0;
    NAME(pack_block)(x, n_samples, n_readable, packed, scratch);
    score_tiles(scratch.tiles, n_tiles, packed, scratch.states);
    for (size_t t = 0; t < n_tiles; t++) {
        const tile_state *state = scratch.states + t;
        float *norms = scratch.norms + t * TILE_SAMPLES;
        const size_t first = t * TILE_SAMPLES;
        const size_t left = n_samples - first < TILE_SAMPLES ? n_samples - first : TILE_SAMPLES;
        for (size_t s = 0; s < left; s++)
            labels[first + s] = state->label[s];
        for (int v = 0; v < TILE_VECS; v++) {
            v_store(norms + v * LANES, v_mul(v_load(norms + v * LANES), v_splat(round_up)));
            for (uint32_t bits = unproven(packed, state, norms, v); bits; bits &= bits - 1) {
                const size_t s = (size_t)(v * LANES + __builtin_ctz(bits));
                if (s >= left)
                    break;
                labels[first + s] = NAME(decide)(x + (first + s) * n_features, scratch.tiles + first * n_features + s,
                                                 norms[s], packed, scratch.scores);
                n_decided++;
            }
        }
    }
    return n_decided;
}

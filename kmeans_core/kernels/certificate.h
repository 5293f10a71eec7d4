/* The proof that a float32 score decides, and the memory of a block. See kernels.h for the bound. */

/* How far a float32 score may be off (kernels.h), with half |c'|^2, |x'| and |c'| given. */
static inline float score_error(const packed_centers *packed, float half_sq_norm, float norm, float center_norm)
{
    const float reach = norm + center_norm;
    return packed->gamma * (half_sq_norm + norm * center_norm) + packed->decision * (reach * reach) + packed->tiny;
}

typedef struct {
    float *tiles;        /* [block][n_features] as tiles */
    tile_state *states;  /* [block / TILE_SAMPLES] */
    float *norms;        /* [block] */
    float *scores;       /* [n_panels * TILE_CENTERS + LANES], for one undecided sample */
    void *rows;          /* [TILE_SAMPLES][n_features] reals and LANES more: the tile at the array's end */
} block_scratch;

static size_t scratch_bytes(size_t n_clusters, size_t n_features)
{
    const size_t block = block_samples(n_features);
    const size_t n_panels = (n_clusters + TILE_CENTERS - 1) / TILE_CENTERS;
    return aligned(block * n_features * sizeof(float)) + aligned(block / TILE_SAMPLES * sizeof(tile_state))
           + aligned(block * sizeof(float)) + aligned((n_panels * TILE_CENTERS + LANES) * sizeof(float))
           + aligned((TILE_SAMPLES * n_features + LANES) * sizeof(double));
}

static block_scratch divide_scratch(void *memory, const packed_centers *packed)
{
    const size_t block = block_samples(packed->n_features);
    char *place = memory;
    block_scratch scratch;
    scratch.tiles = (float *)place;
    place += aligned(block * packed->n_features * sizeof(float));
    scratch.states = (tile_state *)place;
    place += aligned(block / TILE_SAMPLES * sizeof(tile_state));
    scratch.norms = (float *)place;
    place += aligned(block * sizeof(float));
    scratch.scores = (float *)place;
    place += aligned((packed->n_panels * TILE_CENTERS + LANES) * sizeof(float));
    scratch.rows = place;
    return scratch;
}

/* Samples of a tile whose best score is not proven, one bit each. */
static uint32_t unproven(const packed_centers *packed, const tile_state *state, const float *norms, int v)
{
    const float center_norm = packed->max_norm;
    const vec norm = v_load(norms + v * LANES);
    const vec reach = v_add(norm, v_splat(center_norm));
    vec error = v_mul(v_splat(packed->gamma),
                      v_add(v_splat(0.5f * center_norm * center_norm), v_mul(norm, v_splat(center_norm))));
    error = v_add(error, v_add(v_mul(v_splat(packed->decision), v_mul(reach, reach)), v_splat(packed->tiny)));
    const vec gap = v_sub(v_load(state->second + v * LANES), v_load(state->best + v * LANES));
    const vmask proven = v_less(v_mul(v_splat(2.0f), error), gap);
    return ~v_bits(proven) & (uint32_t)((1ull << LANES) - 1);
}

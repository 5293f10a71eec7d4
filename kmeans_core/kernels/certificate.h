/* The proof that a float32 score decides, and the memory of a block. See kernels.h for the bound. */

#define ALL_LANES ((uint32_t)((1ull << LANES) - 1))

/* How far float32 scores may be off (kernels.h), with |c'|^2 / 2, |x'| and |c'| given. */
static inline vec score_error(const packed_centers *packed, vec half_sq_norm, vec norm, vec center_norm)
{
    const vec reach = v_add(norm, center_norm);
    const vec rounding = v_mul(v_splat(packed->gamma), v_add(half_sq_norm, v_mul(norm, center_norm)));
    const vec decision = v_mul(v_splat(packed->decision), v_mul(reach, reach));
    return v_add(rounding, v_add(decision, v_splat(packed->tiny)));
}

/* Turn the scores of one sample into lower bounds of the true ones; returns the least upper bound. */
static float lower_bounds(const packed_centers *packed, float sample_norm, float *scores)
{
    const vec norm = v_splat(sample_norm);
    vec least = v_splat(HUGE_VALF);
    for (size_t j = 0; j < packed->n_clusters; j += LANES) {
        const vec score = v_load(scores + j);
        const vec error = score_error(packed, v_load(packed->half_sq_norms + j), norm, v_load(packed->norms + j));
        least = v_min(v_add(score, error), least);
        v_store(scores + j, v_sub(score, error));
    }
    float lanes[LANES], least_upper = HUGE_VALF;
    v_store(lanes, least);
    for (int i = 0; i < LANES; i++)
        least_upper = lanes[i] < least_upper ? lanes[i] : least_upper;
    return least_upper;
}

typedef struct {
    float *tiles;       /* [block][n_features] as tiles */
    tile_state *states; /* [block / TILE_SAMPLES] */
    float *norms;       /* [block] */
    float *scores;      /* [padded centers], for one undecided sample */
    void *rows;         /* [TILE_SAMPLES][n_features] reals and LANES more: a padded copy of the array's last rows */
} block_scratch;

static size_t scratch_bytes(size_t n_clusters, size_t n_features)
{
    const size_t block = block_samples(n_features);
    return aligned(block * n_features * sizeof(float)) + aligned(block / TILE_SAMPLES * sizeof(tile_state))
           + aligned(block * sizeof(float)) + aligned(padded_centers(n_clusters) * sizeof(float))
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
    place += aligned(padded_centers(packed->n_clusters) * sizeof(float));
    scratch.rows = place;
    return scratch;
}

/* Samples of a tile whose best score is not proven, one bit each. */
static uint32_t unproven(const packed_centers *packed, const tile_state *state, const float *norms, int v)
{
    const float center_norm = packed->max_norm;
    const vec error =
        score_error(packed, v_splat(0.5f * center_norm * center_norm), v_load(norms + v * LANES), v_splat(center_norm));
    const vec gap = v_sub(v_load(state->second + v * LANES), v_load(state->best + v * LANES));
    return ~v_bits(v_less(v_mul(v_splat(2.0f), error), gap)) & ALL_LANES;
}

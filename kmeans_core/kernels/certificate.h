/* The proof that a float32 score decides, and the memory of a block. See kernels.h for the bound.
 *
 * The error E of a score grows with the length of its center, and a proof wants the largest E. One far center would
 * keep all samples from being proven, though it is the nearest one of none. Therefore lower_scores takes
 *     A_j = (gamma + 2 decision) |c'_j|^2
 * from each score of center j. With r = |x'| and R = |c'_j|, E_j - A_j is at most
 *     B = gamma rho (r - rho / 2) + 2 decision r^2 + tiny,    rho = min(r, largest R),
 * since r R - R^2 / 2 is largest at R = r, and r^2 + 2 r R - R^2 is, too. A lowered score exceeds the true one by at
 * most B, whatever its center, and it falls short by at most A_j + E_j. So a best score is proven if the second-best
 * one is more than A + E + B above it, where A and E are those of the best center. To lower a score rounds by at most
 * 2^-25 |c'_j|^2. So lower_scores takes 2^-24 |c'_j|^2 more than A_j, and a proof counts on 2^-22 |c'_j|^2 more.
 */

#define ALL_LANES ((uint32_t)((1ull << LANES) - 1))

/* How far float32 scores may be off (kernels.h), with |c'|^2 / 2, |x'| and |c'| given. */
static inline vec score_error(const packed_centers *packed, vec half_sq_norm, vec norm, vec center_norm)
{
    const vec reach = v_add(norm, center_norm);
    const vec rounding = v_mul(v_splat(packed->gamma), v_add(half_sq_norm, v_mul(norm, center_norm)));
    const vec decision = v_mul(v_splat(packed->decision), v_mul(reach, reach));
    return v_add(rounding, v_add(decision, v_splat(packed->tiny)));
}

/* A_j above, rounded up.   center_norm   |c'_j| */
static inline vec lowered_by(const packed_centers *packed, vec center_norm)
{
    const float share = packed->gamma + 2.0f * packed->decision + 0x1p-22f;
    return v_mul(v_splat(share), v_mul(center_norm, center_norm));
}

/* B above.   norm   |x'| */
static inline vec excess_of_lowered(const packed_centers *packed, vec norm)
{
    const vec rho = v_min(norm, v_splat(packed->max_norm));
    const vec rounding = v_mul(v_splat(packed->gamma), v_mul(rho, v_sub(norm, v_mul(v_splat(0.5f), rho))));
    const vec decision = v_mul(v_splat(2.0f * packed->decision), v_mul(norm, norm));
    return v_add(rounding, v_add(decision, v_splat(packed->tiny)));
}

#define UNEVEN 2.0 /* times the mean length: below, the largest error is near that of any other center */

/* Lower the scores of centers if their lengths differ much. Twice the length makes four times the error. */
static void lower_scores(void *memory)
{
    packed_centers *packed = memory;
    double sum = 0.0;
    for (size_t j = 0; j < packed->n_clusters; j++)
        sum += (double)packed->norms[j];
    packed->is_lowered = (double)packed->max_norm * (double)packed->n_clusters > UNEVEN * sum;
    if (!packed->is_lowered)
        return;
    const double share = (double)packed->gamma + 2.0 * (double)packed->decision + 0x1p-24;
    for (size_t j = 0; j < packed->n_clusters; j++) {
        float *score = packed->panels + j / TILE_CENTERS * (1 + packed->n_features) * TILE_CENTERS + j % TILE_CENTERS;
        *score = (float)((double)*score - share * (double)packed->norms[j] * (double)packed->norms[j]);
    }
}

/* Turn the scores of one sample into lower bounds of the true ones; returns the least upper bound. */
static float lower_bounds(const packed_centers *packed, float sample_norm, float *scores)
{
    const vec norm = v_splat(sample_norm), excess = excess_of_lowered(packed, norm);
    vec least = v_splat(HUGE_VALF);
    for (size_t j = 0; j < packed->n_clusters; j += LANES) {
        const vec score = v_load(scores + j), center_norm = v_load(packed->norms + j);
        const vec error = score_error(packed, v_load(packed->half_sq_norms + j), norm, center_norm);
        const vec lowered = packed->is_lowered ? lowered_by(packed, center_norm) : v_splat(0.0f);
        least = v_min(v_add(score, v_add(error, lowered)), least);
        v_store(scores + j, v_sub(score, packed->is_lowered ? excess : error));
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

/* By how much the second-best of lowered scores must exceed the best one: A + E + B above.   labels   IN [LANES] */
static inline vec least_gap_of_lowered(const packed_centers *packed, vec norm, const int32_t *labels)
{
    float norms[LANES], half_sq_norms[LANES];
    for (int i = 0; i < LANES; i++) {
        norms[i] = packed->norms[labels[i]];
        half_sq_norms[i] = packed->half_sq_norms[labels[i]];
    }
    const vec center_norm = v_load(norms);
    const vec error = score_error(packed, v_load(half_sq_norms), norm, center_norm);
    return v_add(v_add(lowered_by(packed, center_norm), error), excess_of_lowered(packed, norm));
}

/* Samples of a tile whose best score is not proven, one bit each. */
static uint32_t unproven(const packed_centers *packed, const tile_state *state, const float *norms, int v)
{
    const vec norm = v_load(norms + v * LANES), center_norm = v_splat(packed->max_norm);
    const vec gap = v_sub(v_load(state->second + v * LANES), v_load(state->best + v * LANES));
    const vec least_gap =
        packed->is_lowered
            ? least_gap_of_lowered(packed, norm, state->label + v * LANES)
            : v_mul(v_splat(2.0f),
                    score_error(packed, v_splat(0.5f * packed->max_norm * packed->max_norm), norm, center_norm));
    return ~v_bits(v_less(least_gap, gap)) & ALL_LANES;
}

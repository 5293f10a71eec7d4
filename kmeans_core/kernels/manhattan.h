/* Manhattan distances: sum of |x - c|. Included once per real type.
 *
 * As in assign.h a float32 score filters and float64 decides. With x', c' moved by the offset and scaled,
 *     |x' - c'| / 2 = sum max(x', c') - sum c' / 2 - sum x' / 2,
 * and the last term is the same for all centers: the score is the rest, two operations a feature. Its float32 value is
 * off by at most E = gamma (|x'| + 3/2 |c'|) + tiny, lengths in the Manhattan norm, gamma as in kernels.h: no partial
 * sum exceeds |x'| + 3/2 |c'|, each addition rounds once, and the rest of gamma pays for storing x', c' and sum c' / 2.
 * The float64 decision rounds by less than n_features + 2 units of 2^-53 of a distance, which `decision` covers.
 * pack_tile measures Euclidean lengths; times sqrt(n_features) they bound Manhattan ones.
 */

#ifndef FASTKMEANS_MANHATTAN_SHARED
#define FASTKMEANS_MANHATTAN_SHARED

/* As pack_centers, but panels start with -sum c' / 2, half_sq_norms hold the same numbers, and norms are Manhattan. */
static void pack_centers_manhattan(const double *centers, size_t n_clusters, size_t n_features, const double *offset,
                                   int samples_are_float32, void *memory)
{
    packed_centers *packed = memory;
    double longest = 0.0;
    pack_centers(centers, n_clusters, n_features, offset, samples_are_float32, memory);
    for (size_t j = 0; j < n_clusters; j++) {
        float *entry = packed->panels + j / TILE_CENTERS * (1 + n_features) * TILE_CENTERS + j % TILE_CENTERS;
        double sum = 0.0, length = 0.0;
        for (size_t f = 0; f < n_features; f++) {
            const double moved = (centers[j * n_features + f] - packed->offset64[f]) * packed->scale;
            sum += moved;
            length += fabs(moved);
        }
        entry[0] = packed->half_sq_norms[j] = (float)(-0.5 * sum);
        packed->norms[j] = (float)(length * 1.000001);
        longest = length > longest ? length : longest;
    }
    packed->max_norm = (float)(longest * 1.000001);
}

static double packed_scale(const void *packed) { return ((const packed_centers *)packed)->scale; }

static inline vec manhattan_error(const packed_centers *packed, vec norm, vec center_norm)
{
    const vec rounding = v_mul(v_splat(packed->gamma), v_add(norm, v_mul(v_splat(1.5f), center_norm)));
    const vec decision = v_mul(v_splat(packed->decision), v_add(norm, center_norm));
    return v_add(rounding, v_add(decision, v_splat(packed->tiny)));
}

/* The first `count` centers of a panel, see score_centers. */
FORCE_INLINE void score_manhattan(const float *tile, const float *panel, size_t n_features, int32_t first,
                                  tile_state *state, const int count)
{
    vec sum[TILE_VECS][TILE_CENTERS];
#pragma GCC unroll 16
    for (int j = 0; j < count; j++)
#pragma GCC unroll 2
        for (int v = 0; v < TILE_VECS; v++)
            sum[v][j] = v_splat(panel[j]);
    for (size_t f = 0; f < n_features; f++, tile += TILE_SAMPLES) {
        vec x[TILE_VECS];
        panel += TILE_CENTERS;
#pragma GCC unroll 2
        for (int v = 0; v < TILE_VECS; v++)
            x[v] = v_load(tile + v * LANES);
#pragma GCC unroll 16
        for (int j = 0; j < count; j++) {
            const vec c = v_splat(panel[j]);
#pragma GCC unroll 2
            for (int v = 0; v < TILE_VECS; v++)
                sum[v][j] = v_add(sum[v][j], v_max(x[v], c));
        }
    }
#pragma GCC unroll 2
    for (int v = 0; v < TILE_VECS; v++) {
        vec best = v_load(state->best + v * LANES), second = v_load(state->second + v * LANES);
        vint label = vi_load(state->label + v * LANES);
#pragma GCC unroll 16
        for (int j = 0; j < count; j++)
            fold(sum[v][j], first + j, &best, &second, &label);
        v_store(state->best + v * LANES, best);
        v_store(state->second + v * LANES, second);
        vi_store(state->label + v * LANES, label);
    }
}

/* A panel, of which `count` centers are real, in steps of two. */
static void score_panel_manhattan(const float *tile, const float *panel, size_t n_features, int32_t first,
                                  tile_state *state, size_t count)
{
#define MANHATTAN_PANEL(width)                                                                                   \
    if (count <= (width) && (width) < TILE_CENTERS) {                                                            \
        score_manhattan(tile, panel, n_features, first, state, (width) < TILE_CENTERS ? (width) : TILE_CENTERS); \
        return;                                                                                                  \
    }
    MANHATTAN_PANEL(2)
    MANHATTAN_PANEL(4)
    MANHATTAN_PANEL(6)
    MANHATTAN_PANEL(8)
    MANHATTAN_PANEL(10)
    MANHATTAN_PANEL(12)
    score_manhattan(tile, panel, n_features, first, state, TILE_CENTERS);
#undef MANHATTAN_PANEL
}

static void score_tiles_manhattan(const float *tiles, size_t n_tiles, const packed_centers *packed, tile_state *states)
{
    const size_t n_features = packed->n_features;
    for (size_t t = 0; t < n_tiles; t++)
        for (int s = 0; s < TILE_SAMPLES; s++) {
            states[t].best[s] = states[t].second[s] = HUGE_VALF;
            states[t].label[s] = 0;
        }
    for (size_t p = 0; p < packed->n_panels; p++)
        for (size_t t = 0; t < n_tiles; t++)
            score_panel_manhattan(tiles + t * n_features * TILE_SAMPLES,
                                  packed->panels + p * (1 + n_features) * TILE_CENTERS, n_features,
                                  (int32_t)(p * TILE_CENTERS), states + t, packed->n_clusters - p * TILE_CENTERS);
}
#endif

/* Sum of |x - c| in the order of NumPy's pairwise summation, see sq_distance. */
static double NAME(manhattan_distance)(const REAL *x, const double *c, size_t n)
{
    if (n < 8) {
        double sum = 0.0;
        for (size_t f = 0; f < n; f++)
            sum += fabs((double)x[f] - c[f]);
        return sum;
    }
    if (n > 128) {
        const size_t half = n / 2 - n / 2 % 8;
        return NAME(manhattan_distance)(x, c, half) + NAME(manhattan_distance)(x + half, c + half, n - half);
    }
    double part[8] = {0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0};
    size_t f = 0;
    for (; f + 8 <= n; f += 8)
        for (int i = 0; i < 8; i++)
            part[i] += fabs((double)x[f + i] - c[f + i]);
    double sum = ((part[0] + part[1]) + (part[2] + part[3])) + ((part[4] + part[5]) + (part[6] + part[7]));
    for (; f < n; f++)
        sum += fabs((double)x[f] - c[f]);
    return sum;
}

/* The nearest center of a sample that the tile could not prove, see decide: scores with the centers as lanes, then
 * float64 for those that the bound of their own pair cannot exclude. */
static int32_t NAME(decide_manhattan)(const REAL *x, const float *lane, float norm, const packed_centers *packed,
                                      float *scores)
{
    const size_t n_features = packed->n_features;
    vec least = v_splat(HUGE_VALF);
    for (size_t p = 0; p < packed->n_panels; p++) {
        const float *panel = packed->panels + p * (1 + n_features) * TILE_CENTERS;
        vec sum[PANEL_VECS];
        for (int v = 0; v < PANEL_VECS; v++)
            sum[v] = v_load(panel + v * LANES);
        for (size_t f = 0; f < n_features; f++)
            for (int v = 0; v < PANEL_VECS; v++)
                sum[v] = v_add(
                    sum[v], v_max(v_splat(lane[f * TILE_SAMPLES]), v_load(panel + (1 + f) * TILE_CENTERS + v * LANES)));
        for (int v = 0; v < PANEL_VECS; v++)
            v_store(scores + p * TILE_CENTERS + v * LANES, sum[v]);
    }
    for (size_t j = packed->n_clusters; j < packed->n_panels * TILE_CENTERS + LANES; j++)
        scores[j] = HUGE_VALF;
    for (size_t j = 0; j < packed->n_clusters; j += LANES) {
        const vec score = v_load(scores + j), error = manhattan_error(packed, v_splat(norm), v_load(packed->norms + j));
        least = v_min(v_add(score, error), least);
        v_store(scores + j, v_sub(score, error));
    }
    float lanes[LANES], least_upper = HUGE_VALF;
    v_store(lanes, least);
    for (int i = 0; i < LANES; i++)
        least_upper = lanes[i] < least_upper ? lanes[i] : least_upper;
    double nearest_distance = HUGE_VAL;
    int32_t label = 0;
    for (size_t j = 0; j < packed->n_clusters; j++) {
        if (least_upper < scores[j]) /* false for a NaN, an overflow of float32 */
            continue;
        const double distance = NAME(manhattan_distance)(x, packed->centers + j * n_features, n_features);
        if (distance < nearest_distance) {
            nearest_distance = distance;
            label = (int32_t)j;
        }
    }
    return label;
}

static size_t NAME(assign_manhattan)(const void *any_x, size_t n_samples, size_t n_readable, const void *centers,
                                     void *memory, int32_t *labels, float *gaps)
{
    const REAL *x = any_x;
    const packed_centers *packed = centers;
    const block_scratch scratch = divide_scratch(memory, packed);
    const size_t n_features = packed->n_features;
    const size_t n_tiles = (n_samples + TILE_SAMPLES - 1) / TILE_SAMPLES;
    const vec to_manhattan = v_splat((1.0f + packed->gamma) * 1.000001f * sqrtf((float)n_features));
    const vec center_norm = v_splat(packed->max_norm);
    size_t n_decided = 0;
    NAME(pack_block)(x, n_samples, n_readable, packed, scratch);
    score_tiles_manhattan(scratch.tiles, n_tiles, packed, scratch.states);
    for (size_t t = 0; t < n_tiles; t++) {
        const tile_state *state = scratch.states + t;
        float *norms = scratch.norms + t * TILE_SAMPLES, proven_by[TILE_SAMPLES];
        const size_t first = t * TILE_SAMPLES;
        const size_t left = n_samples - first < TILE_SAMPLES ? n_samples - first : TILE_SAMPLES;
        for (size_t s = 0; s < left; s++)
            labels[first + s] = state->label[s];
        for (int v = 0; v < TILE_VECS; v++) {
            const vec norm = v_mul(v_load(norms + v * LANES), to_manhattan);
            const vec gap = v_sub(v_load(state->second + v * LANES), v_load(state->best + v * LANES));
            const vec surplus = v_sub(gap, v_mul(v_splat(2.0f), manhattan_error(packed, norm, center_norm)));
            v_store(norms + v * LANES, norm);
            v_store(proven_by + v * LANES, surplus);
            for (uint32_t bits = ~v_bits(v_less(v_splat(0.0f), surplus)) & ALL_LANES; bits; bits &= bits - 1) {
                const size_t s = (size_t)(v * LANES + __builtin_ctz(bits));
                if (s >= left)
                    break;
                labels[first + s] = NAME(decide_manhattan)(x + (first + s) * n_features,
                                                           scratch.tiles + first * n_features + s, norms[s], packed,
                                                           scratch.scores);
                n_decided++;
            }
        }
        if (gaps)
            memcpy(gaps + first, proven_by, left * sizeof(float));
    }
    return n_decided;
}

static void NAME(own_distances_manhattan)(const void *any_x, size_t n_samples, size_t n_features, const double *centers,
                                          const int32_t *labels, double *distances)
{
    const REAL *x = any_x;
    for (size_t i = 0; i < n_samples; i++)
        distances[i] =
            NAME(manhattan_distance)(x + i * n_features, centers + (size_t)labels[i] * n_features, n_features);
}

static void NAME(all_distances_manhattan)(const void *any_x, size_t n_samples, size_t n_features, const double *centers,
                                          size_t n_clusters, double *distances)
{
    const REAL *x = any_x;
    for (size_t i = 0; i < n_samples; i++)
        for (size_t j = 0; j < n_clusters; j++)
            distances[i * n_clusters + j] =
                NAME(manhattan_distance)(x + i * n_features, centers + j * n_features, n_features);
}

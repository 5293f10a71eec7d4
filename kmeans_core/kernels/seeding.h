/* The passes of greedy k-means++ over a block of samples. Included once per real type.
 *
 * Distances are taken by differences, in the type of the samples: a copy of a seed is at distance zero exactly.
 * Late in a seeding about one sample in n_seeds is closer to a candidate than to its seed, so a float32 score first
 * rules out the others. With x', c' moved by the first seed and scaled, h = (|x'|^2 + |c'|^2) / 2 and u = 2^-24,
 * h - x'.c' is half the squared distance, and its float32 value is off by at most 2 gamma h, gamma as in kernels.h
 * (|x'| |c'| <= h). The difference form itself rounds by n_features + 4 units of at most 4 h: half of that is another
 * 2 gamma h. So a sample for which
 *     (1 - 4 gamma) h - x'.c' > sq_distance to its seed / 2
 * keeps its seed, whatever the rounding; `tiny` pays for underflow. Nothing overflows, because values are scaled by the
 * largest. If gamma is infinite nothing is ruled out.
 *
 * The same passes serve Manhattan distances (manhattan is a constant 1 where they are inlined). The score is then the
 * distance itself, off by at most gamma (|x'| + |c'|) in the Manhattan norm. As much again pays for the difference
 * form: a sample for which
 *     score - 2 gamma (|x'| + |c'|) > distance to its seed
 * keeps its seed. min_sq then holds distances, not squares.
 */

#ifndef FASTKMEANS_SEEDING_SHARED
#define FASTKMEANS_SEEDING_SHARED
#define SEED_RUN 32 /* samples looked over at a time */

#define SEED_AHEAD 16 /* rows that are prefetched */

/* Candidates as the passes read them; the arrays follow the struct in the same block. */
typedef struct {
    packed_centers frame; /* what pack_tile asks for: n_features, offset and scale */
    size_t n_candidates, n_panels, columns;
    float *panels;    /* [n_panels][1 + n_features][columns]: (1 - 4 gamma) |c'|^2 / 2, then c'; padded by +inf, 0 */
    float keep, tiny; /* (1 - 4 gamma) / 2, and what underflow may add */
    const void *rows[SEED_CANDIDATES];
} packed_candidates;

/* Candidates share panels evenly; an even number of columns halves the kernels to compile. */
static size_t candidate_panels(size_t n_candidates) { return (n_candidates + TILE_CENTERS - 1) / TILE_CENTERS; }
static size_t candidate_columns(size_t n_candidates)
{
    const size_t n_panels = candidate_panels(n_candidates);
    return (n_candidates + 2 * n_panels - 1) / (2 * n_panels) * 2;
}

static size_t candidates_bytes(size_t n_candidates, size_t n_features)
{
    return aligned(sizeof(packed_candidates)) + aligned((n_features + LANES) * sizeof(double))
           + aligned((n_features + LANES) * sizeof(float))
           + aligned(candidate_panels(n_candidates) * candidate_columns(n_candidates) * (1 + n_features)
                     * sizeof(float));
}

static size_t seeding_scratch_bytes(size_t n_features)
{
    return aligned(TILE_SAMPLES * n_features * sizeof(float)) + aligned(TILE_SAMPLES * sizeof(float))
           + aligned((TILE_SAMPLES * n_features + LANES) * sizeof(double));
}

static block_scratch divide_seeding_scratch(void *memory, size_t n_features)
{
    char *place = memory;
    block_scratch scratch = {0};
    scratch.tiles = (float *)place;
    place += aligned(TILE_SAMPLES * n_features * sizeof(float));
    scratch.norms = (float *)place;
    place += aligned(TILE_SAMPLES * sizeof(float));
    scratch.rows = place;
    return scratch;
}

/* As subtract_products, but add |x - c|. */
FORCE_INLINE void add_differences(const float *tile, const float *panel, size_t n_features, vec (*sum)[TILE_CENTERS],
                                  const int count)
{
    for (size_t f = 0; f < n_features; f++, panel += count, tile += TILE_SAMPLES) {
        vec x[TILE_VECS];
#pragma GCC unroll 2
        for (int v = 0; v < TILE_VECS; v++)
            x[v] = v_load(tile + v * LANES);
#pragma GCC unroll 16
        for (int j = 0; j < count; j++) {
            const vec c = v_splat(panel[j]);
#pragma GCC unroll 2
            for (int v = 0; v < TILE_VECS; v++)
                sum[v][j] = v_add(sum[v][j], v_max(v_sub(x[v], c), v_sub(c, x[v])));
        }
    }
}

/* Which samples of a tile may come closer to the candidates of a panel?
 *   bound   [TILE_SAMPLES]: a score above it rules the candidate out
 *   close   OUT [columns]: one bit a sample; written only if the result is not 0
 *   returns the samples that have any such candidate */
FORCE_INLINE uint32_t close_to(const float *tile, const float *panel, size_t n_features, const float *bound,
                               uint32_t *close, const int columns, const int manhattan)
{
    vec sum[TILE_VECS][TILE_CENTERS];
    uint32_t any = 0;
#pragma GCC unroll 16
    for (int j = 0; j < columns; j++)
#pragma GCC unroll 2
        for (int v = 0; v < TILE_VECS; v++)
            sum[v][j] = v_splat(panel[j]);
    if (manhattan)
        add_differences(tile, panel + columns, n_features, sum, columns);
    else
        subtract_products(tile, panel + columns, (size_t)columns, n_features, sum, columns);
#pragma GCC unroll 2
    for (int v = 0; v < TILE_VECS; v++) {
        vec least = sum[v][0];
#pragma GCC unroll 16
        for (int j = 1; j < columns; j++)
            least = v_min(least, sum[v][j]);
        any |= (~v_bits(v_less(v_load(bound + v * LANES), least)) & ALL_LANES) << (v * LANES);
    }
    if (!any)
        return 0;
#pragma GCC unroll 16
    for (int j = 0; j < columns; j++) {
        close[j] = 0;
#pragma GCC unroll 2
        for (int v = 0; v < TILE_VECS; v++)
            close[j] |= (~v_bits(v_less(v_load(bound + v * LANES), sum[v][j])) & ALL_LANES) << (v * LANES);
    }
    return any;
}

FORCE_INLINE uint32_t close_samples(const float *tile, const float *panel, size_t n_features, const float *bound,
                                    uint32_t *close, size_t columns, const int manhattan)
{
#define CLOSE_TO(count) \
    case count: return close_to(tile, panel, n_features, bound, close, count, manhattan);
    switch (columns) {
        CLOSE_TO(2)
        CLOSE_TO(4)
#if TILE_CENTERS >= 6
        CLOSE_TO(6)
#endif
#if TILE_CENTERS >= 12
        CLOSE_TO(8)
        CLOSE_TO(10)
        CLOSE_TO(12)
#endif
    default: return close_to(tile, panel, n_features, bound, close, TILE_CENTERS, manhattan);
    }
#undef CLOSE_TO
}
#endif

/* Sixteen lanes in native vectors, so that the order of the sums is the same on all instruction sets. (One long vector,
 * which the compiler cuts, would have that order too, but would lie in memory.) */
static const REAL NAME(zeros_then_ones)[32] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
                                               1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};

/* |a| of a vector: everything but the sign. */
#define MAGNITUDES(a) ((NAME(lanes))((__typeof__((a) < (a)))(a) & (int64_t)((1ull << (8 * sizeof(REAL) - 1)) - 1)))

/* Scaled squared distance by differences. The last sixteen features are read together; those that were added before are
 * multiplied by zero. Registers on AVX2: two (float64: four) sums and as many differences, and the scale. */
FORCE_INLINE REAL NAME(seed_distance)(const REAL *x, const REAL *candidate, size_t n_features, REAL scale,
                                      const int manhattan)
{
    enum { WIDTH = VECTOR_BYTES / sizeof(REAL), PARTS = 16 / WIDTH };
    if (n_features < 16) {
        REAL sum = 0;
        for (size_t f = 0; f < n_features; f++) {
            const REAL difference = (x[f] - candidate[f]) * scale;
            sum += manhattan ? (REAL)fabs(difference) : difference * difference;
        }
        return sum;
    }
    NAME(lanes) sum[PARTS];
#pragma GCC unroll 8
    for (int p = 0; p < PARTS; p++)
        sum[p] = (NAME(lanes)){0};
    size_t f = 0;
    for (; f + 16 <= n_features; f += 16) {
#pragma GCC unroll 8
        for (int p = 0; p < PARTS; p++) {
            const size_t at = f + (size_t)p * WIDTH;
            const NAME(lanes) a = (*(const NAME(lanes) *)(x + at) - *(const NAME(lanes) *)(candidate + at)) * scale;
            if (manhattan)
                sum[p] += MAGNITUDES(a);
            else
                sum[p] += a * a;
        }
    }
    if (f < n_features) {
        const REAL *kept = NAME(zeros_then_ones) + (n_features - f);
        x += n_features - 16;
        candidate += n_features - 16;
#pragma GCC unroll 8
        for (int p = 0; p < PARTS; p++) {
            const size_t at = (size_t)p * WIDTH;
            const NAME(lanes) a = (*(const NAME(lanes) *)(x + at) - *(const NAME(lanes) *)(candidate + at))
                                  * (*(const NAME(lanes) *)(kept + at) * scale);
            if (manhattan)
                sum[p] += MAGNITUDES(a);
            else
                sum[p] += a * a;
        }
    }
    /* In halves: eight and eight lanes, four and four, two and two. */
#pragma GCC unroll 4
    for (int half = PARTS / 2; half > 0; half /= 2)
#pragma GCC unroll 4
        for (int p = 0; p < half; p++)
            sum[p] += sum[p + half];
    REAL rest[WIDTH];
    memcpy(rest, sum, sizeof rest);
#pragma GCC unroll 4
    for (int half = WIDTH / 2; half > 0; half /= 2)
#pragma GCC unroll 8
        for (int i = 0; i < half; i++)
            rest[i] += rest[i + half];
    return rest[0];
}

#undef MAGNITUDES

static void NAME(pack_candidates)(const void *any_x, size_t n_features, const size_t *rows, size_t n_candidates,
                                  const void *any_origin, double scale, void *memory)
{
    const REAL *x = any_x;
    const REAL *origin = any_origin;
    packed_candidates *packed = memory;
    char *place = (char *)memory + aligned(sizeof(packed_candidates));
    packed->frame.n_features = n_features;
    packed->frame.scale = scale;
    packed->frame.offset64 = (double *)place;
    place += aligned((n_features + LANES) * sizeof(double));
    packed->frame.offset32 = (float *)place;
    place += aligned((n_features + LANES) * sizeof(float));
    packed->panels = (float *)place;
    packed->n_candidates = n_candidates;
    packed->n_panels = candidate_panels(n_candidates);
    packed->columns = candidate_columns(n_candidates);
    for (size_t f = 0; f < n_features + LANES; f++)
        packed->frame.OFFSET[f] = f < n_features ? origin[f] : 0;

    const double unit = 0x1p-24 * (double)(n_features + 8);
    const double part = unit < 0.1 ? 1.0 - 4.001 * unit / (1.0 - unit) : -HUGE_VAL;
    packed->keep = (float)(0.5 * part);
    packed->tiny = (float)n_features * 0x1p-120f;
    for (size_t l = 0; l < packed->n_panels * packed->columns; l++) {
        float *entry = packed->panels + l / packed->columns * (1 + n_features) * packed->columns + l % packed->columns;
        const REAL *row = x + (l < n_candidates ? rows[l] : 0) * n_features;
        double sq_norm = 0.0;
        for (size_t f = 0; f < n_features; f++) {
            const double moved = l < n_candidates ? ((double)row[f] - (double)origin[f]) * scale : 0.0;
            entry[(1 + f) * packed->columns] = (float)moved;
            sq_norm += moved * moved;
        }
        entry[0] = l < n_candidates ? (float)(0.5 * part * sq_norm) : HUGE_VALF;
        if (l < n_candidates)
            packed->rows[l] = row;
    }
}

static void NAME(pack_candidates_manhattan)(const void *any_x, size_t n_features, const size_t *rows,
                                            size_t n_candidates, const void *any_origin, double scale, void *memory)
{
    const REAL *x = any_x;
    const REAL *origin = any_origin;
    packed_candidates *packed = memory;
    NAME(pack_candidates)(x, n_features, rows, n_candidates, origin, scale, memory);
    const double unit = 0x1p-24 * (double)(n_features + 8);
    const double doubt = unit < 0.1 ? 2.001 * unit / (1.0 - unit) : HUGE_VAL;
    packed->keep = (float)(doubt * 1.001 * sqrt((double)n_features));
    for (size_t l = 0; l < n_candidates; l++) {
        double length = 0.0;
        for (size_t f = 0; f < n_features; f++)
            length += fabs(((double)((const REAL *)packed->rows[l])[f] - (double)origin[f]) * scale);
        packed->panels[l / packed->columns * (1 + n_features) * packed->columns + l % packed->columns] =
            doubt < HUGE_VAL ? (float)(-doubt * length) : -HUGE_VALF;
    }
}

#ifndef FASTKMEANS_SEEDING_LIST
#define FASTKMEANS_SEEDING_LIST
/* Samples of a block that have one of the wanted bits; returns how many. */
static size_t list_near(const uint64_t *near, size_t n_samples, uint64_t wanted, uint16_t *found)
{
    size_t n_found = 0;
    for (size_t first = 0; first < n_samples; first += SEED_RUN) {
        const size_t count = n_samples - first < SEED_RUN ? n_samples - first : SEED_RUN;
        uint64_t any = 0;
        if (count == SEED_RUN)
            for (int s = 0; s < SEED_RUN; s++)
                any |= near[first + s];
        else
            any = wanted;
        if (any & wanted)
            for (size_t s = first; s < first + count; s++) {
                found[n_found] = (uint16_t)s;
                n_found += (near[s] & wanted) != 0;
            }
    }
    return n_found;
}
#endif

/* Prefetch a row: rows are read out of order, which the hardware does not foresee. */
static inline void NAME(fetch_ahead)(const REAL *x, size_t n_features, const uint16_t *found, size_t i, size_t n_found)
{
    if (i + SEED_AHEAD >= n_found)
        return;
    const char *row = (const char *)(x + found[i + SEED_AHEAD] * n_features);
    const size_t row_bytes = n_features * sizeof(REAL);
    const size_t n_bytes = row_bytes < 256 ? row_bytes : 256; /* the hardware fetches what follows */
    for (size_t byte = 0; byte < n_bytes; byte += 64)
        __builtin_prefetch(row + byte);
}

FORCE_INLINE void NAME(find_near_by)(const REAL *x, size_t n_samples, size_t n_readable, const void *candidates,
                                     void *memory, const REAL *min_sq, uint64_t *near, const int manhattan)
{
    const packed_candidates *packed = candidates;
    const size_t n_features = packed->frame.n_features, columns = packed->columns;
    const block_scratch scratch = divide_seeding_scratch(memory, n_features);
    const REAL zeros[LANES] = {0};
    float bound[TILE_SAMPLES];
    uint32_t close[TILE_CENTERS];
    for (size_t first = 0; first < n_samples; first += TILE_SAMPLES) {
        const size_t left = n_samples - first < TILE_SAMPLES ? n_samples - first : TILE_SAMPLES;
        const uint32_t present = (uint32_t)((1ull << left) - 1);
        NAME(pack_block)(x + first * n_features, left, n_readable - first, &packed->frame, scratch);
        for (int v = 0; v < TILE_VECS; v++) {
            const vec norm = v_load(scratch.norms + v * LANES);
            /* Rounded up by more than the roundings of these lines. */
            const vec half = V_LOAD_REAL(min_sq + first + v * LANES, zeros, (REAL)(0.5 * (1.0 + 0x1p-20)));
            const vec slack = v_add(half, v_splat(packed->tiny));
            v_store(bound + v * LANES, manhattan ? v_add(v_add(half, slack), v_mul(v_splat(packed->keep), norm))
                                                 : v_sub(slack, v_mul(v_splat(packed->keep), v_mul(norm, norm))));
        }
        memset(near + first, 0, left * sizeof(uint64_t));
        for (size_t p = 0; p < packed->n_panels; p++) {
            const float *panel = packed->panels + p * (1 + n_features) * columns;
            if (!(close_samples(scratch.tiles, panel, n_features, bound, close, columns, manhattan) & present))
                continue;
            for (size_t j = 0; j < columns && p * columns + j < packed->n_candidates; j++)
                for (uint32_t bits = close[j] & present; bits; bits &= bits - 1)
                    near[first + (size_t)__builtin_ctz(bits)] |= 1ull << (p * columns + j);
        }
    }
}

static void NAME(find_near)(const void *any_x, size_t n_samples, size_t n_readable, const void *candidates,
                            void *memory, const void *any_min_sq, uint64_t *near)
{
    const REAL *x = any_x;
    const REAL *min_sq = any_min_sq;
    NAME(find_near_by)(x, n_samples, n_readable, candidates, memory, min_sq, near, 0);
}

static void NAME(find_near_manhattan)(const void *any_x, size_t n_samples, size_t n_readable, const void *candidates,
                                      void *memory, const void *any_min_distances, uint64_t *near)
{
    const REAL *x = any_x;
    const REAL *min_distances = any_min_distances;
    NAME(find_near_by)(x, n_samples, n_readable, candidates, memory, min_distances, near, 1);
}

FORCE_INLINE void NAME(gains_of)(const REAL *x, size_t n_samples, const packed_candidates *packed, uint64_t wanted,
                                 const double *sample_weight, const REAL *min_sq, uint64_t *near, double *gains,
                                 const size_t n_features, const int manhattan)
{
    const REAL scale = (REAL)packed->frame.scale;
    uint16_t found[SEED_BLOCK];
    for (size_t l = 0; l < packed->n_candidates; l++)
        gains[l] = 0.0;
    const size_t n_found = list_near(near, n_samples, wanted, found);
    for (size_t i = 0; i < n_found; i++) {
        const size_t s = found[i];
        NAME(fetch_ahead)(x, n_features, found, i, n_found);
        const double old = (double)min_sq[s], weight = sample_weight ? sample_weight[s] : 1.0;
        uint64_t still = near[s];
        for (uint64_t bits = still & wanted; bits; bits &= bits - 1) {
            const int l = __builtin_ctzll(bits);
            const double fall =
                old - (double)NAME(seed_distance)(x + s * n_features, packed->rows[l], n_features, scale, manhattan);
            /* No branch: early in a seeding both outcomes are equally likely. */
            gains[l] += weight * (fall > 0.0 ? fall : 0.0);
            still ^= (uint64_t)!(fall > 0.0) << l;
        }
        near[s] = still; /* min_sq only falls: a candidate that is not closer now never will be */
    }
}

FORCE_INLINE void NAME(lower)(const REAL *x, size_t n_samples, const REAL *candidate, double scale,
                              const uint64_t *near, uint64_t bit, REAL *min_sq, const size_t n_features,
                              const int manhattan)
{
    uint16_t found[SEED_BLOCK];
    const size_t n_found = list_near(near, n_samples, bit, found);
    for (size_t i = 0; i < n_found; i++) {
        const size_t s = found[i];
        NAME(fetch_ahead)(x, n_features, found, i, n_found);
        const REAL sq = NAME(seed_distance)(x + s * n_features, candidate, n_features, (REAL)scale, manhattan);
        min_sq[s] = sq < min_sq[s] ? sq : min_sq[s];
    }
}

/* With few features their number is a constant, so that the compiler unrolls the distance. */
static void NAME(near_gains)(const void *any_x, size_t n_samples, const void *candidates, uint64_t wanted,
                             const double *sample_weight, const void *any_min_sq, uint64_t *near, double *gains)
{
    const REAL *x = any_x;
    const REAL *min_sq = any_min_sq;
    const packed_candidates *packed = candidates;
    switch (packed->frame.n_features) {
    case 1: NAME(gains_of)(x, n_samples, packed, wanted, sample_weight, min_sq, near, gains, 1, 0); break;
    case 2: NAME(gains_of)(x, n_samples, packed, wanted, sample_weight, min_sq, near, gains, 2, 0); break;
    case 3: NAME(gains_of)(x, n_samples, packed, wanted, sample_weight, min_sq, near, gains, 3, 0); break;
    default:
        NAME(gains_of)(x, n_samples, packed, wanted, sample_weight, min_sq, near, gains, packed->frame.n_features, 0);
    }
}

static void NAME(accept_candidate)(const void *any_x, size_t n_samples, size_t n_features, const void *any_candidate,
                                   double scale, const uint64_t *near, uint64_t bit, void *any_min_sq)
{
    const REAL *x = any_x;
    const REAL *candidate = any_candidate;
    REAL *min_sq = any_min_sq;
    switch (n_features) {
    case 1: NAME(lower)(x, n_samples, candidate, scale, near, bit, min_sq, 1, 0); break;
    case 2: NAME(lower)(x, n_samples, candidate, scale, near, bit, min_sq, 2, 0); break;
    case 3: NAME(lower)(x, n_samples, candidate, scale, near, bit, min_sq, 3, 0); break;
    default: NAME(lower)(x, n_samples, candidate, scale, near, bit, min_sq, n_features, 0);
    }
}

static void NAME(near_gains_manhattan)(const void *any_x, size_t n_samples, const void *candidates, uint64_t wanted,
                                       const double *sample_weight, const void *any_min_distances, uint64_t *near,
                                       double *gains)
{
    const REAL *x = any_x;
    const REAL *min_distances = any_min_distances;
    const packed_candidates *packed = candidates;
    NAME(gains_of)(x, n_samples, packed, wanted, sample_weight, min_distances, near, gains, packed->frame.n_features,
                   1);
}

static void NAME(accept_candidate_manhattan)(const void *any_x, size_t n_samples, size_t n_features,
                                             const void *any_candidate, double scale, const uint64_t *near,
                                             uint64_t bit, void *any_min_distances)
{
    const REAL *x = any_x;
    const REAL *candidate = any_candidate;
    REAL *min_distances = any_min_distances;
    NAME(lower)(x, n_samples, candidate, scale, near, bit, min_distances, n_features, 1);
}

/* As many values as a vdouble has. */
typedef REAL NAME(narrow) __attribute__((vector_size(VD_LANES * sizeof(REAL)), aligned(sizeof(REAL)), may_alias));

/* Sum of weight * min_sq: sixteen partial sums; the upper eight join the lower, which are added in order, then the
 * rest. */
static double NAME(potential)(const void *any_min_sq, size_t n_samples, const double *sample_weight)
{
    const REAL *min_sq = any_min_sq;
    enum { PARTS = 16 / VD_LANES };
    vdouble sums[PARTS];
#pragma GCC unroll 16
    for (int p = 0; p < PARTS; p++)
        sums[p] = (vdouble){0.0};
    size_t s = 0;
    for (; s + 16 <= n_samples; s += 16) {
#pragma GCC unroll 16
        for (int p = 0; p < PARTS; p++) {
            const size_t at = s + (size_t)p * VD_LANES;
            const vdouble values = __builtin_convertvector(*(const NAME(narrow) *)(min_sq + at), vdouble);
            if (sample_weight)
                sums[p] += vd_load(sample_weight + at) * values;
            else
                sums[p] += values;
        }
    }
#pragma GCC unroll 8
    for (int p = 0; p < PARTS / 2; p++)
        sums[p] += sums[p + PARTS / 2];
    double total = vd_total_of_eight(sums);
    for (; s < n_samples; s++)
        total += (sample_weight ? sample_weight[s] : 1.0) * (double)min_sq[s];
    return total;
}

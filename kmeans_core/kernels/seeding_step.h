/* A whole step of greedy k-means++ over a block of samples, in one reading: it lowers the distances by the seed chosen
 * last, and adds up what the next candidates would gain. Included once per real type.
 *
 * For early seeds, to which most samples come closer; seeding.h is for the later ones. Distances are taken by
 * differences,
 *     sum over f, in order, of (x[f] * scale - target[f] * scale)^2,
 * with samples in lanes: the order is the same on every instruction set, and a copy of a seed is at distance zero
 * exactly.
 */

#ifndef FASTKMEANS_SEEDING_STEP
#define FASTKMEANS_SEEDING_STEP
#define STEP_COLUMNS 5   /* targets measured together: the seed and the four candidates of few clusters */
#define STEP_NARROW 4    /* up to so many features the compiler takes samples apart by shuffles */
#define STEP_SAMPLES 256 /* measured before they are added up: the distances stay in the first-level cache */
#define STEP_AHEAD 4096  /* bytes that are prefetched */

typedef struct {
    void *sq_distances; /* [STEP_TARGETS][STEP_SAMPLES] */
    void *tile;         /* [n_features][VECTOR_BYTES * 2] */
    void *rows;         /* a padded copy of a tile's rows */
} step_scratch;

static size_t step_scratch_bytes(size_t n_features)
{
    return STEP_TARGETS * STEP_SAMPLES * sizeof(double) + aligned(2 * VECTOR_BYTES * n_features)
           + aligned(2 * VECTOR_BYTES * n_features + VECTOR_BYTES);
}

static step_scratch divide_step_scratch(void *memory, size_t n_features)
{
    step_scratch scratch;
    scratch.sq_distances = memory;
    scratch.tile = (char *)memory + STEP_TARGETS * STEP_SAMPLES * sizeof(double);
    scratch.rows = (char *)scratch.tile + aligned(2 * VECTOR_BYTES * n_features);
    return scratch;
}
#endif

static void NAME(pack_targets)(const void *any_x, size_t n_features, const size_t *rows, size_t n_targets, double scale,
                               void *any_targets)
{
    const REAL *x = any_x;
    REAL *targets = any_targets;
    for (size_t f = 0; f < n_features; f++)
        for (size_t l = 0; l < n_targets; l++)
            targets[f * n_targets + l] = x[rows[l] * n_features + f] * (REAL)scale;
}

/* Squared distances of samples to `columns` targets, few features.   out   [columns][STEP_SAMPLES] */
FORCE_INLINE void NAME(measure_narrow)(const REAL *restrict x, size_t n_samples, const REAL *restrict targets,
                                       size_t n_targets, REAL scale, REAL *restrict out, const size_t n_features,
                                       const int columns)
{
    REAL target[STEP_NARROW][STEP_COLUMNS];
    for (size_t f = 0; f < n_features; f++)
        for (int j = 0; j < columns; j++)
            target[f][j] = targets[f * n_targets + (size_t)j];
    for (size_t s = 0; s < n_samples; s++) {
        REAL value[STEP_NARROW];
#pragma GCC unroll 4
        for (size_t f = 0; f < n_features; f++)
            value[f] = x[s * n_features + f] * scale;
#pragma GCC unroll 5
        for (int j = 0; j < columns; j++) {
            REAL sum = (value[0] - target[0][j]) * (value[0] - target[0][j]);
#pragma GCC unroll 4
            for (size_t f = 1; f < n_features; f++)
                sum += (value[f] - target[f][j]) * (value[f] - target[f][j]);
            out[(size_t)j * STEP_SAMPLES + s] = sum;
        }
    }
}

/* Two vectors of samples into lanes, scaled.   tile   OUT [n_features][2 vectors]
 * Rows are read in runs of as many features as a vector has lanes. The last run overlaps the one before it; if a row is
 * shorter than a run, it reads past the row's end. */
static void NAME(turn)(const REAL *x, size_t n_features, REAL scale, REAL *tile)
{
    enum { WIDTH = VECTOR_BYTES / sizeof(REAL) };
    for (int half = 0; half < 2; half++, x += WIDTH * n_features, tile += WIDTH)
        for (size_t f = 0; f < n_features; f += WIDTH) {
            NAME(lanes) v[WIDTH], t[WIDTH];
            const size_t first = f + WIDTH <= n_features || n_features < WIDTH ? f : n_features - WIDTH;
            for (int s = 0; s < WIDTH; s++)
                v[s] = *(const NAME(lanes) *)(x + (size_t)s * n_features + first);
#pragma GCC unroll 4
            for (int pass = 1; pass < WIDTH; pass *= 2) {
#pragma GCC unroll 8
                for (int i = 0; i < WIDTH / 2; i++) {
                    t[i] = NAME(even)(v[2 * i], v[2 * i + 1]);
                    t[WIDTH / 2 + i] = NAME(odd)(v[2 * i], v[2 * i + 1]);
                }
#pragma GCC unroll 16
                for (int i = 0; i < WIDTH; i++)
                    v[i] = t[i];
            }
#pragma GCC unroll 16
            for (int i = 0; i < WIDTH; i++)
                if (first + (size_t)i < n_features)
                    *(NAME(lanes) *)(tile + (first + (size_t)i) * 2 * WIDTH) = v[i] * scale;
        }
}

/* AVX-512: ten sums, two vectors of samples and a difference are 13 of 32 registers, targets come as broadcast
 * operands; AVX2: with a broadcast target 14 of 16. */
FORCE_INLINE void NAME(measure_tile)(const REAL *tile, const REAL *targets, size_t n_targets, size_t n_features,
                                     REAL *out, const int columns)
{
    enum { WIDTH = VECTOR_BYTES / sizeof(REAL) };
    NAME(lanes) sum[STEP_COLUMNS][2];
#pragma GCC unroll 5
    for (int j = 0; j < columns; j++)
        sum[j][0] = sum[j][1] = (NAME(lanes)){0};
    for (size_t f = 0; f < n_features; f++, tile += 2 * WIDTH, targets += n_targets) {
        const NAME(lanes) low = *(const NAME(lanes) *)tile, high = *(const NAME(lanes) *)(tile + WIDTH);
#pragma GCC unroll 5
        for (int j = 0; j < columns; j++) {
            const NAME(lanes) a = low - targets[j], b = high - targets[j];
            sum[j][0] += a * a;
            sum[j][1] += b * b;
        }
    }
#pragma GCC unroll 5
    for (int j = 0; j < columns; j++) {
        *(NAME(lanes) *)(out + j * STEP_SAMPLES) = sum[j][0];
        *(NAME(lanes) *)(out + j * STEP_SAMPLES + WIDTH) = sum[j][1];
    }
}

FORCE_INLINE void NAME(measure_columns)(const REAL *x, size_t n_samples, const REAL *targets, size_t n_targets,
                                        size_t n_features, REAL scale, REAL *out, const int columns)
{
    switch (n_features) {
    case 1: NAME(measure_narrow)(x, n_samples, targets, n_targets, scale, out, 1, columns); break;
    case 2: NAME(measure_narrow)(x, n_samples, targets, n_targets, scale, out, 2, columns); break;
    case 3: NAME(measure_narrow)(x, n_samples, targets, n_targets, scale, out, 3, columns); break;
    case 4: NAME(measure_narrow)(x, n_samples, targets, n_targets, scale, out, 4, columns); break;
    default: NAME(measure_tile)(x, targets, n_targets, n_features, out, columns);
    }
}

/* Targets are divided evenly into groups; the last group overlaps the one before, so that few sizes are compiled.
 *   x   rows; with more than STEP_NARROW features, a tile */
static void NAME(measure)(const REAL *x, size_t n_samples, const REAL *targets, size_t n_targets, size_t n_features,
                          REAL scale, REAL *out)
{
    const size_t n_groups = n_targets < 4 ? n_targets : (n_targets + STEP_COLUMNS - 1) / STEP_COLUMNS;
    const size_t share = (n_targets + n_groups - 1) / n_groups, columns = share == 2 || share == 3 ? 4 : share;
    for (size_t g = 0; g < n_groups; g++) {
        const size_t l = (g + 1) * columns <= n_targets ? g * columns : n_targets - columns;
        const REAL *group = targets + l;
        REAL *place = out + l * STEP_SAMPLES;
        switch (columns) {
        case 1: NAME(measure_columns)(x, n_samples, group, n_targets, n_features, scale, place, 1); break;
        case 4: NAME(measure_columns)(x, n_samples, group, n_targets, n_features, scale, place, 4); break;
        default: NAME(measure_columns)(x, n_samples, group, n_targets, n_features, scale, place, STEP_COLUMNS);
        }
    }
}

static void NAME(measure_wide)(const REAL *x, size_t n_samples, size_t n_readable, const REAL *targets,
                               size_t n_targets, size_t n_features, REAL scale, step_scratch scratch)
{
    enum { WIDTH = VECTOR_BYTES / sizeof(REAL), TILE = 2 * WIDTH };
    for (size_t first = 0; first < n_samples; first += TILE) {
        const REAL *rows = x + first * n_features;
        prefetch_bytes((uintptr_t)rows + STEP_AHEAD, TILE * n_features * sizeof(REAL));
        if ((n_readable - first) * n_features < TILE * n_features + WIDTH) {
            const size_t left = n_samples - first < TILE ? n_samples - first : TILE;
            REAL *copy = scratch.rows;
            memcpy(copy, rows, left * n_features * sizeof(REAL));
            memset(copy + left * n_features, 0, ((TILE - left) * n_features + WIDTH) * sizeof(REAL));
            rows = copy;
        }
        NAME(turn)(rows, n_features, scale, scratch.tile);
        NAME(measure)(scratch.tile, TILE, targets, n_targets, n_features, scale, (REAL *)scratch.sq_distances + first);
    }
}

static double NAME(seeding_step)(const void *any_x, size_t n_samples, size_t n_readable, size_t n_features,
                                 double scale, const void *any_targets, size_t n_seeds, size_t n_candidates, int fresh,
                                 const double *sample_weight, void *memory, void *any_min_sq, double *gains,
                                 size_t *n_near)
{
    const REAL *x = any_x;
    const REAL *targets = any_targets;
    REAL *min_sq = any_min_sq;
    const step_scratch scratch = divide_step_scratch(memory, n_features);
    const size_t n_targets = n_seeds + n_candidates;
    REAL *sq = scratch.sq_distances;
    for (size_t l = 0; l < n_candidates; l++)
        gains[l] = 0.0;
    *n_near = 0;
    for (size_t first = 0; first < n_samples; first += STEP_SAMPLES) {
        const size_t count = n_samples - first < STEP_SAMPLES ? n_samples - first : STEP_SAMPLES;
        const REAL *rows = x + first * n_features;
        REAL *least = min_sq + first;
        if (n_features <= STEP_NARROW)
            NAME(measure)(rows, count, targets, n_targets, n_features, (REAL)scale, sq);
        else
            NAME(measure_wide)(rows, count, n_readable - first, targets, n_targets, n_features, (REAL)scale, scratch);
        if (fresh)
            memcpy(least, sq, count * sizeof(REAL));
        else if (n_seeds)
            for (size_t s = 0; s < count; s++)
                least[s] = sq[s] < least[s] ? sq[s] : least[s];
        for (size_t l = 0; l < n_candidates; l++) {
            REAL *fall = sq + (n_seeds + l) * STEP_SAMPLES;
            for (size_t s = 0; s < count; s++)
                fall[s] = fall[s] < least[s] ? least[s] - fall[s] : 0;
            gains[l] += NAME(potential)(fall, count, sample_weight ? sample_weight + first : NULL);
            if (first == 0)
                for (size_t s = 0; s < count && s < STEP_COUNTED; s++)
                    *n_near += fall[s] > 0;
        }
    }
    return NAME(potential)(min_sq, n_samples, sample_weight);
}

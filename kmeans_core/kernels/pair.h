/* Two clusters: where a sample lies along the line between two centers tells which center is nearer. Included once per
 * real type.
 *
 * With x', c' as in kernels.h, w = c1' - c0' and t = w.(c0' + c1') / 2, half the difference of the squared distances is
 *     margin = x'.w - t,
 * above 0 if center 1 is nearer. A block that is read keeps three numbers of each sample, for two unit vectors at a
 * right angle: v has the direction of the w of that step, u lies in the plane of v and the w of the step before:
 *     along = x'.v,   aside = x'.u,   rest >= |x' - along v - aside u|.
 * A later step has w = a v + s u + b with b at a right angle to both, so margin = a along + s aside - t + x'.b, and
 * |x'.b| <= rest |b|. Only samples whose margin is smaller than that bound and rounding are read again. The bound
 * depends on how far w has left the plane since the block was read, not on the number of steps between. The plane has
 * two directions because w mostly goes on turning as it turned before. (After G. Hamerly, "Making k-means even
 * faster", SDM 2010.)
 *
 * Rounding. `along` and `aside` have n_features products and additions each; x', v and u are stored in float32; a, s,
 * t, the products with a and s, their sum and the difference are rounded: n_features + 7 roundings at most, for which
 * gamma has n_features + 8. The float64 decision has the relative rounding `decision` of kernels.h. v, u and b are at
 * right angles within 2^-40: that is for rounding in float64. */

#ifndef FASTKMEANS_PAIR_SHARED
#define FASTKMEANS_PAIR_SHARED

#define PAIR_DIRECTIONS 2

/* The directions v and u, and where the centers of the step lie along them.
 *   packed      by pack_centers, of the centers that gave v: offset, scale and rounding
 *   units64     [PAIR_DIRECTIONS][n_features] v, then u; zeros for a u that is not there
 *   units32     the same
 *   centers     [2][n_features] of the step */
typedef struct {
    packed_centers *packed;
    double *units64;
    float *units32;
    const double *centers;
    float parts[PAIR_DIRECTIONS]; /* a, s */
    float threshold;              /* t */
    float across;                 /* |b|, rounded up */
    float relative;               /* error of a margin per |x'| */
    float absolute;               /* error of a margin besides */
    float norm;                   /* the larger |c'|, rounded up */
} pair_line;

/* A previous w whose part at a right angle to v is a smaller share of it gives no u: rounding would turn it. */
#define PAIR_LEAST_TURN 0x1p-20

/* A block is read if more than one sample in so many must be decided one by one. A block that was read serves later
 * steps, too. */
#define PAIR_SHARE 8

static size_t pair_bytes(size_t n_features)
{
    const size_t n_values = PAIR_DIRECTIONS * n_features;
    return aligned(sizeof(pair_line)) + packed_bytes(2, n_features) + aligned(n_values * sizeof(double))
           + aligned(n_values * sizeof(float));
}

/* c' of center j, feature f. */
static inline double pair_moved(const pair_line *line, size_t j, size_t f)
{
    const packed_centers *packed = line->packed;
    return (line->centers[j * packed->n_features + f] - packed->offset64[f]) * packed->scale;
}

/* Find a, s, b and t of these centers. */
static void pair_turn(const double *centers, void *memory)
{
    pair_line *line = memory;
    const packed_centers *packed = line->packed;
    const double *v = line->units64, *u = v + packed->n_features;
    double along = 0.0, aside = 0.0, across = 0.0, threshold = 0.0, sq_length = 0.0, sq_norms[2] = {0.0, 0.0};
    line->centers = centers;
    for (size_t f = 0; f < packed->n_features; f++) {
        const double c0 = pair_moved(line, 0, f), c1 = pair_moved(line, 1, f), w = c1 - c0;
        along += w * v[f];
        aside += w * u[f];
        threshold += w * (0.5 * (c0 + c1));
        sq_length += w * w;
        sq_norms[0] += c0 * c0;
        sq_norms[1] += c1 * c1;
    }
    for (size_t f = 0; f < packed->n_features; f++) {
        const double b = pair_moved(line, 1, f) - pair_moved(line, 0, f) - along * v[f] - aside * u[f];
        across += b * b;
    }
    const double gamma = packed->gamma, skew = 0x1p-40 * sqrt(sq_length);
    line->parts[0] = (float)along;
    line->parts[1] = (float)aside;
    line->threshold = (float)threshold;
    line->across = (float)((sqrt(across) + skew) * 1.0001);
    line->relative = (float)((gamma * (fabs(along) + fabs(aside)) + skew) * 1.01);
    line->absolute = (float)(gamma * fabs(threshold) * 1.01) + PAIR_DIRECTIONS * packed->tiny;
    line->norm = (float)(sqrt(sq_norms[0] > sq_norms[1] ? sq_norms[0] : sq_norms[1]) * 1.000001);
}

/* Make a vector a unit vector; zeros if it is not longer than `least`. */
static void pair_unit(double *vector, size_t n_features, double least)
{
    double sq_length = 0.0;
    for (size_t f = 0; f < n_features; f++)
        sq_length += vector[f] * vector[f];
    const double per_length = sq_length > least * least ? 1.0 / sqrt(sq_length) : 0.0;
    for (size_t f = 0; f < n_features; f++)
        vector[f] *= per_length;
}

/* The second direction.   previous   [2][n_features] centers of the step before, or NULL */
static void pair_find_aside(pair_line *line, const double *previous)
{
    const size_t n_features = line->packed->n_features;
    const double *v = line->units64;
    double *u = line->units64 + n_features, sq_length = 0.0;
    for (size_t f = 0; f < n_features; f++) {
        u[f] = previous ? (previous[n_features + f] - previous[f]) * line->packed->scale : 0.0;
        sq_length += u[f] * u[f];
    }
    /* Once more, because the first time leaves a part along v by rounding. */
    for (int pass = 0; pass < 2; pass++) {
        double along = 0.0;
        for (size_t f = 0; f < n_features; f++)
            along += u[f] * v[f];
        for (size_t f = 0; f < n_features; f++)
            u[f] -= along * v[f];
    }
    pair_unit(u, n_features, PAIR_LEAST_TURN * sqrt(sq_length));
}

/* Take the directions from these centers and those of the step before. */
static void pair_start(const double *centers, const double *previous, size_t n_features, const double *offset,
                       int samples_are_float32, void *memory)
{
    pair_line *line = memory;
    char *place = (char *)memory + aligned(sizeof(pair_line));
    line->packed = (packed_centers *)place;
    place += packed_bytes(2, n_features);
    line->units64 = (double *)place;
    line->units32 = (float *)(place + aligned(PAIR_DIRECTIONS * n_features * sizeof(double)));
    line->centers = centers;
    pack_centers(centers, 2, n_features, offset, samples_are_float32, line->packed);
    for (size_t f = 0; f < n_features; f++)
        line->units64[f] = pair_moved(line, 1, f) - pair_moved(line, 0, f);
    pair_unit(line->units64, n_features, 0.0);
    pair_find_aside(line, previous);
    for (size_t i = 0; i < PAIR_DIRECTIONS * n_features; i++)
        line->units32[i] = (float)line->units64[i];
    pair_turn(centers, memory);
}

/* What is kept of the samples of a block.   along, aside, rest   [n_samples rounded up to TILE_SAMPLES] */
typedef struct {
    float *along, *aside, *rest;
} pair_kept;

/* What is kept of the samples of a tile.   norms   |x'| before any allowance for rounding */
static void pair_place(const float *tile, const float *norms, const pair_line *line, pair_kept kept)
{
    const size_t n_features = line->packed->n_features;
    const float *v32 = line->units32, *u32 = line->units32 + n_features;
    const vec gamma = v_splat(line->packed->gamma), up = v_splat(1.0f + line->packed->gamma), none = v_splat(0.0f);
    for (int v = 0; v < TILE_VECS; v++) {
        const float *column = tile + v * LANES;
        vec along = none, aside = none;
        for (size_t f = 0; f < n_features; f++) {
            const vec x = v_load(column + f * TILE_SAMPLES);
            along = v_fnmadd(along, x, v_splat(v32[f]));
            aside = v_fnmadd(aside, x, v_splat(u32[f]));
        }
        const vec norm = v_mul(v_load(norms + v * LANES), up), error = v_mul(gamma, norm);
        const vec least_along = v_max(v_sub(v_max(along, v_sub(none, along)), error), none);
        const vec least_aside = v_max(v_sub(v_max(aside, v_sub(none, aside)), error), none);
        const vec least = v_add(v_mul(least_along, least_along), v_mul(least_aside, least_aside));
        const vec sq_rest = v_sub(v_mul(v_mul(norm, norm), up), least);
        v_store(kept.along + v * LANES, v_sub(none, along));
        v_store(kept.aside + v * LANES, v_sub(none, aside));
        v_store(kept.rest + v * LANES, v_mul(v_sqrt(v_max(sq_rest, none)), up));
    }
}

/* Labels by margins, right but for the listed samples.   undecided   OUT [n_samples];   returns how many */
static size_t pair_margins(const pair_line *line, pair_kept kept, size_t n_samples, int32_t *labels,
                           uint16_t *undecided)
{
    const vec a = v_splat(line->parts[0]), s = v_splat(line->parts[1]), threshold = v_splat(line->threshold);
    const vec across = v_splat(line->across);
    const vec relative = v_splat(line->relative), absolute = v_splat(line->absolute), none = v_splat(0.0f);
    const vec center_norm = v_splat(line->norm), decision = v_splat(line->packed->decision);
    size_t count = 0;
    for (size_t first = 0; first < n_samples; first += LANES) {
        const vec along = v_load(kept.along + first), aside = v_load(kept.aside + first);
        const vec others = v_load(kept.rest + first);
        const vec margin = v_sub(v_add(v_mul(a, along), v_mul(s, aside)), threshold);
        const vec in_plane = v_add(v_max(along, v_sub(none, along)), v_max(aside, v_sub(none, aside)));
        const vec norm = v_add(in_plane, others), reach = v_add(norm, center_norm);
        const vec rounding = v_add(v_mul(relative, norm), v_add(absolute, v_mul(decision, v_mul(reach, reach))));
        const vec bound = v_add(v_mul(across, others), rounding);
        const uint32_t decided = v_bits(v_less(bound, v_max(margin, v_sub(none, margin))));
        vi_store(labels + first, vi_pick(v_less(none, margin), vi_splat(1), vi_splat(0)));
        for (uint32_t bits = ~decided & ALL_LANES; bits; bits &= bits - 1)
            undecided[count++] = (uint16_t)(first + (size_t)__builtin_ctz(bits));
    }
    while (count && undecided[count - 1] >= n_samples)
        count--;
    return count;
}
#endif

/* Read a block: find what is kept of its samples. */
static void NAME(pair_read)(const REAL *x, size_t n_samples, size_t n_readable, const pair_line *line,
                            block_scratch scratch, pair_kept kept)
{
    const size_t n_features = line->packed->n_features;
    for (size_t first = 0; first < n_samples; first += TILE_SAMPLES) {
        const size_t left = n_samples - first < TILE_SAMPLES ? n_samples - first : TILE_SAMPLES;
        NAME(pack_block)(x + first * n_features, left, n_readable - first, line->packed, scratch);
        const pair_kept here = {kept.along + first, kept.aside + first, kept.rest + first};
        pair_place(scratch.tiles, scratch.norms, line, here);
    }
}

static int NAME(pair_label)(const void *any_x, const stored_rows *stored, size_t first_stored, size_t n_samples,
                            size_t n_readable, const void *before, const void *now, void *memory, float *along,
                            float *aside, float *rest, int32_t *labels, size_t *n_decided)
{
    const REAL *x = any_x;
    const pair_line *line = before ? before : now;
    const pair_kept kept = {along, aside, rest};
    const size_t n_features = line->packed->n_features, row_bytes = n_features * sizeof(REAL);
    uint16_t undecided[BLOCK_SAMPLES + LANES];
    size_t count = n_samples;
    if (before)
        count = pair_margins(line, kept, n_samples, labels, undecided);
    const int reads = !before || (before != now && count > n_samples / PAIR_SHARE);
    if (reads) {
        line = now;
        if (stored)
            NAME(widen)(stored, first_stored, n_samples, (void *)(uintptr_t)any_x);
        NAME(pair_read)(x, n_samples, n_readable, line, divide_scratch(memory, line->packed), kept);
        count = pair_margins(line, kept, n_samples, labels, undecided);
    }
    for (size_t c = 0; c < count; c++) {
        const int is_laid_out = !stored || reads;
        const REAL *row = is_laid_out ? x + undecided[c] * n_features : x;
        if (!is_laid_out)
            NAME(widen)(stored, first_stored + undecided[c], 1, (void *)(uintptr_t)any_x);
        if (is_laid_out && c + 8 < count)
            prefetch_bytes((uintptr_t)(x + undecided[c + 8] * n_features), row_bytes < 1024 ? row_bytes : 1024);
        labels[undecided[c]] = NAME(sq_distance)(row, line->centers + n_features, n_features)
                               < NAME(sq_distance)(row, line->centers, n_features);
    }
    *n_decided += count;
    return reads;
}

/* Tiles of neighbouring samples, and the centers that can be nearest to one of them. Included once per real type.
 *
 * D. Pelleg and A. Moore, "Accelerating exact k-means algorithms with geometric reasoning", KDD 1999; T. Kanungo et
 * al., "An efficient k-means clustering algorithm", IEEE Trans. Pattern Analysis and Machine Intelligence 24(7), 2002:
 * here with two levels instead of a tree, and with every bound safe in floating point.
 *
 * Which centers a box excludes. All samples x of a tile lie in the box |x_f - m_f| <= r_f and in the ball
 * |x - m| <= R. With v the center nearest to m and w = z - v,
 *     |x - z|^2 - |x - v|^2 = |z - m|^2 - |v - m|^2 - 2 w.(x - m)
 *                          >= |z - m|^2 - |v - m|^2 - 2 min(sum |w_f| r_f, |w| R),
 * so z is nowhere nearest if that is positive. In float64 each term is off by less than 2 (n_features + 4) 2^-53 times
 * S = |z - m|^2 + |v - m|^2 + |r|^2 (|w|^2 is at most twice the first two), and the two sums that decide in the end
 * (exact.h) by no more, as |x - z|^2 <= 2 |z - m|^2 + 2 |r|^2: for 16 features 2^-46 S in all. The test asks for
 * 2^-40 S, and for 2^-1060 because squares below the least float64 vanish. Hence a center that is left out loses to v
 * for every sample of the tile by the comparison of exact.h, strictly; equal and tied centers stay in. Comparisons are
 * written so that a NaN, which is an overflow, keeps a center.
 */
#ifndef FASTKMEANS_TILES_SHARED
#define FASTKMEANS_TILES_SHARED

#define BOX_SLACK 0x1p-40
#define BOX_TINY 0x1p-1060
#define BOX_ROUND_UP (1.0 + 0x1p-45)
#define CELL_WIDTH 64 /* values side by side when cells are found */
#define TILE_WIDTH 32 /* values side by side when a tile is described */
#define SPLIT_BINS 256
#define SPLIT_PARTS 4
#define SPREAD_SAMPLES 16 /* samples that tell which feature is widest */

static size_t padded_columns(size_t n_centers) { return (n_centers + WIDE_LANES - 1) / WIDE_LANES * WIDE_LANES; }

/* The centers that may be nearest to a sample of a box.
 *   columns        IN   [n_features][stride] float64, padded by +inf to whole vectors
 *   box            IN   middle [n_features], reach [n_features], radius, |reach|^2
 *   sq_distances   scratch [stride]
 *   near           OUT  [stride + 1]: indices, ascending; the nearest to the middle is always among them
 *   returns how many */
FORCE_INLINE size_t near_box_of(const double *columns, size_t stride, size_t n_centers, const double *box,
                                double *sq_distances, int32_t *near, const size_t n_features)
{
    const double *middle = box, *reach = box + n_features;
    const double radius = reach[n_features], sq_reach = reach[n_features + 1];
    wide least = HUGE_VAL - (wide){0.0};
    for (size_t j = 0; j < n_centers; j += WIDE_LANES) {
        wide sum = {0.0};
        for (size_t f = 0; f < n_features; f++) {
            const wide away = *(const wide *)(columns + f * stride + j) - middle[f];
            sum += away * away;
        }
        *(wide *)(sq_distances + j) = sum;
        const wide_mask closer = (wide_mask)(sum < least);
        least = (wide)(((wide_mask)sum & closer) | ((wide_mask)least & ~closer));
    }
    double best = HUGE_VAL;
    for (int l = 0; l < WIDE_LANES; l++)
        best = least[l] < best ? least[l] : best;
    size_t nearest = 0, n_near = 0;
    for (size_t j = 0; j < n_centers; j += WIDE_LANES) {
        const wide_mask equal = (wide_mask)(*(const wide *)(sq_distances + j) == best);
        const uint32_t bits = wide_bits(equal);
        if (bits && j + (size_t)__builtin_ctz(bits) < n_centers) {
            nearest = j + (size_t)__builtin_ctz(bits);
            break;
        }
    }
    /* If |z - m| > |v - m| + 2 R, then |x - z| > |x - v|: this test ends most runs of centers. Its slack makes the
     * difference at least 2^-42 |z - m|, and |x - z| < 2 |z - m|, so the sums of exact.h differ as above. */
    const double farthest = sqrt(best) + 2.0 * radius;
    const double limit = farthest * farthest * (1.0 + BOX_SLACK) + BOX_TINY;
    for (size_t j = 0; j < n_centers; j += WIDE_LANES) {
        const wide sq = *(const wide *)(sq_distances + j);
        const wide_mask beyond = (wide_mask)(sq > limit);
        uint32_t bits = ~wide_bits(beyond) & ((1u << (n_centers - j < WIDE_LANES ? n_centers - j : WIDE_LANES)) - 1u);
        if (!bits)
            continue;
        wide across = {0.0}, sq_apart = {0.0};
        for (size_t f = 0; f < n_features; f++) {
            const wide apart = *(const wide *)(columns + f * stride + j) - columns[f * stride + nearest];
            across += (wide)((wide_mask)apart & INT64_MAX) * reach[f];
            if (n_features >= BALL_FEATURES)
                sq_apart += apart * apart;
        }
        const wide lead = (sq - best) - (BOX_SLACK * (sq + best + sq_reach) + BOX_TINY);
        wide_mask excluded = (wide_mask)(lead > 2.0 * across);
        if (n_features >= BALL_FEATURES) /* lead > 2 |w| R, squared */
            excluded |= (wide_mask)(lead > 0.0)
                        & (wide_mask)(lead * lead - BOX_TINY > 4.0 * sq_apart * (radius * radius * BOX_ROUND_UP));
        for (bits &= ~wide_bits(excluded); bits; bits &= bits - 1)
            near[n_near++] = (int32_t)(j + (size_t)__builtin_ctz(bits));
    }
    return n_near;
}

/* With few features their number is a constant, so that the compiler keeps the box in registers. */
static size_t near_box(const double *columns, size_t stride, size_t n_centers, size_t n_features, const double *box,
                       double *sq_distances, int32_t *near)
{
    switch (n_features) {
    case 1: return near_box_of(columns, stride, n_centers, box, sq_distances, near, 1);
    case 2: return near_box_of(columns, stride, n_centers, box, sq_distances, near, 2);
    case 3: return near_box_of(columns, stride, n_centers, box, sq_distances, near, 3);
    default: return near_box_of(columns, stride, n_centers, box, sq_distances, near, n_features);
    }
}

/* Middle, reach, radius and |reach|^2 of a box, each rounded up so that the samples are inside. */
static void enclose(const double *lowest, const double *highest, size_t n_features, double *box)
{
    double *middle = box, *reach = box + n_features, sq_reach = 0.0;
    for (size_t f = 0; f < n_features; f++) {
        middle[f] = lowest[f] + 0.5 * (highest[f] - lowest[f]);
        const double below = middle[f] - lowest[f], above = highest[f] - middle[f];
        reach[f] = (below > above ? below : above) * BOX_ROUND_UP;
        sq_reach += reach[f] * reach[f];
    }
    reach[n_features] = sqrt(sq_reach + BOX_TINY) * BOX_ROUND_UP;
    reach[n_features + 1] = sq_reach * BOX_ROUND_UP;
}

/* What a thread needs for a group of tiles. */
typedef struct {
    double *sq_distances; /* [padded columns] */
    double *columns;      /* [n_features][padded columns]: centers of the group */
    float *panel;         /* [n_clusters][1 + n_features]: |c'|^2 / 2 and c' of the group's centers */
    float *norms;         /* [n_clusters]: |c'|, rounded up */
    int32_t *of_group;    /* [padded columns + 1]: the group's centers */
    int32_t *of_tile;     /* [padded columns + 1]: the tile's, as places in of_group */
    int32_t *labels;      /* [MAX_TILE_ROWS] */
    float *unused_norms;  /* [MAX_TILE_ROWS], for pack_block */
    void *rows;           /* [TILE_SAMPLES][n_features] reals and LANES more: a padded copy of the array's last rows */
    void *wide;           /* [MAX_TILE_ROWS][n_features] reals: stored rows of a tile */
    float *lanes;         /* [MAX_TILE_ROWS * n_features]: the same rows as lanes */
} group_scratch;

/* parts   INOUT a block of memory, or one to be counted */
static group_scratch divide_group_scratch(arena *parts, size_t n_clusters, size_t n_features)
{
    const size_t columns = padded_columns(n_clusters);
    group_scratch scratch;
    scratch.sq_distances = take(parts, columns * sizeof(double));
    scratch.columns = take(parts, n_features * columns * sizeof(double));
    scratch.panel = take(parts, n_clusters * (1 + n_features) * sizeof(float));
    scratch.norms = take(parts, n_clusters * sizeof(float));
    scratch.of_group = take(parts, (columns + 1) * sizeof(int32_t));
    scratch.of_tile = take(parts, (columns + 1) * sizeof(int32_t));
    scratch.labels = take(parts, MAX_TILE_ROWS * sizeof(int32_t));
    scratch.unused_norms = take(parts, MAX_TILE_ROWS * sizeof(float));
    scratch.rows = take(parts, (TILE_SAMPLES * n_features + LANES) * sizeof(double));
    scratch.wide = take(parts, MAX_TILE_ROWS * n_features * sizeof(double));
    scratch.lanes = take(parts, MAX_TILE_ROWS * n_features * sizeof(float));
    return scratch;
}

static size_t tile_scratch_bytes(size_t n_clusters, size_t n_features)
{
    arena parts = arena_in(NULL);
    divide_group_scratch(&parts, n_clusters, n_features);
    return arena_bytes(&parts);
}

/* Centers as columns, padded by +inf.   listed   IN [n_listed] places in `columns`, or NULL for all */
static void center_columns(const double *centers, const int32_t *listed, size_t n_listed, size_t n_features,
                           double *columns)
{
    const size_t stride = padded_columns(n_listed);
    for (size_t f = 0; f < n_features; f++)
        for (size_t i = 0; i < stride; i++)
            columns[f * stride + i] = i < n_listed ? centers[(listed ? (size_t)listed[i] : i) * n_features + f]
                                                   : HUGE_VAL;
}

/* The group's centers as float32, moved and scaled as its samples are (group_frame). */
static void frame_centers(const double *centers, const group_scratch *scratch, size_t n_group,
                          const packed_centers *frame)
{
    const size_t n_features = frame->n_features;
    for (size_t i = 0; i < n_group; i++) {
        const double *center = centers + (size_t)scratch->of_group[i] * n_features;
        float *entry = scratch->panel + i * (1 + n_features);
        double sq_norm = 0.0;
        for (size_t f = 0; f < n_features; f++) {
            const double moved = (center[f] - frame->offset64[f]) * frame->scale;
            entry[1 + f] = (float)moved;
            sq_norm += moved * moved;
        }
        entry[0] = (float)(0.5 * sq_norm);
        scratch->norms[i] = (float)(sqrt(sq_norm) * 1.000001);
    }
}

/* Best and second-best score of TILE_SAMPLES samples against the listed centers, as score_all_narrow.
 *   panel    IN  [..][1 + n_features]   listed   IN [n_listed] places in it, ascending   names   IN their labels */
FORCE_INLINE void score_these(const float *lanes, const float *panel, const int32_t *listed, const int32_t *names,
                              size_t n_listed, tile_state *state, const size_t n_features)
{
    vec best[TILE_VECS], second[TILE_VECS];
    vint label[TILE_VECS];
    for (int v = 0; v < TILE_VECS; v++) {
        best[v] = second[v] = v_splat(HUGE_VALF);
        label[v] = vi_splat(0);
    }
    size_t i = 0;
    /* Four centers share the samples' loads, and their sums hide the latency of a multiply-add. */
    for (; n_features > 4 && i + 4 <= n_listed; i += 4) {
        const float *entry[4];
        vec score[4][TILE_VECS];
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++) {
            entry[j] = panel + (size_t)listed[i + j] * (1 + n_features);
            for (int v = 0; v < TILE_VECS; v++)
                score[j][v] = v_splat(entry[j][0]);
        }
        for (size_t f = 0; f < n_features; f++) {
            const vec x0 = v_load(lanes + f * TILE_SAMPLES), x1 = v_load(lanes + f * TILE_SAMPLES + LANES);
#pragma GCC unroll 4
            for (int j = 0; j < 4; j++) {
                const vec center = v_splat(entry[j][1 + f]);
                score[j][0] = v_fnmadd(score[j][0], x0, center);
                score[j][1] = v_fnmadd(score[j][1], x1, center);
            }
        }
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++)
#pragma GCC unroll 2
            for (int v = 0; v < TILE_VECS; v++)
                fold(score[j][v], names[listed[i + j]], &best[v], &second[v], &label[v]);
    }
    for (; i < n_listed; i++) {
        const float *entry = panel + (size_t)listed[i] * (1 + n_features);
        const int32_t name = names[listed[i]];
#pragma GCC unroll 2
        for (int v = 0; v < TILE_VECS; v++) {
            vec score = v_splat(entry[0]);
#pragma GCC unroll 8
            for (size_t f = 0; f < n_features; f++)
                score = v_fnmadd(score, v_load(lanes + f * TILE_SAMPLES + v * LANES), v_splat(entry[1 + f]));
            fold(score, name, &best[v], &second[v], &label[v]);
        }
    }
    for (int v = 0; v < TILE_VECS; v++) {
        v_store(state->best + v * LANES, best[v]);
        v_store(state->second + v * LANES, second[v]);
        vi_store(state->label + v * LANES, label[v]);
    }
}

static void score_listed(const float *lanes, const float *panel, const int32_t *listed, const int32_t *names,
                         size_t n_listed, tile_state *state, size_t n_features)
{
    switch (n_features) {
    case 1: score_these(lanes, panel, listed, names, n_listed, state, 1); break;
    case 2: score_these(lanes, panel, listed, names, n_listed, state, 2); break;
    case 3: score_these(lanes, panel, listed, names, n_listed, state, 3); break;
    case 4: score_these(lanes, panel, listed, names, n_listed, state, 4); break;
    case 8: score_these(lanes, panel, listed, names, n_listed, state, 8); break;
    default: score_these(lanes, panel, listed, names, n_listed, state, n_features); break;
    }
}

/* Add the sums of a whole tile to those of a cluster, or subtract them.   sign   1 or -1 */
static void shift_sums(const double *tile_sums, double sign, size_t length, double *sums)
{
    for (size_t i = 0; i < length; i++)
        sums[i] += sign * tile_sums[i];
}
#endif

/* The cell of each sample, and how many samples each cell has. Cells are numbered so that neighbours are close: each
 * bit of a number tells the half of the side that was widest by then.
 *   counts   INOUT [n_cells]   cells   OUT [n_samples] */
static void NAME(find_cells)(const void *any_x, size_t n_samples, size_t n_features, cell_grid grid, uint16_t *cells,
                             uint32_t *counts)
{
    const REAL *x = any_x;
    const size_t group = CELL_WIDTH / n_features, width = group * n_features;
    REAL lowest[CELL_WIDTH], per_unit[CELL_WIDTH], last[CELL_WIDTH];
    int32_t starts[CELL_WIDTH], places[CELL_WIDTH];
    for (size_t i = 0; i < width; i++) {
        lowest[i] = (REAL)grid.lowest[i % n_features];
        per_unit[i] = (REAL)grid.per_unit[i % n_features];
        last[i] = (REAL)grid.last[i % n_features];
        starts[i] = (int32_t)grid.starts[i % n_features];
    }
    for (size_t first = 0; first < n_samples; first += group, x += width) {
        const size_t n_rows = n_samples - first < group ? n_samples - first : group;
        for (size_t i = 0; i < n_rows * n_features; i++) {
            REAL step = (x[i] - lowest[i]) * per_unit[i];
            step = step > 0 ? step : 0;
            step = step < last[i] ? step : last[i];
            places[i] = (int32_t)step + starts[i];
        }
        for (size_t s = 0; s < n_rows; s++) {
            unsigned cell = 0;
            for (size_t f = 0; f < n_features; f++)
                cell |= grid.numbers[places[s * n_features + f]];
            cells[first + s] = (uint16_t)cell;
            counts[cell]++;
        }
    }
}

/* Put samples where their cells are.
 *   next     INOUT [n_cells]: place of the next sample of each cell
 *   first    index of the first sample
 *   ordered  OUT rows   order   OUT indices, or NULL   weights   OUT, if there are any */
static void NAME(order_by_cell)(const void *any_x, size_t n_samples, size_t n_features, const double *sample_weight,
                                const uint16_t *cells, size_t first, uint32_t *next, void *any_ordered, int32_t *order,
                                double *weights)
{
    const REAL *x = any_x;
    REAL *ordered = any_ordered;
    for (size_t i = 0; i < n_samples; i++, x += n_features) {
        const size_t place = next[cells[i]]++;
        for (size_t f = 0; f < n_features; f++)
            ordered[place * n_features + f] = x[f];
        if (order)
            order[place] = (int32_t)(first + i);
        if (sample_weight)
            weights[place] = sample_weight[i];
    }
}

/* Split samples across their widest side until tiles are left: first between groups, then between tiles. They are
 * sorted only by SPLIT_BINS parts of that side, whose ends a few samples tell; that is close enough for a good order.
 *   rows    INOUT [n_rows]: places in x   spare   scratch [n_rows]   bins   scratch [n_rows] */
static void NAME(split)(const REAL *x, size_t n_features, uint32_t *rows, uint32_t *spare, uint8_t *bins, size_t n_rows,
                        size_t tile_rows)
{
    if (n_rows <= tile_rows)
        return;
    const size_t stride = n_rows < SPREAD_SAMPLES ? 1 : n_rows / SPREAD_SAMPLES;
    size_t widest = 0;
    REAL lowest = x[rows[0] * n_features], width = 0;
    for (size_t f = 0; f < n_features; f++) {
        REAL low = x[rows[0] * n_features + f], high = low;
        for (size_t i = stride; i < n_rows; i += stride) {
            const REAL value = x[rows[i] * n_features + f];
            low = value < low ? value : low;
            high = value > high ? value : high;
        }
        if (high - low > width) {
            width = high - low;
            lowest = low;
            widest = f;
        }
    }
    uint32_t next[SPLIT_BINS] = {0}, place = 0;
    const REAL per_unit = width > 0 ? (REAL)(SPLIT_BINS - 2) / width : 0;
    for (size_t i = 0; i < n_rows; i++) {
        REAL bin = (x[rows[i] * n_features + widest] - lowest) * per_unit + 1;
        bin = bin > 0 ? bin : 0;
        bin = bin < SPLIT_BINS - 1 ? bin : SPLIT_BINS - 1;
        bins[i] = (uint8_t)(int32_t)bin;
        next[bins[i]]++;
    }
    for (size_t bin = 0; bin < SPLIT_BINS; bin++) {
        const uint32_t count = next[bin];
        next[bin] = place;
        place += count;
    }
    for (size_t i = 0; i < n_rows; i++)
        spare[next[bins[i]]++] = rows[i];
    memcpy(rows, spare, n_rows * sizeof(uint32_t));
    const size_t group = tile_rows * GROUP_TILES, unit = n_rows > group ? group : tile_rows;
    const size_t n_units = (n_rows + unit - 1) / unit, n_parts = n_units < 4 ? 2 : SPLIT_PARTS;
    for (size_t part = 0; part < n_parts; part++) {
        const size_t first = n_units * part / n_parts * unit, end = n_units * (part + 1) / n_parts * unit;
        NAME(split)(x, n_features, rows + first, spare, bins, (end < n_rows ? end : n_rows) - first, tile_rows);
    }
}

/* Bring neighbours together among at most MAX_SPLIT_GROUPS groups.
 *   scratch   n_rows * (8 + size of a row) bytes */
static void NAME(order_by_splits)(void *any_x, size_t n_rows, size_t n_features, size_t tile_rows, int32_t *order,
                                  double *weights, void *scratch)
{
    REAL *x = any_x;
    uint32_t *rows = scratch, *spare = rows + n_rows;
    void *copy = spare + n_rows;
    for (size_t i = 0; i < n_rows; i++)
        rows[i] = (uint32_t)i;
    NAME(split)(x, n_features, rows, spare, copy, n_rows, tile_rows);
    REAL *old_x = copy;
    memcpy(old_x, x, n_rows * n_features * sizeof(REAL));
    for (size_t i = 0; i < n_rows; i++)
        for (size_t f = 0; f < n_features; f++)
            x[i * n_features + f] = old_x[rows[i] * n_features + f];
    memcpy(spare, order, n_rows * sizeof(int32_t));
    for (size_t i = 0; i < n_rows; i++)
        order[i] = (int32_t)spare[rows[i]];
    for (size_t half = 0; half < 2 && weights; half++) { /* scratch for a row of one float32 holds half a weight */
        for (size_t i = 0; i < n_rows; i++)
            memcpy(spare + i, (const char *)(weights + i) + half * sizeof(uint32_t), sizeof(uint32_t));
        for (size_t i = 0; i < n_rows; i++)
            memcpy((char *)(weights + i) + half * sizeof(uint32_t), spare + rows[i], sizeof(uint32_t));
    }
}

/* Bounds and sums of one tile; several rows side by side, folded at the end. */
static void NAME(describe_tile)(const REAL *x, size_t n_rows, size_t n_features, const double *weights, sum_grid grid,
                                double *lowest, double *highest, double *sums)
{
    const size_t width = TILE_WIDTH / n_features * n_features, n_values = n_rows * n_features;
    double low[TILE_WIDTH], high[TILE_WIDTH], coarse_sum[TILE_WIDTH], fine_sum[TILE_WIDTH];
    double coarse[TILE_WIDTH], fine[TILE_WIDTH];
    for (size_t i = 0; i < width; i++) {
        low[i] = HUGE_VAL;
        high[i] = -HUGE_VAL;
        coarse_sum[i] = fine_sum[i] = 0.0;
        coarse[i] = grid.coarse[i % n_features];
        fine[i] = grid.fine[i % n_features];
    }
    for (size_t first = 0; first < n_values; first += width) {
        const size_t count = n_values - first < width ? n_values - first : width;
        for (size_t i = 0; i < count; i++) {
            const double value = (double)x[first + i];
            const double coarse_part = (value + coarse[i]) - coarse[i], rest = value - coarse_part;
            low[i] = value < low[i] ? value : low[i];
            high[i] = value > high[i] ? value : high[i];
            coarse_sum[i] += coarse_part;
            fine_sum[i] += (rest + fine[i]) - fine[i];
        }
    }
    for (size_t i = 0; i < 2 * (n_features + 1); i++)
        sums[i] = 0.0;
    for (size_t f = 0; f < n_features; f++) {
        lowest[f] = HUGE_VAL;
        highest[f] = -HUGE_VAL;
        for (size_t i = f; i < width; i += n_features) {
            lowest[f] = low[i] < lowest[f] ? low[i] : lowest[f];
            highest[f] = high[i] > highest[f] ? high[i] : highest[f];
            sums[f] += coarse_sum[i];
            sums[n_features + 1 + f] += fine_sum[i];
        }
    }
    if (weights) {
        for (size_t i = 0; i < 2 * (n_features + 1); i++)
            sums[i] = 0.0;
        for (size_t i = 0; i < n_rows; i++)
            NAME(add_sample)(x + i * n_features, n_features, weights[i], grid, sums);
        return;
    }
    /* The sum of equal weights is a multiple, without rounding. */
    const value_parts parts = split_value(1.0, grid.coarse[n_features], grid.fine[n_features]);
    sums[n_features] = (double)n_rows * parts.coarse;
    sums[2 * n_features + 1] = (double)n_rows * parts.fine;
}

/* The rows of a tile from the row with this number on.   wide   scratch [n_rows][n_features] reals */
static inline const REAL *NAME(rows_of_tile)(const tiling *tiles, size_t row, size_t n_rows, REAL *wide)
{
    if (!tiles->stored)
        return (const REAL *)tiles->x + row * tiles->n_features;
    NAME(widen)(tiles->stored, row, n_rows, wide);
    return wide;
}

/* Boxes and sums of the tiles of group g, and the box of the group. */
static void NAME(describe_group)(const tiling *tiles, size_t g, const double *weights, sum_grid grid)
{
    const size_t n_features = tiles->n_features, box = 2 * n_features + 2;
    double group_low[MAX_TILED_FEATURES], group_high[MAX_TILED_FEATURES];
    double low[MAX_TILED_FEATURES], high[MAX_TILED_FEATURES];
    REAL wide[MAX_TILE_ROWS * MAX_TILED_FEATURES];
    const size_t first_row = g * GROUP_TILES * tiles->tile_rows;
    for (size_t f = 0; f < n_features; f++) {
        group_low[f] = HUGE_VAL;
        group_high[f] = -HUGE_VAL;
    }
    for (size_t t = g * GROUP_TILES, row = first_row; t < (g + 1) * GROUP_TILES && row < tiles->n_samples;
         t++, row += tiles->tile_rows) {
        const size_t left = tiles->n_samples - row, n_rows = left < tiles->tile_rows ? left : tiles->tile_rows;
        const REAL *x = NAME(rows_of_tile)(tiles, row, n_rows, wide);
        double *tile_box = tiles->boxes + t * box, *radius = tile_box + 2 * n_features;
        NAME(describe_tile)(x, n_rows, n_features, weights ? weights + row : NULL, grid, low, high,
                            tiles->sums + t * 2 * (n_features + 1));
        enclose(low, high, n_features, tile_box);
        double most = 0.0;
        for (size_t i = 0; i < n_rows && n_features >= BALL_FEATURES; i++) {
            const double sq = NAME(sq_distance)(x + i * n_features, tile_box, n_features);
            most = sq > most ? sq : most;
        }
        if (n_features >= BALL_FEATURES)
            *radius = sqrt(most + BOX_TINY) * BOX_ROUND_UP;
        for (size_t f = 0; f < n_features; f++) {
            group_low[f] = low[f] < group_low[f] ? low[f] : group_low[f];
            group_high[f] = high[f] > group_high[f] ? high[f] : group_high[f];
        }
    }
    enclose(group_low, group_high, n_features, tiles->group_boxes + g * box);
}

/* Follow the labels of a tile as `follow` does. Most samples of a tile that change move between the same two clusters:
 * their sum is added up first, in registers if n_features is a constant. */
FORCE_INLINE size_t NAME(follow_ways)(const REAL *x, size_t n_rows, size_t n_features, const double *weights,
                                      const int32_t *new_labels, int32_t *old_labels, sum_grid grid, double *sums,
                                      uint8_t *touched)
{
    const size_t length = 2 * (n_features + 1);
    uint16_t changed[FOLLOW_ROWS + 1];
    double moving[2 * (MAX_TILED_FEATURES + 1)];
    size_t n_changed = 0;
    for (size_t first = 0; first < n_rows; first += FOLLOW_ROWS) {
        const size_t count = n_rows - first < FOLLOW_ROWS ? n_rows - first : FOLLOW_ROWS;
        const size_t n_listed = list_changes(old_labels + first, new_labels + first, count, changed);
        n_changed += n_listed;
        for (size_t c = 0; c < n_listed;) {
            const int32_t from = old_labels[first + changed[c]], to = new_labels[first + changed[c]];
            for (size_t i = 0; i < length; i++)
                moving[i] = 0.0;
            for (; c < n_listed; c++) {
                const size_t i = first + changed[c];
                if (old_labels[i] != from || new_labels[i] != to)
                    break;
                old_labels[i] = to;
                NAME(add_sample)(x + i * n_features, n_features, weights ? weights[i] : 1.0, grid, moving);
            }
            shift_sums(moving, -1.0, length, sums + (size_t)from * length);
            shift_sums(moving, 1.0, length, sums + (size_t)to * length);
            touched[from] = touched[to] = 1;
        }
    }
    return n_changed;
}

static size_t NAME(follow_tile)(const REAL *x, size_t n_rows, size_t n_features, const double *weights,
                                const int32_t *new_labels, int32_t *old_labels, sum_grid grid, double *sums,
                                uint8_t *touched)
{
#define FOLLOW(features) NAME(follow_ways)(x, n_rows, features, weights, new_labels, old_labels, grid, sums, touched)
    return n_features == 2 ? FOLLOW(2) : n_features == 3 ? FOLLOW(3) : FOLLOW(n_features);
#undef FOLLOW
}

/* Give all samples of a tile to one cluster. A tile that was in it as a whole needs nothing. */
static void NAME(own_tile)(const tiling *tiles, size_t t, int32_t label, const double *weights, sum_grid grid,
                           const group_scratch *scratch, double *sums, uint8_t *touched, size_t *counts)
{
    int32_t *labels = scratch->labels;
    const size_t n_features = tiles->n_features, length = 2 * (n_features + 1), row = t * tiles->tile_rows;
    const size_t left = tiles->n_samples - row, n_rows = left < tiles->tile_rows ? left : tiles->tile_rows;
    const int32_t before = tiles->owners[t];
    if (before == label)
        return;
    tiles->owners[t] = label;
    if (before == TILE_MIXED) {
        for (size_t i = 0; i < n_rows; i++)
            labels[i] = label;
        const REAL *x = NAME(rows_of_tile)(tiles, row, n_rows, scratch->wide);
        counts[TILES_CHANGED] += NAME(follow_tile)(x, n_rows, n_features, weights ? weights + row : NULL, labels,
                                                   tiles->labels + row, grid, sums, touched);
        return;
    }
    if (before >= 0) {
        shift_sums(tiles->sums + t * length, -1.0, length, sums + (size_t)before * length);
        touched[before] = 1;
    }
    shift_sums(tiles->sums + t * length, 1.0, length, sums + (size_t)label * length);
    touched[label] = 1;
    counts[TILES_CHANGED] += n_rows;
}

/* How samples of a group become float32: moved by its middle, its widest side scaled to about 1. So scores and their
 * rounding are small, and few samples need float64. The frame is the same in every step, because `lanes` are kept. Only
 * the offset, its scale and the bounds of rounding are set, see pack_centers.
 *   offset32, offset64   OUT [MAX_TILED_FEATURES + LANES], kept by the frame */
static void NAME(group_frame)(const double *group_box, size_t n_features, float *offset32, double *offset64,
                              packed_centers *frame)
{
    double widest = 0.0;
    for (size_t f = 0; f < MAX_TILED_FEATURES + LANES; f++) {
        const double middle = f < n_features ? group_box[f] : 0.0;
        offset32[f] = (float)middle;
        offset64[f] = sizeof(REAL) == sizeof(float) ? (double)offset32[f] : middle;
    }
    for (size_t f = 0; f < n_features; f++)
        widest = group_box[n_features + f] > widest ? group_box[n_features + f] : widest;
    frame->n_features = n_features;
    frame->offset32 = offset32;
    frame->offset64 = offset64;
    frame->scale = power_of_two_for(widest, sizeof(REAL) == sizeof(float));
    rounding_bounds(frame, n_features);
}

/* Label a tile that lies between centers, sample by sample.
 *   frame   IN  group_frame
 * Every |x'| is at most |m - offset| + R, scaled; 1.000001 pays for the rounding of x' and of this bound. */
static void NAME(mix_tile)(const tiling *tiles, size_t t, const double *centers, const packed_centers *frame,
                           const double *weights, sum_grid grid, const group_scratch *scratch, size_t n_near,
                           double *sums, uint8_t *touched, size_t *counts)
{
    const size_t n_features = tiles->n_features, row = t * tiles->tile_rows;
    const size_t left = tiles->n_samples - row, n_rows = left < tiles->tile_rows ? left : tiles->tile_rows;
    const REAL *x = NAME(rows_of_tile)(tiles, row, n_rows, scratch->wide);
    const double *box = tiles->boxes + t * (2 * n_features + 2);
    int32_t *old_labels = tiles->labels + row, *labels = scratch->labels;
    const int32_t before = tiles->owners[t];
    /* A tile gets its place when it is first mixed: places for all tiles would touch memory for all. */
    const int is_new = tiles->stored || tiles->in_lanes[t] == 0;
    float *lanes = scratch->lanes;
    if (!tiles->stored) {
        if (is_new)
            tiles->in_lanes[t] = __atomic_add_fetch(tiles->n_in_lanes, 1, __ATOMIC_RELAXED);
        lanes = tiles->lanes + (size_t)(tiles->in_lanes[t] - 1) * tiles->tile_rows * n_features;
    }
    if (is_new) {
        const block_scratch block = {.tiles = lanes, .norms = scratch->unused_norms, .rows = scratch->rows};
        NAME(pack_block)(x, n_rows, tiles->stored ? n_rows : left, frame, block);
    }
    if (before >= 0)
        for (size_t i = 0; i < n_rows; i++)
            old_labels[i] = before;
    tiles->owners[t] = TILE_MIXED;

    double sq_away = 0.0;
    float center_norm = 0.0f;
    for (size_t f = 0; f < n_features; f++)
        sq_away += (box[f] - frame->offset64[f]) * (box[f] - frame->offset64[f]);
    for (size_t i = 0; i < n_near; i++) {
        const float norm = scratch->norms[scratch->of_tile[i]];
        center_norm = norm > center_norm ? norm : center_norm;
    }
    const float norm = (float)((sqrt(sq_away) + box[2 * n_features]) * frame->scale * 1.000001);
    const vec error =
        score_error(frame, v_splat(0.5f * center_norm * center_norm), v_splat(norm), v_splat(center_norm));
    const vec enough = v_mul(v_splat(2.0f), error);
    for (size_t first = 0; first < n_rows; first += TILE_SAMPLES) {
        tile_state state;
        const size_t count = n_rows - first < TILE_SAMPLES ? n_rows - first : TILE_SAMPLES;
        score_listed(lanes + first * n_features, scratch->panel, scratch->of_tile, scratch->of_group, n_near, &state,
                     n_features);
        memcpy(labels + first, state.label, TILE_SAMPLES * sizeof(int32_t));
        for (int v = 0; v < TILE_VECS; v++) {
            const vec gap = v_sub(v_load(state.second + v * LANES), v_load(state.best + v * LANES));
            for (uint32_t bits = ~v_bits(v_less(enough, gap)) & ALL_LANES; bits; bits &= bits - 1) {
                const size_t s = (size_t)(v * LANES + __builtin_ctz(bits));
                if (s >= count)
                    break;
                double nearest_sq = HUGE_VAL;
                labels[first + s] = scratch->of_group[scratch->of_tile[0]];
                for (size_t i = 0; i < n_near; i++) {
                    const int32_t j = scratch->of_group[scratch->of_tile[i]];
                    const double sq =
                        NAME(sq_distance)(x + (first + s) * n_features, centers + (size_t)j * n_features, n_features);
                    if (sq < nearest_sq) {
                        nearest_sq = sq;
                        labels[first + s] = j;
                    }
                }
                counts[TILES_DECIDED]++;
            }
        }
    }
    if (before == TILE_FRESH) { /* add the whole tile to one cluster, then move those samples that belong elsewhere */
        const size_t length = 2 * (n_features + 1);
        const int32_t label = labels[n_rows / 2];
        shift_sums(tiles->sums + t * length, 1.0, length, sums + (size_t)label * length);
        touched[label] = 1;
        for (size_t i = 0; i < n_rows; i++)
            old_labels[i] = label;
    }
    const size_t n_changed = NAME(follow_tile)(x, n_rows, n_features, weights ? weights + row : NULL, labels,
                                               old_labels, grid, sums, touched);
    counts[TILES_CHANGED] += before == TILE_FRESH ? n_rows : n_changed;
    counts[TILES_MIXED_ROWS] += n_rows;
    counts[TILES_SCORED] += n_rows * n_near;
}

static void NAME(step_group)(const tiling *tiles, size_t g, const double *centers, const double *columns,
                             size_t n_clusters, const double *weights, sum_grid grid, void *memory, double *sums,
                             uint8_t *touched, size_t *counts)
{
    const size_t n_features = tiles->n_features, box = 2 * n_features + 2;
    const size_t n_tiles = (tiles->n_samples + tiles->tile_rows - 1) / tiles->tile_rows;
    const size_t first = g * GROUP_TILES, end = first + GROUP_TILES < n_tiles ? first + GROUP_TILES : n_tiles;
    arena parts = arena_in(memory);
    const group_scratch scratch = divide_group_scratch(&parts, n_clusters, n_features);
    const double *group_box = tiles->group_boxes + g * box;
    const size_t n_group = near_box(columns, padded_columns(n_clusters), n_clusters, n_features, group_box,
                                    scratch.sq_distances, scratch.of_group);
    packed_centers frame = {0};
    float offset32[MAX_TILED_FEATURES + LANES];
    double offset64[MAX_TILED_FEATURES + LANES];
    int is_framed = 0;
    counts[TILES_TESTED] += n_clusters;
    if (n_group > 1)
        center_columns(centers, scratch.of_group, n_group, n_features, scratch.columns);
    for (size_t t = first; t < end; t++) {
        size_t n_near = 1;
        scratch.of_tile[0] = 0;
        if (n_group > 1) {
            n_near = near_box(scratch.columns, padded_columns(n_group), n_group, n_features, tiles->boxes + t * box,
                              scratch.sq_distances, scratch.of_tile);
            counts[TILES_TESTED] += n_group;
        }
        if (n_near == 1) {
            NAME(own_tile)(tiles, t, scratch.of_group[scratch.of_tile[0]], weights, grid, &scratch, sums, touched,
                           counts);
            continue;
        }
        if (!is_framed) {
            NAME(group_frame)(group_box, n_features, offset32, offset64, &frame);
            frame_centers(centers, &scratch, n_group, &frame);
            is_framed = 1;
        }
        NAME(mix_tile)(tiles, t, centers, &frame, weights, grid, &scratch, n_near, sums, touched, counts);
    }
}

/* The register tile: scores of TILE_SAMPLES samples against centers, folded into the best two.
 *
 * Scores never leave the registers but through `fold`, so no n x k array exists anywhere.
 */

/* Best and second-best score of the samples of a tile, and which center is best. */
typedef struct {
    float best[TILE_SAMPLES];
    float second[TILE_SAMPLES];
    int32_t label[TILE_SAMPLES];
} tile_state;

/* Fold the score of center j into the best two. Strict comparison and ascending j: a tie keeps the lowest index. */
FORCE_INLINE void fold(vec score, int32_t j, vec *best, vec *second, vint *label)
{
    const vmask closer = v_less(score, *best);
    *second = v_min(*second, v_max(score, *best));
    *label = vi_pick(closer, vi_splat(j), *label);
    *best = v_min(score, *best);
}

/* Subtract the products of a tile and a panel from the sums: the hot loop of everything that scores. Per feature
 * TILE_VECS loads, count broadcasts, TILE_VECS * count multiply-adds, and the sums stay in registers once this is
 * inlined.
 *   tile     IN     [n_features][TILE_SAMPLES]
 *   panel    IN     [n_features][count], rows `stride` apart
 *   sum      INOUT  [TILE_VECS][count] */
FORCE_INLINE void subtract_products(const float *tile, const float *panel, size_t stride, size_t n_features,
                                    vec (*sum)[TILE_CENTERS], const int count)
{
    for (size_t f = 0; f < n_features; f++, panel += stride, tile += TILE_SAMPLES) {
        vec x[TILE_VECS];
#pragma GCC unroll 2
        for (int v = 0; v < TILE_VECS; v++)
            x[v] = v_load(tile + v * LANES);
#pragma GCC unroll 16
        for (int j = 0; j < count; j++) {
            const vec c = v_splat(panel[j]);
#pragma GCC unroll 2
            for (int v = 0; v < TILE_VECS; v++)
                sum[v][j] = v_fnmadd(sum[v][j], x[v], c);
        }
    }
}

/* The first `count` centers of a panel, any number of features; count is a constant wherever this is inlined.
 *   tile    IN     [n_features][TILE_SAMPLES]
 *   panel   IN     [1 + n_features][TILE_CENTERS]
 *   first   index of the panel's first center
 *   state   INOUT */
FORCE_INLINE void score_centers(const float *tile, const float *panel, size_t n_features, int32_t first,
                                tile_state *state, const int count)
{
    vec sum[TILE_VECS][TILE_CENTERS];
#pragma GCC unroll 16
    for (int j = 0; j < count; j++)
#pragma GCC unroll 2
        for (int v = 0; v < TILE_VECS; v++)
            sum[v][j] = v_splat(panel[j]);
    subtract_products(tile, panel + TILE_CENTERS, TILE_CENTERS, n_features, sum, count);
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

/* A whole panel: where large problems spend their time. */
static void score_panel(const float *tile, const float *panel, size_t n_features, int32_t first, tile_state *state)
{
    score_centers(tile, panel, n_features, first, state, TILE_CENTERS);
}

/* The last panel, of which `count` centers are real. Widths in steps of two waste at most one center; the padding of a
 * whole panel would waste up to TILE_CENTERS - 1 (three quarters of the work at 16 centers). */
static void score_last_panel(const float *tile, const float *panel, size_t n_features, int32_t first, tile_state *state,
                             size_t count)
{
#define LAST_PANEL(width)                                                                                      \
    if (count <= (width) && (width) < TILE_CENTERS) {                                                          \
        score_centers(tile, panel, n_features, first, state, (width) < TILE_CENTERS ? (width) : TILE_CENTERS); \
        return;                                                                                                \
    }
    LAST_PANEL(2)
    LAST_PANEL(4)
    LAST_PANEL(6)
    LAST_PANEL(8)
    LAST_PANEL(10)
    LAST_PANEL(12)
    score_panel(tile, panel, n_features, first, state);
#undef LAST_PANEL
}

/* All centers for few features: the samples stay in registers, centers stream by.
 * 2 * n_features samples + 2 * 3 state + 1 score + 1 broadcast = 24 of 32 registers at 8 features. */
FORCE_INLINE void score_all_narrow(const float *tile, const packed_centers *packed, tile_state *state,
                                   const int n_features)
{
    vec x[TILE_VECS][8], best[TILE_VECS], second[TILE_VECS];
    vint label[TILE_VECS];
#pragma GCC unroll 2
    for (int v = 0; v < TILE_VECS; v++) {
#pragma GCC unroll 8
        for (int f = 0; f < n_features; f++)
            x[v][f] = v_load(tile + f * TILE_SAMPLES + v * LANES);
        best[v] = second[v] = v_splat(HUGE_VALF);
        label[v] = vi_splat(0);
    }
    const float *panel = packed->panels;
    for (size_t first = 0; first < packed->n_clusters;
         first += TILE_CENTERS, panel += (1 + n_features) * TILE_CENTERS) {
        const size_t left = packed->n_clusters - first;
        const int count = left < TILE_CENTERS ? (int)left : TILE_CENTERS;
        for (int j = 0; j < count; j++)
#pragma GCC unroll 2
            for (int v = 0; v < TILE_VECS; v++) {
                vec score = v_splat(panel[j]);
#pragma GCC unroll 8
                for (int f = 0; f < n_features; f++)
                    score = v_fnmadd(score, x[v][f], v_splat(panel[(1 + f) * TILE_CENTERS + j]));
                fold(score, (int32_t)first + j, &best[v], &second[v], &label[v]);
            }
    }
#pragma GCC unroll 2
    for (int v = 0; v < TILE_VECS; v++) {
        v_store(state->best + v * LANES, best[v]);
        v_store(state->second + v * LANES, second[v]);
        vi_store(state->label + v * LANES, label[v]);
    }
}

#define NARROW_FEATURES 8

static void score_narrow(const float *tile, const packed_centers *packed, tile_state *state)
{
    switch (packed->n_features) {
    case 1: score_all_narrow(tile, packed, state, 1); break;
    case 2: score_all_narrow(tile, packed, state, 2); break;
    case 3: score_all_narrow(tile, packed, state, 3); break;
    case 4: score_all_narrow(tile, packed, state, 4); break;
    case 5: score_all_narrow(tile, packed, state, 5); break;
    case 6: score_all_narrow(tile, packed, state, 6); break;
    case 7: score_all_narrow(tile, packed, state, 7); break;
    default: score_all_narrow(tile, packed, state, 8); break;
    }
}

/* All tiles of a block against all centers, panel by panel: a panel stays in the first-level cache while the
 * tiles of the block stream in from the second-level cache. */
static void score_tiles(const float *tiles, size_t n_tiles, const packed_centers *packed, tile_state *states)
{
    const size_t n_features = packed->n_features;
    if (n_features <= NARROW_FEATURES) {
        for (size_t t = 0; t < n_tiles; t++)
            score_narrow(tiles + t * n_features * TILE_SAMPLES, packed, states + t);
        return;
    }
    for (size_t t = 0; t < n_tiles; t++)
        for (int s = 0; s < TILE_SAMPLES; s++) {
            states[t].best[s] = states[t].second[s] = HUGE_VALF;
            states[t].label[s] = 0;
        }
    for (size_t p = 0; p < packed->n_panels; p++)
        for (size_t t = 0; t < n_tiles; t++) {
            const float *tile = tiles + t * n_features * TILE_SAMPLES;
            const float *panel = packed->panels + p * (1 + n_features) * TILE_CENTERS;
            const size_t first = p * TILE_CENTERS, left = packed->n_clusters - first;
            if (left >= TILE_CENTERS)
                score_panel(tile, panel, n_features, (int32_t)first, states + t);
            else
                score_last_panel(tile, panel, n_features, (int32_t)first, states + t, left);
        }
}

/* Scores of one sample against RESCORE_PANELS panels from panel `first` on (fewer at the end): here centers are
 * lanes, which wastes the padding of a panel but needs no other samples.
 *   lane     IN  a column of a tile, stride TILE_SAMPLES
 *   scores   OUT at [first * TILE_CENTERS], and up to LANES more that the next call overwrites
 * 4 panels x 1..3 vectors of sums, enough chains to hide the latency of a multiply-add. */
#define RESCORE_PANELS 4
#define PANEL_VECS ((TILE_CENTERS + LANES - 1) / LANES)

static void rescore(const float *lane, const packed_centers *packed, size_t first, float *scores)
{
    const size_t n_features = packed->n_features, panel_size = (1 + n_features) * TILE_CENTERS;
    const float *panel[RESCORE_PANELS];
    vec sum[RESCORE_PANELS][PANEL_VECS];
#pragma GCC unroll 4
    for (int p = 0; p < RESCORE_PANELS; p++) {
        const size_t last = packed->n_panels - 1;
        panel[p] = packed->panels + (first + p < last ? first + p : last) * panel_size;
#pragma GCC unroll 4
        for (int v = 0; v < PANEL_VECS; v++)
            sum[p][v] = v_load(panel[p] + v * LANES);
    }
    for (size_t f = 0; f < n_features; f++) {
        const vec x = v_splat(lane[f * TILE_SAMPLES]);
#pragma GCC unroll 4
        for (int p = 0; p < RESCORE_PANELS; p++)
#pragma GCC unroll 4
            for (int v = 0; v < PANEL_VECS; v++)
                sum[p][v] = v_fnmadd(sum[p][v], x, v_load(panel[p] + (1 + f) * TILE_CENTERS + v * LANES));
    }
    for (int p = 0; p < RESCORE_PANELS && first + p < packed->n_panels; p++)
        for (int v = 0; v < PANEL_VECS; v++)
            v_store(scores + (first + p) * TILE_CENTERS + v * LANES, sum[p][v]);
}

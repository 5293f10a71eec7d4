/* The prefix filter over samples (prefix.h). Included once per real type. */

/* Codes of the samples of a block.   codes  OUT whole tiles, prefix_tile_bytes each */
static void NAME(prefix_encode)(const void *any_x, size_t n_samples, size_t n_readable, const void *memory,
                                void *scratch_memory, void *codes)
{
    const REAL *x = any_x;
    const prefix *p = memory;
    const prefix_scratch scratch = divide_prefix_scratch(scratch_memory, p);
    const size_t tile_bytes = prefix_tile_bytes(p->frame.n_clusters);
    for (size_t first = 0; first < n_samples; first += TILE_SAMPLES) {
        const size_t left = n_samples - first < TILE_SAMPLES ? n_samples - first : TILE_SAMPLES;
        NAME(pack_block)(x + first * p->frame.n_features, left, n_readable - first, &p->frame, scratch.pack);
        encode_tile(p, scratch, (char *)codes + first / TILE_SAMPLES * tile_bytes);
    }
}

/* Rows of a run of samples, counted from its first one. Rows that the caller stores otherwise are laid out when they
 * are first read: most are not read at all.
 *   x        IN [n_samples][n_features]; with `stored` scratch
 *   first    number of the first row in `stored`     ready   INOUT [n_samples], whether a row is laid out */
typedef struct {
    const REAL *x;
    size_t n_features;
    const stored_rows *stored;
    size_t first;
    uint8_t *ready;
} NAME(run_of_rows);

static inline const REAL *NAME(row_of_run)(const NAME(run_of_rows) *rows, size_t i)
{
    const REAL *row = rows->x + i * rows->n_features;
    if (rows->stored && !rows->ready[i]) {
        NAME(widen)(rows->stored, rows->first + i, 1, (void *)(uintptr_t)row);
        rows->ready[i] = 1;
    }
    return row;
}

/* Bring a row closer that will be read: to the second-level cache, because a tile of rows overfills the first. */
static inline void NAME(prefetch_row)(const NAME(run_of_rows) *rows, size_t i)
{
    const char *row = (const char *)(rows->x + i * rows->n_features);
    size_t bytes = rows->n_features * sizeof(REAL);
    if (rows->stored) {
        const size_t place = rows->first + i;
        const int64_t number = rows->stored->numbers ? rows->stored->numbers[place] : (int64_t)place;
        row = rows->stored->values + number * rows->stored->row_stride;
        bytes = rows->n_features * stored_bytes[rows->stored->kind];
    }
    for (size_t byte = 0; byte < bytes; byte += 64)
        __builtin_prefetch(row + byte, 0, 2);
}

/* Score |c'|^2 / 2 - x'.c' of a stored row and center j, with a dot product in float32. */
static double NAME(prefix_score)(const prefix *p, const REAL *x, size_t j)
{
    const size_t n_features = p->frame.n_features;
    const REAL *offset = p->frame.OFFSET, scale = (REAL)p->frame.scale;
    const float *c = p->rows + j * n_features;
    vec sum[4] = {v_splat(0.0f), v_splat(0.0f), v_splat(0.0f), v_splat(0.0f)};
    size_t f = 0;
    for (; f + 4 * LANES <= n_features; f += 4 * LANES)
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++)
            sum[i] = v_fnmadd(sum[i], V_LOAD_REAL(x + f + i * LANES, offset + f + i * LANES, scale),
                              v_load(c + f + i * LANES));
    for (; f + LANES <= n_features; f += LANES)
        sum[0] = v_fnmadd(sum[0], V_LOAD_REAL(x + f, offset + f, scale), v_load(c + f));
    float lanes[LANES], score;
    v_store(lanes, v_add(v_add(sum[0], sum[1]), v_add(sum[2], sum[3])));
#pragma GCC unroll 4
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int i = 0; i < half; i++)
            lanes[i] += lanes[half + i];
    score = lanes[0];
    for (; f < n_features; f++)
        score -= (float)((x[f] - offset[f]) * scale) * c[f];
    return p->half_sq_norms[j] + (double)score;
}

/* Bounds of the score of a stored row and center j, as narrow as float32 allows. */
static prefix_best NAME(scored)(const prefix *p, const REAL *x, double norm, size_t j)
{
    const double score = NAME(prefix_score)(p, x, j), margin = score_margin(p, norm, j);
    return (prefix_best){score - margin, score + margin, -1.0, (int32_t)j};
}

/* Compare center j, which the codes could not exclude, with the best so far.   Returns whether it needed float64. */
static int NAME(prefix_compare)(const prefix *p, const double *centers, const REAL *x, double norm, size_t j,
                                prefix_best *best)
{
    const size_t n_features = p->frame.n_features;
    const prefix_best other = NAME(scored)(p, x, norm, j);
    if (other.lower > best->upper)
        return 0;
    if (other.upper < best->lower) {
        *best = other;
        return 0;
    }
    if (best->sq_distance < 0.0)
        best->sq_distance = NAME(sq_distance)(x, centers + (size_t)best->label * n_features, n_features);
    const double sq_distance = NAME(sq_distance)(x, centers + j * n_features, n_features);
    /* The score of the nearer one exceeds neither upper bound. */
    best->upper = fmin(best->upper, other.upper);
    if (sq_distance < best->sq_distance || (sq_distance == best->sq_distance && (int32_t)j < best->label)) {
        best->lower = other.lower;
        best->sq_distance = sq_distance;
        best->label = (int32_t)j;
    }
    return 1;
}

/* Exclude centers by codes, panel by panel, and compare what remains with the best so far. Meanwhile rows of the next
 * tile are prefetched.
 *   n_next       how many of them; their ids follow those of this tile
 *   known_sums   IN those of guess_labels, or NULL */
static void NAME(filter_tile)(const prefix *p, const center_panels *panels, const double *centers,
                              const NAME(run_of_rows) *rows, prefix_tile *tile, size_t n_next, const code *known_sums,
                              size_t *counts)
{
    const float *row = tile->row, *inverse = row + ROW_INVERSE_STEP * TILE_SAMPLES;
    const float *norms = row + ROW_NORM * TILE_SAMPLES;
    prefix_best *best = tile->best;
    code sums[TILE_CENTERS * TILE_SAMPLES] __attribute__((aligned(64)));
    uint32_t kept[TILE_CENTERS], in_float64 = 0;
    float limits[TILE_SAMPLES];
    for (size_t s = 0; s < tile->left; s++)
        limits[s] = limit_of(p, &best[s], norms[s], inverse[s]);
    for (size_t s = tile->left; s < TILE_SAMPLES; s++)
        limits[s] = HUGE_VALF;
    const size_t rows_a_panel = n_next / panels->n_panels + 1;
    size_t fetched = 0;
    for (size_t q = 0; q < panels->n_panels; q++) {
        for (const size_t until = fetched + rows_a_panel; fetched < until && fetched < n_next; fetched++)
            NAME(prefetch_row)(rows, tile->ids[tile->left + fetched]);
        const code *panel_sums = known_sums ? known_sums + q * TILE_CENTERS * TILE_SAMPLES : sums;
        if (!known_sums)
            dot_panel((const code *)(row + ROW_TERMS * TILE_SAMPLES),
                      panels->codes + q * (1 + p->n_codes) * TILE_CENTERS, p->n_codes, sums);
        const float *terms = panels->terms + q * CENTER_TERMS * TILE_CENTERS, *rests = panels->rests + 2 * q;
        uint32_t any = prune_panel(panel_sums, terms, rests, row, limits, kept);
        const uint32_t loose = any ? other_pairs(tile, panels->index + q * TILE_CENTERS, any, kept) & tile->loose : 0;
        if (loose) {
            for (uint32_t bits = loose; bits; bits &= bits - 1) {
                const size_t s = (size_t)__builtin_ctz(bits);
                best[s] = NAME(scored)(p, NAME(row_of_run)(rows, tile->ids[s]), norms[s], (size_t)best[s].label);
                limits[s] = limit_of(p, &best[s], norms[s], inverse[s]);
            }
            tile->loose &= ~loose;
            any = prune_panel(panel_sums, terms, rests, row, limits, kept);
        }
        for (; any; any &= any - 1) {
            const size_t e = (size_t)__builtin_ctz(any);
            const int32_t j = panels->index[q * TILE_CENTERS + e];
            for (uint32_t bits = kept[e]; bits && j >= 0; bits &= bits - 1) {
                const size_t s = (size_t)__builtin_ctz(bits);
                if (s >= tile->left)
                    break;
                if (best[s].label == j)
                    continue;
                if (NAME(prefix_compare)(p, centers, NAME(row_of_run)(rows, tile->ids[s]), norms[s], (size_t)j,
                                         &best[s]))
                    in_float64 |= 1u << s;
                limits[s] = limit_of(p, &best[s], norms[s], inverse[s]);
                counts[0]++;
            }
        }
    }
    counts[1] += (size_t)__builtin_popcount(in_float64);
}

/* Which candidates may be closer to a sample than its seed is? As find_near, for seeding.
 *   memory     after prefix_take_samples
 *   to_units   factor from a scaled squared distance of the seeding to one of x'
 * |x' - c'|^2 / 2 is a score plus |x'|^2 / 2. The difference form of the seeding is off by n_features + 4 roundings of
 * REAL. */
static void NAME(find_near_coded)(const void *codes, size_t n_samples, const void *memory, double to_units,
                                  const void *any_min_sq, uint64_t *near)
{
    const REAL *min_sq = any_min_sq;
    const prefix *p = memory;
    const size_t tile_bytes = prefix_tile_bytes(p->frame.n_clusters);
    const double per_sq = to_units * (1.0 + 2.0 * (double)p->frame.gamma) * PAD;
    const char *tile = codes;
    code sums[TILE_CENTERS * TILE_SAMPLES] __attribute__((aligned(64)));
    uint32_t kept[TILE_CENTERS];
    float limits[TILE_SAMPLES];
    for (size_t first = 0; first < n_samples; first += TILE_SAMPLES, tile += tile_bytes) {
        const size_t left = n_samples - first < TILE_SAMPLES ? n_samples - first : TILE_SAMPLES;
        const uint32_t present = (uint32_t)((1ull << left) - 1);
        const float *row = (const float *)tile;
        for (size_t s = 0; s < TILE_SAMPLES; s++) {
            /* min_sq is readable to whole tiles. */
            const double norm = least_norm(p, row[ROW_NORM * TILE_SAMPLES + s]);
            const prefix_best seed = {.upper = 0.5 * ((double)min_sq[first + s] * per_sq - norm * norm)};
            limits[s] = limit_of(p, &seed, norm, row[ROW_INVERSE_STEP * TILE_SAMPLES + s]);
        }
        memset(near + first, 0, left * sizeof(uint64_t));
        for (size_t q = 0; q < p->all.n_panels; q++) {
            dot_panel((const code *)(row + ROW_TERMS * TILE_SAMPLES),
                      p->all.codes + q * (1 + p->n_codes) * TILE_CENTERS, p->n_codes, sums);
            uint32_t any = prune_panel(sums, p->all.terms + q * CENTER_TERMS * TILE_CENTERS, p->all.rests + 2 * q, row,
                                       limits, kept);
            for (; any; any &= any - 1) {
                const size_t e = (size_t)__builtin_ctz(any);
                for (uint32_t bits = kept[e] & present; bits; bits &= bits - 1)
                    near[first + (size_t)__builtin_ctz(bits)] |= 1ull << (q * TILE_CENTERS + e);
            }
        }
    }
}

/* Filter samples, tile by tile: those whose own center stood still by the centers that moved, others by all centers.
 *   ids   IN [n_samples], counted from the first row on */
static void NAME(filter_samples)(const prefix *p, int own_is_still, const double *centers,
                                 const NAME(run_of_rows) *rows, const char *codes, const uint16_t *ids,
                                 size_t n_samples, prefix_scratch scratch, int32_t *labels, double *bounds,
                                 size_t *counts)
{
    const center_panels *panels = own_is_still ? &p->moved : &p->all;
    const size_t tile_bytes = prefix_tile_bytes(p->frame.n_clusters);
    prefix_tile tile;
    for (size_t first = 0; first < n_samples && panels->n_panels; first += TILE_SAMPLES) {
        const size_t behind = n_samples - first;
        tile.left = behind < TILE_SAMPLES ? behind : TILE_SAMPLES;
        tile.ids = ids + first;
        tile.row = tile_of(tile.ids, tile.left, codes, tile_bytes, (float *)scratch.tile);
        const float *norms = tile.row + ROW_NORM * TILE_SAMPLES;
        const int is_first = labels[tile.ids[0]] < 0;
        int32_t start[TILE_SAMPLES];
        if (is_first)
            guess_labels(p, tile.row, start, scratch.sums);
        else
            for (size_t s = 0; s < tile.left; s++)
                start[s] = labels[tile.ids[s]];
        tile.loose = 0;
        for (size_t s = 0; s < tile.left; s++) {
            const size_t i = tile.ids[s], j = (size_t)start[s];
            prefix_best known = {bounds[2 * i], bounds[2 * i + 1], -1.0, start[s]};
            if (!is_first && (own_is_still || loosen(p, norms[s], j, &known.lower, &known.upper))) {
                tile.best[s] = known;
                tile.loose |= (uint32_t)(known.upper - known.lower > 3.0 * score_margin(p, norms[s], j)) << s;
            } else {
                tile.best[s] = NAME(scored)(p, NAME(row_of_run)(rows, i), norms[s], j);
            }
        }
        /* The next tile is much like this one: will its rows be read? */
        const int is_read = 2 * (size_t)__builtin_popcount(tile.loose) < tile.left && !own_is_still;
        const size_t n_next = !is_read ? 0 : behind - tile.left < TILE_SAMPLES ? behind - tile.left : TILE_SAMPLES;
        NAME(filter_tile)(p, panels, centers, rows, &tile, n_next, is_first ? scratch.sums : NULL, counts);
        for (size_t s = 0; s < tile.left; s++) {
            const size_t i = tile.ids[s];
            labels[i] = tile.best[s].label;
            bounds[2 * i] = tile.best[s].lower;
            bounds[2 * i + 1] = tile.best[s].upper;
        }
    }
}

/* Sort the samples by whether their own center stood still, then filter both kinds. */
static void NAME(prefix_assign)(const void *any_x, const stored_rows *stored, size_t first_stored, size_t n_samples,
                                const double *centers, const void *codes, const void *memory, void *scratch_memory,
                                int32_t *labels, double *bounds, size_t *counts)
{
    const REAL *x = any_x;
    const prefix *p = memory;
    const size_t tile_bytes = prefix_tile_bytes(p->frame.n_clusters);
    const prefix_scratch scratch = divide_prefix_scratch(scratch_memory, p);
    uint16_t still[SORTED_SAMPLES], others[SORTED_SAMPLES];
    for (size_t first = 0; first < n_samples; first += SORTED_SAMPLES) {
        const size_t count = n_samples - first < SORTED_SAMPLES ? n_samples - first : SORTED_SAMPLES;
        uint8_t ready[SORTED_SAMPLES] = {0};
        const NAME(run_of_rows) rows = {x + first * p->frame.n_features, p->frame.n_features, stored,
                                        first_stored + first, ready};
        const char *tiles = (const char *)codes + first / TILE_SAMPLES * tile_bytes;
        size_t n_still = 0, n_others = 0;
        for (size_t i = 0; i < count; i++) {
            const int32_t own = labels[first + i];
            const int is_still = p->is_partial && own >= 0 && !p->has_moved[own];
            still[n_still] = others[n_others] = (uint16_t)i;
            n_still += (size_t)is_still;
            n_others += (size_t)!is_still;
        }
        NAME(filter_samples)(p, 0, centers, &rows, tiles, others, n_others, scratch, labels + first, bounds + 2 * first,
                             counts);
        NAME(filter_samples)(p, 1, centers, &rows, tiles, still, n_still, scratch, labels + first, bounds + 2 * first,
                             counts);
    }
}

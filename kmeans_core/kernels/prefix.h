/* The prefix filter: which centers can be nearest, told from a few leading coordinates in low precision.
 *
 * Samples and centers are moved and scaled once for the whole fit: x', c'. Q holds orthonormal directions, nearly
 * (|Q'Q - 1| <= skew). Each row keeps codes i of its coordinates Q'x', with x' close to a Q i, and three measured
 * lengths in units of its step a:   n >= |i|,   b >= |Q'x' / a - i|,   r >= |x' / a - Q i|.   Then, for codes i and l,
 *     x'.c' = (Q a i + rest).(Q a l + rest) <= a_x a_c (i.l + n_x b_c + b_x n_c + r_x r_c),
 * by the inequality of Cauchy and Schwarz for each of the three products with a rest; b includes skew * n, because Q'Q
 * is not quite 1. So |c'|^2 / 2 minus this is a lower bound of a pair's score (kernels.h). A center whose lower bound
 * exceeds the upper bound of the best score so far is not the nearest. The others are scored in float32 and, where that
 * does not tell them apart, decided in float64: a label is the one that `assign` finds.
 *
 * Codes are bytes where the instruction set multiplies them, else float32 coordinates (vec.h, CODE_FEATURES). The
 * product i.l of bytes is not rounded; that of float32 is, which `summing` covers. Each number that is rounded is
 * widened by 2^-20 of its size (PAD): sixteen float32 roundings, where at most twelve occur. Comparisons are written so
 * that a NaN keeps a center.
 *
 * The bounds follow those of T. Bottesch, T. Bühler and M. Kächele, "Speeding up k-means by approximating Euclidean
 * distances via block vectors", ICML 2016, with int8 codes and measured rests.
 */
#define PAD (1.0 + 0x1p-20)
#define PROJECT_FEATURES 128 /* features of one float32 sum; short sums round less */
#define FAR_CENTER 1e15      /* centers with a larger |c'| are left to float64 */
#define STILL_SHARE 8 /* once one center in so many stood still, samples whose center stood still are sorted apart */
#define SORTED_SAMPLES 512 /* samples of a unit that are sorted at a time */
#define LOOSE_WIDTH 0.1 /* a row is read if the bounds of its own score are wider than this part of its sq. distance */

/* Lengths of a row beside its codes: a tile is [ROW_TERMS][TILE_SAMPLES] float32, then [n_codes][TILE_SAMPLES]. */
enum { ROW_INVERSE_STEP, ROW_N, ROW_B, ROW_R, ROW_NORM, ROW_TERMS };

/* The same of a center, times its step a_c: panels of [CENTER_TERMS][TILE_CENTERS]. */
enum { CENTER_MINUS_HALF_SQ, CENTER_STEP, CENTER_B, CENTER_N, CENTER_R, CENTER_TERMS };

/* Centers side by side for the filter: all, or those that moved since the last step. */
typedef struct {
    size_t n_panels;
    float *terms;   /* [n_panels][CENTER_TERMS][TILE_CENTERS] */
    float *rests;   /* [n_panels][2]: the largest b and n of a panel: they hardly differ, so a pair needs no own ones */
    code *codes;    /* [n_panels][1 + n_codes][TILE_CENTERS]: where the sum of codes starts, then the codes */
    int32_t *index; /* [n_panels][TILE_CENTERS]: which center; -1 for padding, which no bound keeps */
} center_panels;

typedef struct {
    packed_centers frame; /* offset and scale; its panels hold the directions */
    packed_centers still; /* the same without offset and scale, for rows of c' */
    size_t n_clusters, n_codes;
    double *known;         /* [n_clusters][n_features]: the centers that were packed last */
    float *rows;           /* [n_clusters][n_features]: c' */
    double *half_sq_norms; /* [n_clusters]: |c'|^2 / 2; NaN for a far center */
    double *norms;         /* [n_clusters]: |c'|, rounded up */
    double *shifts;        /* [n_clusters]: how far c' moved since the step before, rounded up; NaN at first */
    uint8_t *has_moved;    /* [n_clusters]: whether the last prefix_pack_centers found another center than `known` */
    center_panels all, moved;
    int is_partial;    /* whether enough centers stood still for `moved` to be used */
    int is_turned;     /* 0 where coordinates are the features: Q = 1 */
    double skew;       /* |Q'Q - 1| */
    double projection; /* rounding of Q'x', relative to |x'| */
    double summing;    /* rounding of sums over the codes, relative */
    double floor;      /* what underflow may take off |x'| */
} prefix;

static size_t prefix_n_codes(size_t n_directions) { return (n_directions + CODE_FEATURES - 1) / CODE_FEATURES; }

static size_t panels_of(size_t n) { return (n + TILE_CENTERS - 1) / TILE_CENTERS; }

static size_t center_panels_bytes(size_t n_panels, size_t n_codes)
{
    return aligned(n_panels * CENTER_TERMS * TILE_CENTERS * sizeof(float)) + aligned(n_panels * 2 * sizeof(float))
           + aligned(n_panels * (1 + n_codes) * TILE_CENTERS * sizeof(code))
           + aligned(n_panels * TILE_CENTERS * sizeof(int32_t));
}

static size_t prefix_bytes(size_t n_clusters, size_t n_features, size_t n_directions, int is_turned)
{
    const size_t n_codes = prefix_n_codes(n_directions), n_panels = panels_of(n_clusters);
    const size_t n_turned = is_turned ? panels_of(n_directions) : 0;
    return aligned(sizeof(prefix)) + aligned((n_features + LANES) * sizeof(double))
           + 2 * aligned((n_features + LANES) * sizeof(float))
           + aligned((n_turned * (1 + n_features) * TILE_CENTERS + LANES) * sizeof(float))
           + aligned(n_clusters * n_features * sizeof(double)) + aligned(n_clusters * n_features * sizeof(float))
           + 3 * aligned(n_clusters * sizeof(double)) + aligned(n_clusters)
           + 2 * center_panels_bytes(n_panels, n_codes);
}

/* Codes and lengths of one tile. */
static size_t prefix_tile_bytes(size_t n_directions)
{
    return (ROW_TERMS + prefix_n_codes(n_directions)) * TILE_SAMPLES * sizeof(float);
}

typedef struct {
    block_scratch pack;
    float *coordinates; /* [padded directions][TILE_SAMPLES]; what no direction fills stays 0 */
    char *tile;         /* one tile of codes */
    code *sums;         /* [n_panels][TILE_CENTERS][TILE_SAMPLES]: of a tile and all centers */
} prefix_scratch;

static size_t padded_directions(size_t n_directions) { return panels_of(n_directions) * TILE_CENTERS + CODE_FEATURES; }

static size_t prefix_scratch_bytes(size_t n_clusters, size_t n_features, size_t n_directions)
{
    return aligned(TILE_SAMPLES * n_features * sizeof(float)) + aligned(TILE_SAMPLES * sizeof(float))
           + aligned((TILE_SAMPLES * n_features + LANES) * sizeof(double))
           + aligned(padded_directions(n_directions) * TILE_SAMPLES * sizeof(float))
           + aligned(prefix_tile_bytes(n_directions))
           + panels_of(n_clusters) * TILE_CENTERS * TILE_SAMPLES * sizeof(code);
}

static prefix_scratch divide_prefix_scratch(void *memory, const prefix *p)
{
    const size_t n_features = p->frame.n_features;
    char *place = memory;
    prefix_scratch scratch;
    scratch.pack.tiles = (float *)place;
    place += aligned(TILE_SAMPLES * n_features * sizeof(float));
    scratch.pack.norms = (float *)place;
    place += aligned(TILE_SAMPLES * sizeof(float));
    scratch.pack.rows = place;
    place += aligned((TILE_SAMPLES * n_features + LANES) * sizeof(double));
    scratch.pack.states = NULL;
    scratch.pack.scores = NULL;
    scratch.coordinates = (float *)place;
    place += aligned(padded_directions(p->frame.n_clusters) * TILE_SAMPLES * sizeof(float));
    scratch.tile = place;
    place += aligned(prefix_tile_bytes(p->frame.n_clusters));
    scratch.sums = (code *)place;
    return scratch;
}

static double gamma_of(double roundings)
{
    const double unit = 0x1p-24 * roundings;
    return unit < 0.5 ? unit / (1.0 - unit) * 1.001 : HUGE_VAL;
}

/* Lay out n_panels panels of padding: no sample's bound keeps a center of minus infinity.   Returns the next byte. */
static char *start_panels(center_panels *panels, size_t n_panels, size_t n_codes, char *place)
{
    panels->n_panels = n_panels;
    panels->terms = (float *)place;
    place += aligned(n_panels * CENTER_TERMS * TILE_CENTERS * sizeof(float));
    panels->rests = (float *)place;
    place += aligned(n_panels * 2 * sizeof(float));
    panels->codes = (code *)place;
    place += aligned(n_panels * (1 + n_codes) * TILE_CENTERS * sizeof(code));
    panels->index = (int32_t *)place;
    for (size_t i = 0; i < n_panels * CENTER_TERMS * TILE_CENTERS; i++)
        panels->terms[i] = i / TILE_CENTERS % CENTER_TERMS == CENTER_MINUS_HALF_SQ ? -HUGE_VALF : 0.0f;
    memset(panels->codes, 0, n_panels * (1 + n_codes) * TILE_CENTERS * sizeof(code));
    for (size_t i = 0; i < n_panels * TILE_CENTERS; i++)
        panels->index[i] = -1;
    return place + aligned(n_panels * TILE_CENTERS * sizeof(int32_t));
}

static void prefix_start(const float *directions, size_t n_directions, double skew, const double *offset, double scale,
                         size_t n_clusters, size_t n_features, int samples_are_float32, void *memory)
{
    prefix *p = memory;
    packed_centers *frame = &p->frame;
    char *place = (char *)memory + aligned(sizeof(prefix));
    memset(p, 0, sizeof *p);
    p->n_clusters = n_clusters;
    p->n_codes = prefix_n_codes(n_directions);
    frame->n_clusters = n_directions;
    frame->n_features = n_features;
    frame->n_panels = directions ? panels_of(n_directions) : 0;
    frame->scale = scale;
    frame->gamma = (float)gamma_of((double)n_features + 8.0);
    frame->tiny = (float)n_features * 0x1p-120f;
    frame->decision = (float)n_features * 0x1p-52f + 0x1p-48f;
    frame->offset64 = (double *)place;
    place += aligned((n_features + LANES) * sizeof(double));
    frame->offset32 = (float *)place;
    place += aligned((n_features + LANES) * sizeof(float));
    p->still.n_features = n_features;
    p->still.scale = 1.0;
    p->still.offset32 = (float *)place;
    place += aligned((n_features + LANES) * sizeof(float));
    frame->panels = (float *)place;
    place += aligned((frame->n_panels * (1 + n_features) * TILE_CENTERS + LANES) * sizeof(float));
    p->known = (double *)place;
    place += aligned(n_clusters * n_features * sizeof(double));
    p->rows = (float *)place;
    place += aligned(n_clusters * n_features * sizeof(float));
    p->half_sq_norms = (double *)place;
    place += aligned(n_clusters * sizeof(double));
    p->norms = (double *)place;
    place += aligned(n_clusters * sizeof(double));
    p->shifts = (double *)place;
    place += aligned(n_clusters * sizeof(double));
    p->has_moved = (uint8_t *)place;
    place += aligned(n_clusters);
    place = start_panels(&p->all, panels_of(n_clusters), p->n_codes, place);
    start_panels(&p->moved, panels_of(n_clusters), p->n_codes, place);
    for (size_t j = 0; j < n_clusters; j++)
        p->all.index[j] = (int32_t)j;

    for (size_t f = 0; f < n_features + LANES; f++) {
        const double moved = f < n_features ? offset[f] : 0.0;
        p->still.offset32[f] = 0.0f;
        frame->offset32[f] = (float)moved;
        frame->offset64[f] = samples_are_float32 ? (double)frame->offset32[f] : moved;
    }
    memset(frame->panels, 0, (frame->n_panels * (1 + n_features) * TILE_CENTERS + LANES) * sizeof(float));
    for (size_t i = 0; directions && i < n_directions; i++) {
        float *entry = frame->panels + i / TILE_CENTERS * (1 + n_features) * TILE_CENTERS + i % TILE_CENTERS;
        for (size_t f = 0; f < n_features; f++)
            entry[(1 + f) * TILE_CENTERS] = directions[i * n_features + f];
    }
    /* A center is packed if it differs from the known one. All differ from a NaN. */
    for (size_t i = 0; i < n_clusters * n_features; i++)
        p->known[i] = NAN;
    /* Each coordinate is a sum of sums of PROJECT_FEATURES products of rounded values. It is off by at most
     * gamma |Q_i| |x'|; all together are off by at most gamma |x'| times the root of the sum of |Q_i|^2. */
    const double roundings = PROJECT_FEATURES + 8.0 + (double)(n_features / PROJECT_FEATURES);
    p->skew = skew;
    p->is_turned = directions != NULL;
    p->projection = 0x1p-22;
    if (p->is_turned)
        p->projection += gamma_of(roundings) * sqrt((double)n_directions * (1.0 + skew));
    p->summing = gamma_of((double)n_directions + 8.0);
    p->floor = sqrt((double)n_features) * 0x1p-70;
}

/* Coordinates of a tile along TILE_CENTERS directions.   coordinates  OUT [TILE_CENTERS][TILE_SAMPLES] */
static void project_panel(const float *tile, const float *panel, size_t n_features, float *coordinates)
{
    for (int i = 0; i < TILE_CENTERS * TILE_SAMPLES; i++)
        coordinates[i] = 0.0f;
    panel += TILE_CENTERS;
    for (size_t first = 0; first < n_features; first += PROJECT_FEATURES) {
        const size_t end = n_features - first < PROJECT_FEATURES ? n_features : first + PROJECT_FEATURES;
        vec sum[TILE_VECS][TILE_CENTERS];
#pragma GCC unroll 16
        for (int j = 0; j < TILE_CENTERS; j++)
#pragma GCC unroll 2
            for (int v = 0; v < TILE_VECS; v++)
                sum[v][j] = v_splat(0.0f);
        subtract_products(tile + first * TILE_SAMPLES, panel + first * TILE_CENTERS, TILE_CENTERS, end - first, sum,
                          TILE_CENTERS);
#pragma GCC unroll 16
        for (int j = 0; j < TILE_CENTERS; j++)
#pragma GCC unroll 2
            for (int v = 0; v < TILE_VECS; v++) {
                float *place = coordinates + j * TILE_SAMPLES + v * LANES;
                v_store(place, v_sub(v_load(place), sum[v][j]));
            }
    }
}

/* One over the step of each sample of the packed tile in scratch: the finest step with which codes keep their limits.
 *   inverse_step   OUT [TILE_SAMPLES] */
static void find_steps(const prefix *p, prefix_scratch scratch, float *inverse_step)
{
    const float *norms = scratch.pack.norms;
    /* Rounding moves each number by at most 1/2; 0.2 pays for that of the sums of squares. */
    const float most = (float)CODE_LENGTH - 0.2f - 0.5f * sqrtf((float)(2 * p->n_codes));
    float minus_sq_half[2][TILE_SAMPLES];
    for (int v = 0; v < TILE_VECS; v++) {
        const float *y = scratch.coordinates + v * LANES;
        vec largest = v_splat(0.0f), half[2] = {v_splat(0.0f), v_splat(0.0f)};
        for (size_t i = 0; i < p->frame.n_clusters; i++) {
            const vec value = v_load(y + i * TILE_SAMPLES);
            largest = v_max(largest, v_max(value, v_sub(v_splat(0.0f), value)));
            if (CODE_LENGTH > 0)
                half[i / 2 % 2] = v_fnmadd(half[i / 2 % 2], value, value);
        }
        v_store(inverse_step + v * LANES, largest);
        v_store(minus_sq_half[0] + v * LANES, half[0]);
        v_store(minus_sq_half[1] + v * LANES, half[1]);
    }
    for (int s = 0; s < TILE_SAMPLES; s++) {
        const float largest = inverse_step[s];
        /* The coordinates are too small, for the row or for float32, to carry information: every code becomes 0. Only
         * centers with |c'| > 2^26 may have others; 2^-19 of their |c'|^2 / 2 is more than any product of codes. */
        if (!(CODE_LIMIT > 0 && largest > 0x1p-60f && largest > 0x1p-20f * norms[s])) {
            inverse_step[s] = 1.0f;
            continue;
        }
        const float length = sqrtf(fmaxf(-minus_sq_half[0][s], -minus_sq_half[1][s]));
        inverse_step[s] = (float)CODE_LIMIT / largest;
        if (CODE_LENGTH > 0 && length * inverse_step[s] > most)
            inverse_step[s] = most / length;
    }
}

/* Codes and lengths of the packed tile in scratch.   out  OUT a tile of codes */
static void encode_tile(const prefix *p, prefix_scratch scratch, void *out)
{
    const packed_centers *frame = &p->frame;
    float *terms = out;
    code *codes = (code *)(terms + ROW_TERMS * TILE_SAMPLES);
    float *inverse_step = terms + ROW_INVERSE_STEP * TILE_SAMPLES;
    float minus_sq_code[TILE_SAMPLES], minus_sq_rest[TILE_SAMPLES], minus_product[TILE_SAMPLES];
    if (!p->is_turned)
        memcpy(scratch.coordinates, scratch.pack.tiles, frame->n_features * TILE_SAMPLES * sizeof(float));
    for (size_t q = 0; q < frame->n_panels; q++)
        project_panel(scratch.pack.tiles, frame->panels + q * (1 + frame->n_features) * TILE_CENTERS, frame->n_features,
                      scratch.coordinates + q * TILE_CENTERS * TILE_SAMPLES);
    find_steps(p, scratch, inverse_step);
    for (int v = 0; v < TILE_VECS; v++) {
        const float *y = scratch.coordinates + v * LANES;
        const vec inverse = v_load(inverse_step + v * LANES);
        vec sq_code = v_splat(0.0f), sq_rest = v_splat(0.0f), product = v_splat(0.0f);
        for (size_t g = 0; g < p->n_codes; g++) {
            vec part[CODE_FEATURES];
            for (int e = 0; e < CODE_FEATURES; e++, y += TILE_SAMPLES) {
                const vec wanted = v_mul(v_load(y), inverse);
                part[e] = v_code(wanted);
                const vec rest = v_sub(wanted, part[e]);
                sq_code = v_fnmadd(sq_code, part[e], part[e]);
                sq_rest = v_fnmadd(sq_rest, rest, rest);
                product = v_fnmadd(product, wanted, part[e]);
            }
            vc_store(codes + g * TILE_SAMPLES + v * LANES, vc_pack(part));
        }
        v_store(minus_sq_code + v * LANES, sq_code);
        v_store(minus_sq_rest + v * LANES, sq_rest);
        v_store(minus_product + v * LANES, product);
    }
    for (int s = 0; s < TILE_SAMPLES; s++) {
        const double norm = (double)scratch.pack.norms[s] * (1.0 + (double)frame->gamma) + p->floor;
        const double x = norm * (double)inverse_step[s], sq_code = -(double)minus_sq_code[s];
        const double n = sqrt(sq_code) * (1.0 + p->summing) + p->floor;
        const double b = sqrt(-(double)minus_sq_rest[s]) * (1.0 + p->summing) + p->projection * x + p->skew * n
                         + p->floor;
        /* |x - Q i|^2 = |x|^2 - 2 (Q'x).i + |Q i|^2 */
        const double slack = 4.0 * p->summing * (x * x + sq_code) + 2.0 * p->projection * x * n + p->skew * n * n;
        const double sq_r = x * x + 2.0 * (double)minus_product[s] + sq_code;
        terms[ROW_N * TILE_SAMPLES + s] = (float)(n * PAD);
        terms[ROW_B * TILE_SAMPLES + s] = (float)((b + (0x1p-20 + p->summing) * n) * PAD);
        terms[ROW_R * TILE_SAMPLES + s] = (float)((sqrt((sq_r > 0.0 ? sq_r : 0.0) + slack) + p->floor) * PAD);
        terms[ROW_NORM * TILE_SAMPLES + s] = (float)(norm * PAD);
    }
}

/* What float32 needs to score a center by rows. */
static void pack_row_of_center(prefix *p, const double *centers, size_t j)
{
    const size_t n_features = p->frame.n_features;
    const double *center = centers + j * n_features, *offset = p->frame.offset64;
    double *known = p->known + j * n_features;
    float *row = p->rows + j * n_features;
    double sq_norm = 0.0, sq_shift = 0.0;
    for (size_t f = 0; f < n_features; f++) {
        const double moved = (center[f] - offset[f]) * p->frame.scale, away = (center[f] - known[f]) * p->frame.scale;
        known[f] = center[f];
        row[f] = (float)moved;
        sq_norm += moved * moved;
        sq_shift += away * away;
    }
    p->norms[j] = sqrt(sq_norm) * PAD;
    p->shifts[j] = sqrt(sq_shift) * PAD + 0x1p-48 * p->norms[j] + p->floor;
    p->half_sq_norms[j] = p->norms[j] < FAR_CENTER ? 0.5 * sq_norm : NAN;
}

/* Where the terms and the codes of place i begin; TILE_CENTERS is the stride. */
static float *terms_at(const center_panels *panels, size_t i)
{
    return panels->terms + i / TILE_CENTERS * CENTER_TERMS * TILE_CENTERS + i % TILE_CENTERS;
}

static code *codes_at(const center_panels *panels, size_t n_codes, size_t i)
{
    return panels->codes + i / TILE_CENTERS * (1 + n_codes) * TILE_CENTERS + i % TILE_CENTERS;
}

/* A lower bound of the length of a row: ROW_NORM was rounded up by gamma twice, and by some float32 roundings. */
static double least_norm(const prefix *p, float norm)
{
    const double least = (double)norm * (1.0 - 2.0 * (double)p->frame.gamma - 0x1p-18) - 2.0 * p->floor;
    return least > 0.0 ? least : 0.0;
}

/* Put the codes of center j, lane s of an encoded tile, into its panel. */
static void pack_codes_of_center(prefix *p, size_t j, const char *tile, int s)
{
    const float *row = (const float *)tile;
    const code *codes = (const code *)(row + ROW_TERMS * TILE_SAMPLES);
    float *terms = terms_at(&p->all, j);
    code *entry = codes_at(&p->all, p->n_codes, j);
    const double step = 1.0 / (double)row[ROW_INVERSE_STEP * TILE_SAMPLES + s] * PAD;
    /* Both the test and the decision in float64 round |c'|^2 / 2, each by less than 2^-20 of it. */
    terms[CENTER_MINUS_HALF_SQ * TILE_CENTERS] = (float)(-p->half_sq_norms[j] * (1.0 - 0x1p-19));
    terms[CENTER_STEP * TILE_CENTERS] = (float)(1.0 / (double)row[ROW_INVERSE_STEP * TILE_SAMPLES + s]);
    terms[CENTER_B * TILE_CENTERS] = (float)(step * (double)row[ROW_B * TILE_SAMPLES + s]);
    terms[CENTER_N * TILE_CENTERS] = (float)(step * (double)row[ROW_N * TILE_SAMPLES + s]);
    terms[CENTER_R * TILE_CENTERS] = (float)(step * (double)row[ROW_R * TILE_SAMPLES + s]);
    code start = 0;
    for (size_t g = 0; g < p->n_codes; g++) {
        const code word = codes[g * TILE_SAMPLES + s];
        start = code_start(start, word);
        entry[(1 + g) * TILE_CENTERS] = code_of_center(word);
    }
    entry[0] = start;
}

static void encode_centers(prefix *p, prefix_scratch scratch, const size_t *chosen, int count)
{
    pack_tile_f32(scratch.pack.rows, &p->still, p->still.offset32, scratch.pack.tiles, scratch.pack.norms);
    encode_tile(p, scratch, scratch.tile);
    for (int s = 0; s < count; s++)
        pack_codes_of_center(p, chosen[s], scratch.tile, s);
}

/* Pack those of `count` centers from `first` on that moved: they are gathered into tiles. */
static void prefix_pack_centers(const double *centers, size_t first, size_t count, void *memory, void *scratch_memory)
{
    prefix *p = memory;
    const prefix_scratch scratch = divide_prefix_scratch(scratch_memory, p);
    const size_t n_features = p->frame.n_features;
    float *gathered = scratch.pack.rows;
    size_t chosen[TILE_SAMPLES];
    int n_chosen = 0;
    for (size_t j = first; j < first + count; j++) {
        int same = 1;
        for (size_t f = 0; f < n_features; f++)
            same &= centers[j * n_features + f] == p->known[j * n_features + f];
        p->has_moved[j] = !same;
        if (same) {
            p->shifts[j] = 0.0;
            continue;
        }
        pack_row_of_center(p, centers, j);
        memcpy(gathered + n_chosen * n_features, p->rows + j * n_features, n_features * sizeof(float));
        chosen[n_chosen++] = j;
        if (n_chosen == TILE_SAMPLES) {
            encode_centers(p, scratch, chosen, n_chosen);
            n_chosen = 0;
        }
    }
    if (n_chosen > 0)
        encode_centers(p, scratch, chosen, n_chosen); /* lanes behind n_chosen hold older rows, and are not read */
}

/* Copy place `from` of one set of panels to place `to` of another. */
static void copy_center(const center_panels *source, size_t from, const center_panels *target, size_t to,
                        size_t n_codes)
{
    const float *terms = terms_at(source, from);
    const code *codes = codes_at(source, n_codes, from);
    float *terms_to = terms_at(target, to);
    code *codes_to = codes_at(target, n_codes, to);
    for (size_t i = 0; i < CENTER_TERMS * TILE_CENTERS; i += TILE_CENTERS)
        terms_to[i] = terms[i];
    for (size_t i = 0; i < (1 + n_codes) * TILE_CENTERS; i += TILE_CENTERS)
        codes_to[i] = codes[i];
    target->index[to] = source->index[from];
}

static void find_rests(const center_panels *panels)
{
    for (size_t q = 0; q < panels->n_panels; q++) {
        const float *terms = panels->terms + q * CENTER_TERMS * TILE_CENTERS;
        float b = 0.0f, n = 0.0f;
        for (int j = 0; j < TILE_CENTERS; j++) {
            /* A center too far for float32 has NaN here, which is passed over: its half_sq_norm keeps it. */
            const float center_b = terms[CENTER_B * TILE_CENTERS + j], center_n = terms[CENTER_N * TILE_CENTERS + j];
            b = center_b > b ? center_b : b;
            n = center_n > n ? center_n : n;
        }
        panels->rests[2 * q] = b;
        panels->rests[2 * q + 1] = n;
    }
}

/* Samples as centers: they have codes already.   codes  IN of all samples */
static void prefix_take_samples(const size_t *samples, size_t count, const void *codes, void *memory)
{
    prefix *p = memory;
    const size_t tile_bytes = prefix_tile_bytes(p->frame.n_clusters);
    for (size_t j = 0; j < count; j++) {
        const char *tile = (const char *)codes + samples[j] / TILE_SAMPLES * tile_bytes;
        const int s = (int)(samples[j] % TILE_SAMPLES);
        const double norm = least_norm(p, ((const float *)tile)[ROW_NORM * TILE_SAMPLES + s]);
        p->half_sq_norms[j] = 0.5 * norm * norm;
        pack_codes_of_center(p, j, tile, s);
    }
    p->all.n_panels = panels_of(count);
    for (; count % TILE_CENTERS; count++)
        terms_at(&p->all, count)[CENTER_MINUS_HALF_SQ * TILE_CENTERS] = -HUGE_VALF;
    find_rests(&p->all);
}

/* Once all centers of a step are packed: find the rests of their panels, and lay those that moved side by side.
 *
 * If the center of a sample stood still, the sample is not compared with others that stood still: in the last step its
 * label was the nearest of them, ties included. */
static void prefix_gather_moved(void *memory)
{
    prefix *p = memory;
    size_t count = 0;
    find_rests(&p->all);
    for (size_t j = 0; j < p->n_clusters; j++)
        count += p->has_moved[j];
    p->is_partial = STILL_SHARE * count < (STILL_SHARE - 1) * p->n_clusters;
    if (!p->is_partial)
        return;
    p->moved.n_panels = panels_of(count);
    count = 0;
    for (size_t j = 0; j < p->n_clusters; j++)
        if (p->has_moved[j])
            copy_center(&p->all, j, &p->moved, count++, p->n_codes);
    for (; count % TILE_CENTERS; count++) {
        p->moved.index[count] = -1;
        terms_at(&p->moved, count)[CENTER_MINUS_HALF_SQ * TILE_CENTERS] = -HUGE_VALF;
    }
    find_rests(&p->moved);
}

/* Dot products of the codes of a tile with those of a panel.   sums  OUT [TILE_CENTERS][TILE_SAMPLES]
 * A function of its own: if the sums were used here too, compilers would spill some of them. */
static __attribute__((noinline)) void dot_panel(const code *tile, const code *panel, size_t n_codes, code *sums)
{
    vcode sum[TILE_VECS][TILE_CENTERS];
#pragma GCC unroll 16
    for (int j = 0; j < TILE_CENTERS; j++)
#pragma GCC unroll 2
        for (int v = 0; v < TILE_VECS; v++)
            sum[v][j] = vc_splat(panel[j]);
    panel += TILE_CENTERS;
    for (size_t g = 0; g < n_codes; g++, panel += TILE_CENTERS, tile += TILE_SAMPLES) {
        vcode x[TILE_VECS];
#pragma GCC unroll 2
        for (int v = 0; v < TILE_VECS; v++)
            x[v] = vc_load(tile + v * LANES);
#pragma GCC unroll 16
        for (int j = 0; j < TILE_CENTERS; j++) {
            const vcode c = vc_splat(panel[j]);
#pragma GCC unroll 2
            for (int v = 0; v < TILE_VECS; v++)
                sum[v][j] = v_dot(sum[v][j], x[v], c);
        }
    }
#pragma GCC unroll 16
    for (int j = 0; j < TILE_CENTERS; j++)
#pragma GCC unroll 2
        for (int v = 0; v < TILE_VECS; v++)
            vc_store(sums + j * TILE_SAMPLES + v * LANES, sum[v][j]);
}

/* Which pairs of a tile and a panel remain: bit s of kept[j] is set unless the bound excludes sample s and center j.
 *   terms, rests   of the panel's centers      row   of the tile's samples
 *   limits  [TILE_SAMPLES]: minus the least upper bound of each sample's score, in its steps
 *   returns bit j for each center that has such a pair */
static __attribute__((noinline)) uint32_t prune_panel(const code *sums, const float *terms, const float *rests,
                                                      const float *row, const float *limits, uint32_t *kept)
{
    vec limit[TILE_VECS], inverse[TILE_VECS], r[TILE_VECS];
    uint32_t any = 0;
#pragma GCC unroll 2
    for (int v = 0; v < TILE_VECS; v++) {
        limit[v] =
            v_fnmadd(v_load(limits + v * LANES), v_load(row + ROW_N * TILE_SAMPLES + v * LANES), v_splat(rests[0]));
        limit[v] = v_fnmadd(limit[v], v_load(row + ROW_B * TILE_SAMPLES + v * LANES), v_splat(rests[1]));
        inverse[v] = v_load(row + ROW_INVERSE_STEP * TILE_SAMPLES + v * LANES);
        r[v] = v_load(row + ROW_R * TILE_SAMPLES + v * LANES);
    }
#pragma GCC unroll 16
    for (int j = 0; j < TILE_CENTERS; j++) {
        const vec minus_half_sq = v_splat(terms[CENTER_MINUS_HALF_SQ * TILE_CENTERS + j]);
        const vec step = v_splat(terms[CENTER_STEP * TILE_CENTERS + j]);
        const vec center_r = v_splat(terms[CENTER_R * TILE_CENTERS + j]);
        uint32_t remain = 0;
#pragma GCC unroll 2
        for (int v = 0; v < TILE_VECS; v++) {
            vec gap = v_fnmadd(limit[v], inverse[v], minus_half_sq);
            gap = v_fnmadd(gap, v_of_sum(vc_load(sums + j * TILE_SAMPLES + v * LANES)), step);
            gap = v_fnmadd(gap, r[v], center_r);
            remain |= (~v_bits(v_less(v_splat(0.0f), gap)) & ALL_LANES) << (v * LANES);
        }
        kept[j] = remain;
        any |= (uint32_t)(remain != 0) << j;
    }
    return any;
}

/* A first label for every sample of a tile: the best by codes alone. Any label would do; a near one excludes more.
 *   sums   OUT of all panels, see dot_panel: filtering needs them once more */
static void guess_labels(const prefix *p, const float *row, int32_t *labels, code *sums)
{
    const code *tile = (const code *)(row + ROW_TERMS * TILE_SAMPLES);
    vec best[TILE_VECS], second[TILE_VECS];
    vint label[TILE_VECS];
    for (int v = 0; v < TILE_VECS; v++) {
        best[v] = second[v] = v_splat(HUGE_VALF);
        label[v] = vi_splat(0);
    }
    for (size_t q = 0; q < p->all.n_panels; q++, sums += TILE_CENTERS * TILE_SAMPLES) {
        const float *terms = p->all.terms + q * CENTER_TERMS * TILE_CENTERS;
        dot_panel(tile, p->all.codes + q * (1 + p->n_codes) * TILE_CENTERS, p->n_codes, sums);
        for (int j = 0; j < TILE_CENTERS; j++)
            for (int v = 0; v < TILE_VECS; v++) {
                const vec inverse = v_load(row + ROW_INVERSE_STEP * TILE_SAMPLES + v * LANES);
                const vec dot = v_of_sum(vc_load(sums + j * TILE_SAMPLES + v * LANES));
                vec score = v_fnmadd(v_splat(0.0f), inverse, v_splat(terms[CENTER_MINUS_HALF_SQ * TILE_CENTERS + j]));
                score = v_fnmadd(score, dot, v_splat(terms[CENTER_STEP * TILE_CENTERS + j]));
                fold(score, (int32_t)(q * TILE_CENTERS) + j, &best[v], &second[v], &label[v]);
            }
    }
    for (int v = 0; v < TILE_VECS; v++)
        vi_store(labels + v * LANES, label[v]);
}

/* What is known of a sample's best center so far. */
typedef struct {
    double lower, upper; /* of its score */
    double sq_distance;  /* in float64; negative while it is not known */
    int32_t label;
} prefix_best;

/* How far a float32 score may be from what float64 decides (kernels.h). */
static double score_margin(const prefix *p, double norm, size_t j)
{
    const double reach = norm + p->norms[j];
    return (double)p->frame.gamma * (p->half_sq_norms[j] + norm * p->norms[j])
           + (double)p->frame.decision * reach * reach + (double)p->frame.tiny;
}

/* Widen the bounds of the score of a sample and its own center by what the center has moved since. By the triangle
 * inequality the score changes by at most d * shift + shift^2 / 2, with d^2 = |x' - c'|^2 = 2 score + |x'|^2 before.
 * Returns whether the bounds are narrow enough to be worth a try. */
static int loosen(const prefix *p, double norm, size_t j, double *lower, double *upper)
{
    const double shift = p->shifts[j], reach = norm + p->norms[j], sq = 2.0 * *upper + norm * norm;
    if (!(sq > 0.0))
        return 0;
    const double change = (sqrt(sq) + 0.5 * shift) * shift * PAD + (double)p->frame.decision * reach * reach
                          + (double)p->frame.tiny;
    *lower -= change;
    *upper += change;
    return *upper - *lower < LOOSE_WIDTH * sq;
}

/* The limit of prune_panel: minus the upper bound, less what the decision in float64 may round, and rounded down. */
static inline float limit_of(const prefix *p, const prefix_best *best, double norm, double inverse_step)
{
    const double upper = best->upper + 2.0 * (double)p->frame.decision * norm * norm + (double)p->frame.tiny;
    const double limit = -(upper + 0x1p-19 * fabs(upper)) * inverse_step;
    return (float)(limit - 0x1p-22 * fabs(limit));
}

/* A tile to filter: which samples, and what is known of the best center of each so far. */
typedef struct {
    size_t left;         /* samples of the tile */
    const uint16_t *ids; /* [left] */
    const float *row;    /* lengths and codes, as encode_tile wrote them */
    uint32_t loose;      /* samples whose bounds come from shifts alone: their rows were not read */
    prefix_best best[TILE_SAMPLES];
} prefix_tile;

/* Samples of a tile for which a center other than their label is left.
 *   index  IN [TILE_CENTERS]   any, kept  IN of prune_panel */
static uint32_t other_pairs(const prefix_tile *tile, const int32_t *index, uint32_t any, const uint32_t *kept)
{
    uint32_t found = 0;
    for (; any; any &= any - 1) {
        const size_t e = (size_t)__builtin_ctz(any);
        for (uint32_t bits = kept[e] & ~found; bits; bits &= bits - 1) {
            const size_t s = (size_t)__builtin_ctz(bits);
            if (s < tile->left && tile->best[s].label != index[e])
                found |= 1u << s;
        }
    }
    return found;
}

/* The tile of some samples: in place if they are a whole tile, else gathered, lane by lane.
 *   codes   IN of the samples that ids count from      gathered   OUT a tile */
static const float *tile_of(const uint16_t *ids, size_t count, const char *codes, size_t tile_bytes, float *gathered)
{
    if (ids[0] % TILE_SAMPLES == 0 && ids[count - 1] - ids[0] == (int)count - 1)
        return (const float *)(codes + ids[0] / TILE_SAMPLES * tile_bytes);
    const float *lanes[TILE_SAMPLES];
    for (size_t s = 0; s < TILE_SAMPLES; s++) {
        const size_t i = ids[s < count ? s : 0];
        lanes[s] = (const float *)(codes + i / TILE_SAMPLES * tile_bytes) + i % TILE_SAMPLES;
    }
    for (size_t w = 0; w < tile_bytes / sizeof(float); w += TILE_SAMPLES)
        for (size_t s = 0; s < TILE_SAMPLES; s++)
            memcpy(gathered + w + s, lanes[s] + w, sizeof(float)); /* codes may be integers */
    return gathered;
}

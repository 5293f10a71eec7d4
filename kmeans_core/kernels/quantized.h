/* Whole numbers in place of samples: 8 or 16 bits per feature, and per sample the length of what was rounded away.
 *
 * Samples and centers are moved and scaled once per fit: x', c'. A sample keeps the whole numbers i nearest to x',
 * within `limit`, their squared length, and r >= |x' - i|. Each step has a unit u, and rounds its centers to whole
 * numbers l with u l near c'; p >= |c' - u l| for all centers. Then with e = r + p, by the triangle inequality,
 *     |x' - c'| differs from |i - u l| by at most e,
 * and |i - u l|^2 = |i|^2 + 2 u (u |l|^2 / 2 - i.l): whole scores H - i.l, with H within 1/2 of u |l|^2 / 2, order the
 * centers by that distance and are computed in integers, without rounding. A center whose |i - u l| exceeds the best
 * one's, D, by more than 2 e is not the nearest. In scores that is a gap of more than 2 e (D + e) / u + 1. It is small
 * wherever clusters lie, because D is about the size of a cluster.
 *
 * Where clusters overlap, D is larger than the distance between their centers, and another gap is smaller. To move a
 * sample by r changes |x' - c_j|^2 / 2 - |x' - c_b|^2 / 2 by at most r |c_j - c_b|, which is at most r S with
 * S = 2 max |c'|. To move centers by p, after that, changes it by at most p (D_j + D_b) + p^2, and D_j^2 = D_b^2 + 2 G
 * for a difference of G. So G > A + p sqrt(2 G) with A = 2 p D + p^2 + r S is enough for a proof:
 * G >= (p + sqrt(p^2 + 2 A))^2 / 2.
 *
 * If the best two differ by more than the smaller gap and what the float64 decision may round, the best is the label.
 * Beyond a gap the true difference grows at half the rate of scores, at least. So `per_square` is twice what the
 * decision needs.
 * For the other samples sq_distance decides among all centers within that gap of the best. Only their rows are read.
 *
 * Each number that is rounded in float32 is widened by PAD. Comparisons are written so that infinity and NaN leave a
 * sample to float64. x' is computed with three roundings of the moved row's size (subtract, scale,
 * store).
 */

#define WORD_HEAD 2 /* words of a sample beside its numbers: |i|^2 and r, float32 */

/* How samples are quantized; the offset's arrays follow the struct in the same block. */
typedef struct {
    packed_centers frame; /* what pack_block asks for: n_features, offset and scale */
    size_t n_words;       /* 32-bit words of a sample */
    int bits;
    float limit; /* largest whole number; n_features * limit^2 <= 2^29, so that differences of scores fit 32 bits */
} quantizer;

/* Factors of score_gaps. Each is rounded up; only 2 u is not, and score_gaps pays for its rounding. */
typedef struct {
    float rest;       /* p */
    float reach;      /* max |c'| */
    float two_units;  /* 2 u */
    float per_unit;   /* 2 / u */
    float per_square; /* times |i|^2 + (r + p + max |c'|)^2: what the float64 decision may round, in scores */
} whole_gap;

typedef struct {
    const quantizer *how;
    const double *centers;
    size_t n_clusters, n_panels;
    int32_t *panels;  /* [n_panels][1 + n_words][TILE_CENTERS]: H, then -l; padded by FAR_SCORE, 0; LANES more */
    int32_t *numbers; /* [n_panels * TILE_CENTERS]: 0, 1, ...: read and broadcast faster than converted and broadcast */
    double rest;      /* p */
    double unit;      /* u */
    whole_gap gap;
} quantized_centers;

#define FAR_SCORE (1 << 29)
/* With at most so many words the samples of a vector stay in registers, if there are 32 of these. With 16 registers it
 * took 4.4 ns per sample in place of 3.5 (one core of a Zen 3, 10 words, 10 centers). */
#define NARROW_WORDS 10
#define IS_NARROW(n_words) (TILE_CENTERS >= 12 && (n_words) <= NARROW_WORDS)
#define FOLDED_PANELS 4
#define ALL_SAMPLES ((uint32_t)((1ull << TILE_SAMPLES) - 1))

typedef struct {
    int32_t best[TILE_SAMPLES];
    int32_t second[TILE_SAMPLES];
    int32_t label[TILE_SAMPLES];
} whole_state;

typedef struct {
    block_scratch pack;  /* for quantize */
    whole_state *states; /* [block / TILE_SAMPLES] */
    int32_t *scores;     /* [padded centers], for one undecided sample */
    uint16_t *undecided; /* [block] */
    int32_t *gaps;       /* [block]: by how much a center that may be nearer can exceed the best score */
} quantized_scratch;

static size_t quantizer_bytes(size_t n_features)
{
    return aligned(sizeof(quantizer)) + aligned((n_features + LANES) * sizeof(double))
           + aligned((n_features + LANES) * sizeof(float));
}

static size_t words_of(size_t n_features, int bits) { return bits == 8 ? (n_features + 3) / 4 : (n_features + 1) / 2; }

static size_t quantized_tile_bytes(size_t n_features, int bits)
{
    return (WORD_HEAD + words_of(n_features, bits)) * TILE_SAMPLES * sizeof(int32_t);
}

static size_t quantized_centers_bytes(size_t n_clusters, size_t n_features, int bits)
{
    return aligned(sizeof(quantized_centers))
           + aligned((panels_of(n_clusters) * (1 + words_of(n_features, bits)) * TILE_CENTERS + RESCORE_PANELS * LANES)
                     * sizeof(int32_t))
           + aligned(panels_of(n_clusters) * TILE_CENTERS * sizeof(int32_t));
}

static size_t quantized_scratch_bytes(size_t n_clusters, size_t n_features)
{
    const size_t block = block_samples(n_features);
    return aligned(TILE_SAMPLES * n_features * sizeof(float)) + aligned(TILE_SAMPLES * sizeof(float))
           + aligned((TILE_SAMPLES * n_features + LANES) * sizeof(double))
           + aligned(block / TILE_SAMPLES * sizeof(whole_state))
           + aligned((padded_centers(n_clusters) + RESCORE_PANELS * LANES) * sizeof(int32_t))
           + aligned(block * sizeof(uint16_t)) + aligned(block * sizeof(int32_t));
}

static quantized_scratch divide_quantized_scratch(void *memory, size_t n_clusters, size_t n_features)
{
    const size_t block = block_samples(n_features);
    char *place = memory;
    quantized_scratch scratch = {0};
    scratch.pack.tiles = (float *)place;
    place += aligned(TILE_SAMPLES * n_features * sizeof(float));
    scratch.pack.norms = (float *)place;
    place += aligned(TILE_SAMPLES * sizeof(float));
    scratch.pack.rows = place;
    place += aligned((TILE_SAMPLES * n_features + LANES) * sizeof(double));
    scratch.states = (whole_state *)place;
    place += aligned(block / TILE_SAMPLES * sizeof(whole_state));
    scratch.scores = (int32_t *)place;
    place += aligned((padded_centers(n_clusters) + RESCORE_PANELS * LANES) * sizeof(int32_t));
    scratch.undecided = (uint16_t *)place;
    place += aligned(block * sizeof(uint16_t));
    scratch.gaps = (int32_t *)place;
    return scratch;
}

/* The largest whole number. */
static float quantized_limit(size_t n_features, int bits)
{
    const float most = bits == 8 ? 127.0f : 32767.0f, limit = floorf(sqrtf(0x1p29f / (float)n_features));
    return limit > most ? most : limit;
}

static void quantizer_start(const double *offset, double largest, size_t n_features, int bits, int samples_are_float32,
                            void *memory)
{
    quantizer *how = memory;
    packed_centers *frame = &how->frame;
    char *place = (char *)memory + aligned(sizeof(quantizer));
    memset(how, 0, sizeof *how);
    how->bits = bits;
    how->n_words = words_of(n_features, bits);
    how->limit = quantized_limit(n_features, bits);
    rounding_bounds(frame, n_features);
    frame->n_features = n_features;
    /* A power of two would waste up to a bit. The rounding of a product with another number is paid for. */
    frame->scale = largest > 0.0 ? (double)how->limit / largest : 1.0;
    if (samples_are_float32)
        frame->scale = (double)(float)frame->scale;
    frame->offset64 = (double *)place;
    place += aligned((n_features + LANES) * sizeof(double));
    frame->offset32 = (float *)place;
    for (size_t f = 0; f < n_features + LANES; f++) {
        const double moved = f < n_features ? offset[f] : 0.0;
        frame->offset32[f] = (float)moved;
        frame->offset64[f] = samples_are_float32 ? (double)frame->offset32[f] : moved;
    }
}

/* |i|^2 and r of the samples of a tile: [WORD_HEAD][TILE_SAMPLES] float32, copied into words. */
static inline const float *lengths_of(const int32_t *tile) { return (const float *)tile; }

static double quantizer_scale(const void *memory) { return ((const quantizer *)memory)->frame.scale; }

static inline float whole(float value, float limit)
{
    const float held = value > limit ? limit : value < -limit ? -limit : value;
    return rintf(held);
}

/* Squared lengths of whole numbers, added word by word: without rounding, as they are at most 2^29. */
typedef struct {
    vint squares[TILE_VECS], sums[TILE_VECS]; /* with 8 bits squares hold DOT8_BIAS * sums, too */
} whole_lengths;

/* Add a word of each sample.   words   IN [TILE_SAMPLES], with the bias of v_dot8 if there are 8 bits */
FORCE_INLINE void add_lengths(whole_lengths *lengths, const int32_t *words, const int bits)
{
    int32_t numbers[TILE_SAMPLES];
    for (int s = 0; s < TILE_SAMPLES; s++)
        numbers[s] = bits == 8 && DOT8_BIAS ? (int32_t)((uint32_t)words[s] ^ 0x80808080u) : words[s];
    for (int v = 0; v < TILE_VECS; v++) {
        const vint word = vi_load(words + v * LANES), number = vi_load(numbers + v * LANES);
        if (bits == 8) {
            lengths->squares[v] = v_dot8(lengths->squares[v], word, number);
            lengths->sums[v] = v_dot8(lengths->sums[v], vi_splat(0x01010101), number);
        } else {
            lengths->squares[v] = v_dot16(lengths->squares[v], word, number);
        }
    }
}

FORCE_INLINE whole_lengths no_lengths(void)
{
    whole_lengths lengths;
    for (int v = 0; v < TILE_VECS; v++)
        lengths.squares[v] = lengths.sums[v] = vi_splat(0);
    return lengths;
}

/* |i|^2 of the samples.   out   OUT [TILE_SAMPLES] */
FORCE_INLINE void store_lengths(const whole_lengths *lengths, float *out, const int bits)
{
    int32_t squares[TILE_SAMPLES], sums[TILE_SAMPLES];
    for (int v = 0; v < TILE_VECS; v++) {
        vi_store(squares + v * LANES, lengths->squares[v]);
        vi_store(sums + v * LANES, lengths->sums[v]);
    }
    for (int s = 0; s < TILE_SAMPLES; s++)
        out[s] = (float)(bits == 8 ? squares[s] - DOT8_BIAS * sums[s] : squares[s]);
}

/* Quantize the packed tile in scratch.   out  OUT a tile: lengths, then words;   bits   constant wherever inlined */
FORCE_INLINE void quantize_words(const quantizer *how, const float *tile, const float *norms, int32_t *out,
                                 const int bits)
{
    const size_t n_features = how->frame.n_features;
    const int a_word = bits == 8 ? 4 : 2, width = 32 / a_word;
    const uint32_t mask = bits == 8 ? 255 : 65535;
    const int32_t bias = bits == 8 ? DOT8_BIAS : 0;
    const float limit = how->limit, pad = 1.0f + how->frame.gamma;
    float sq_rest[TILE_SAMPLES] = {0.0f}, lengths[WORD_HEAD][TILE_SAMPLES];
    whole_lengths whole_sums = no_lengths();
    int32_t *place = out + WORD_HEAD * TILE_SAMPLES;
    for (size_t first = 0; first < n_features; first += (size_t)a_word, place += TILE_SAMPLES) {
        uint32_t words[TILE_SAMPLES] = {0};
#pragma GCC unroll 4
        for (int e = 0; e < a_word; e++) {
            if (first + (size_t)e >= n_features) {
                for (int s = 0; s < TILE_SAMPLES; s++)
                    words[s] |= ((uint32_t)bias & mask) << (e * width);
                continue;
            }
            const float *values = tile + (first + (size_t)e) * TILE_SAMPLES;
            for (int s = 0; s < TILE_SAMPLES; s++) {
                const float number = whole(values[s], limit), rest = values[s] - number;
                sq_rest[s] += rest * rest;
                words[s] |= ((uint32_t)((int32_t)number + bias) & mask) << (e * width);
            }
        }
        memcpy(place, words, sizeof words);
        add_lengths(&whole_sums, place, bits);
    }
    store_lengths(&whole_sums, lengths[0], bits);
    for (int s = 0; s < TILE_SAMPLES; s++)
        lengths[1][s] = (sqrtf(sq_rest[s]) * pad + 0x1p-22f * norms[s]) * (float)PAD + 0x1p-60f;
    memcpy(out, lengths, sizeof lengths);
}

static void quantize_tile(const quantizer *how, const float *tile, const float *norms, int32_t *out)
{
    if (HAS_DOT8 && how->bits == 8)
        quantize_words(how, tile, norms, out, 8);
    else
        quantize_words(how, tile, norms, out, 16);
}

/* Whole numbers for the centers of a step.   Returns 0 if they do not fit 32 bits, or are not finite. */
static int quantize_centers(const double *centers, size_t n_clusters, const void *quantizer_memory, void *memory)
{
    const quantizer *how = quantizer_memory;
    const size_t n_features = how->frame.n_features, n_panels = panels_of(n_clusters);
    const size_t a_word = how->bits == 8 ? 4 : 2, panel_words = (1 + how->n_words) * TILE_CENTERS;
    const uint32_t mask = how->bits == 8 ? 255 : 65535;
    quantized_centers *q = memory;
    const double *offset = how->frame.offset64, scale = how->frame.scale;
    double largest = 0.0, max_sq_norm = 0.0, max_sq_rest = 0.0;
    for (size_t j = 0; j < n_clusters; j++)
        for (size_t f = 0; f < n_features; f++) {
            const double value = fabs((centers[j * n_features + f] - offset[f]) * scale);
            largest = value > largest ? value : largest;
        }
    if (!(largest < 1e30))
        return 0;
    const double unit = largest > 0x1p-100 ? largest / (double)how->limit : 1.0;
    q->how = how;
    q->centers = centers;
    q->n_clusters = n_clusters;
    q->n_panels = n_panels;
    q->panels = (int32_t *)((char *)memory + aligned(sizeof(quantized_centers)));
    q->numbers = q->panels
                 + aligned((n_panels * panel_words + RESCORE_PANELS * LANES) * sizeof(int32_t)) / sizeof(int32_t);
    memset(q->panels, 0, n_panels * panel_words * sizeof(int32_t));
    for (size_t j = 0; j < n_panels * TILE_CENTERS; j++) {
        q->numbers[j] = (int32_t)j;
        int32_t *entry = q->panels + j / TILE_CENTERS * panel_words + j % TILE_CENTERS;
        if (j >= n_clusters) {
            entry[0] = FAR_SCORE;
            continue;
        }
        double sq_norm = 0.0, sq_rest = 0.0, sq_whole = 0.0;
        int64_t sum = 0;
        for (size_t f = 0; f < n_features; f++) {
            const double value = (centers[j * n_features + f] - offset[f]) * scale / unit, number = rint(value);
            sq_norm += value * value;
            sq_rest += (value - number) * (value - number);
            sq_whole += number * number;
            sum += (int64_t)number;
            entry[(1 + f / a_word) * TILE_CENTERS] |=
                (int32_t)(((uint32_t)-(int32_t)number & mask) << (f % a_word * (32 / a_word)));
        }
        const double half = 0.5 * unit * sq_whole;
        if (!(half < FAR_SCORE))
            return 0;
        entry[0] = (int32_t)(rint(half) + (how->bits == 8 ? (double)(DOT8_BIAS * sum) : 0.0));
        max_sq_norm = sq_norm > max_sq_norm ? sq_norm : max_sq_norm;
        max_sq_rest = sq_rest > max_sq_rest ? sq_rest : max_sq_rest;
    }
    q->rest = (sqrt(max_sq_rest) + 1e-6) * unit * PAD;
    q->unit = unit;
    q->gap.rest = (float)(q->rest * PAD);
    q->gap.reach = (float)(sqrt(max_sq_norm) * unit * PAD * PAD);
    q->gap.two_units = (float)(2.0 * unit);
    q->gap.per_unit = (float)(2.0 * PAD / unit);
    q->gap.per_square = (float)(4.0 * (double)how->frame.decision / unit * PAD * PAD);
    return 1;
}

/* Whole scores of a tile and the first `count` centers of a panel; bits and count are constants wherever this is
 * inlined.
 *   tile    IN   [n_words][TILE_SAMPLES]
 *   panel   IN   [1 + n_words][TILE_CENTERS]
 *   coming  IN   a tile that is prefetched line by line, which hides how long memory takes: 20M x 100 in bytes, k=20,
 *                two cores of an Emerald Rapids Xeon, 0.175 -> 0.127 s. All at once it helped half as much.
 *   sum     OUT  [TILE_VECS][count]; registers as score_centers, and one for products if no instruction adds them */
FORCE_INLINE void sum_words(const int32_t *tile, const int32_t *panel, const int32_t *coming, size_t n_words,
                            vint (*sum)[TILE_CENTERS], const int count, const int bits)
{
#pragma GCC unroll 16
    for (int j = 0; j < count; j++)
#pragma GCC unroll 2
        for (int v = 0; v < TILE_VECS; v++)
            sum[v][j] = vi_splat(panel[j]);
    panel += TILE_CENTERS;
    for (size_t w = 0; w < n_words; w++, panel += TILE_CENTERS, tile += TILE_SAMPLES, coming += TILE_SAMPLES) {
        vint x[TILE_VECS];
        prefetch_bytes((uintptr_t)coming, TILE_SAMPLES * sizeof(int32_t));
#pragma GCC unroll 2
        for (int v = 0; v < TILE_VECS; v++)
            x[v] = vi_load(tile + v * LANES);
#pragma GCC unroll 16
        for (int j = 0; j < count; j++) {
            const vint c = vi_splat(panel[j]);
#pragma GCC unroll 2
            for (int v = 0; v < TILE_VECS; v++)
                sum[v][j] = bits == 8 ? v_dot8(sum[v][j], x[v], c) : v_dot16(sum[v][j], x[v], c);
        }
    }
}

/* The same, stored.   sums  OUT [count][TILE_SAMPLES] */
FORCE_INLINE void dot_centers(const int32_t *tile, const int32_t *panel, const int32_t *coming, size_t n_words,
                              int32_t *sums, const int count, const int bits)
{
    vint sum[TILE_VECS][TILE_CENTERS];
    sum_words(tile, panel, coming, n_words, sum, count, bits);
#pragma GCC unroll 16
    for (int j = 0; j < count; j++)
#pragma GCC unroll 2
        for (int v = 0; v < TILE_VECS; v++)
            vi_store(sums + j * TILE_SAMPLES + v * LANES, sum[v][j]);
}

/* Fold the whole score of center j into the best two; a tie keeps the lowest index. */
FORCE_INLINE void fold_score(vint score, vint j, vint *best, vint *second, vint *label)
{
    const vmask closer = vi_less(score, *best);
    *second = vi_min(*second, vi_max(score, *best));
    *label = vi_pick(closer, j, *label);
    *best = vi_min(score, *best);
}

/* Widths in steps of two, as score_last_panel. */
#define WIDTH_OF(width) ((width) < TILE_CENTERS ? (width) : TILE_CENTERS)
#define BY_WIDTH(count, CALL)   \
    do {                        \
        if ((count) <= 2)       \
            CALL(WIDTH_OF(2));  \
        else if ((count) <= 4)  \
            CALL(WIDTH_OF(4));  \
        else if ((count) <= 6)  \
            CALL(WIDTH_OF(6));  \
        else if ((count) <= 8)  \
            CALL(WIDTH_OF(8));  \
        else if ((count) <= 10) \
            CALL(WIDTH_OF(10)); \
        else if ((count) <= 12) \
            CALL(WIDTH_OF(12)); \
        else                    \
            CALL(TILE_CENTERS); \
    } while (0)
#define DOT_16(width) dot_centers(tile, panel, coming, n_words, sums, width, 16)
#define DOT_8(width) dot_centers(tile, panel, coming, n_words, sums, width, 8)

static __attribute__((noinline)) void dot_panel_16(const int32_t *tile, const int32_t *panel, const int32_t *coming,
                                                   size_t n_words, size_t count, int32_t *sums)
{
    BY_WIDTH(count, DOT_16);
}

static __attribute__((noinline)) void dot_panel_8(const int32_t *tile, const int32_t *panel, const int32_t *coming,
                                                  size_t n_words, size_t count, int32_t *sums)
{
    BY_WIDTH(count, DOT_8);
}

#undef WIDTH_OF
#undef BY_WIDTH
#undef DOT_16
#undef DOT_8

/* Whole scores of a tile and panel p.   words  IN  those of the tile, behind its lengths */
static void whole_panel(const quantized_centers *q, const int32_t *words, const int32_t *coming, size_t p,
                        int32_t *sums)
{
    const size_t n_words = q->how->n_words, left = q->n_clusters - p * TILE_CENTERS;
    const int32_t *panel = q->panels + p * (1 + n_words) * TILE_CENTERS;
    (q->how->bits == 8 ? dot_panel_8 : dot_panel_16)(words, panel, coming, n_words, left, sums);
}

/* Fold the panels `from` to `to` into the best two. The sums pass through memory: compilers would spill them in the
 * loop to make room for the state, which stays in registers from the first center of a run to the last.
 *   state  INOUT; the caller resets it */
static void fold_panels(const quantized_centers *q, const int32_t *words, const int32_t *coming, size_t from, size_t to,
                        whole_state *state)
{
    int32_t sums[FOLDED_PANELS * TILE_CENTERS * TILE_SAMPLES] __attribute__((aligned(64)));
    for (size_t run = from; run < to; run += FOLDED_PANELS) {
        const size_t stop = run + FOLDED_PANELS < to ? run + FOLDED_PANELS : to, first = run * TILE_CENTERS;
        const size_t end = stop * TILE_CENTERS < q->n_clusters ? stop * TILE_CENTERS : q->n_clusters;
        for (size_t p = run; p < stop; p++)
            whole_panel(q, words, p == 0 ? coming : words, p, sums + (p - run) * TILE_CENTERS * TILE_SAMPLES);
        vint best[TILE_VECS], second[TILE_VECS], label[TILE_VECS];
#pragma GCC unroll 2
        for (int v = 0; v < TILE_VECS; v++) {
            best[v] = vi_load(state->best + v * LANES);
            second[v] = vi_load(state->second + v * LANES);
            label[v] = vi_load(state->label + v * LANES);
        }
        for (size_t j = first; j < end; j++)
#pragma GCC unroll 2
            for (int v = 0; v < TILE_VECS; v++)
                fold_score(vi_load(sums + (j - first) * TILE_SAMPLES + v * LANES), vi_splat(q->numbers[j]), best + v,
                           second + v, label + v);
#pragma GCC unroll 2
        for (int v = 0; v < TILE_VECS; v++) {
            vi_store(state->best + v * LANES, best[v]);
            vi_store(state->second + v * LANES, second[v]);
            vi_store(state->label + v * LANES, label[v]);
        }
    }
}

/* The centers of panels `from` to `to` for few words: the samples stay in registers, centers stream by, nothing passes
 * through memory.
 * n_words samples + 3 state + 1 score + 1 product = 15 of 16 registers at 10 words; centers come from memory, lane by
 * lane. */
FORCE_INLINE void fold_all_narrow(const int32_t *words, const quantized_centers *q, size_t from, size_t to,
                                  whole_state *state, const int n_words, const int bits)
{
    const size_t end = to * TILE_CENTERS < q->n_clusters ? to * TILE_CENTERS : q->n_clusters;
    for (int v = 0; v < TILE_VECS; v++) {
        vint x[NARROW_WORDS], best = vi_splat(INT32_MAX), second = best, label = vi_splat(0);
#pragma GCC unroll 16
        for (int w = 0; w < n_words; w++)
            x[w] = vi_load(words + w * TILE_SAMPLES + v * LANES);
        const int32_t *panel = q->panels + from * (size_t)(1 + n_words) * TILE_CENTERS;
        for (size_t first = from * TILE_CENTERS; first < end;
             first += TILE_CENTERS, panel += (1 + n_words) * TILE_CENTERS) {
            const size_t count = end - first < TILE_CENTERS ? end - first : TILE_CENTERS;
            for (size_t j = 0; j < count; j++) {
                vint score = vi_splat(panel[j]);
#pragma GCC unroll 16
                for (int w = 0; w < n_words; w++) {
                    const vint c = vi_splat(panel[(size_t)(1 + w) * TILE_CENTERS + j]);
                    score = bits == 8 ? v_dot8(score, x[w], c) : v_dot16(score, x[w], c);
                }
                fold_score(score, vi_splat(q->numbers[first + j]), &best, &second, &label);
            }
        }
        vi_store(state->best + v * LANES, best);
        vi_store(state->second + v * LANES, second);
        vi_store(state->label + v * LANES, label);
    }
}

static void fold_narrow(const int32_t *words, const quantized_centers *q, size_t from, size_t to, whole_state *state)
{
#define FOLD_NARROW(n_words)                                         \
    case n_words:                                                    \
        if (HAS_DOT8 && q->how->bits == 8)                           \
            fold_all_narrow(words, q, from, to, state, n_words, 8);  \
        else                                                         \
            fold_all_narrow(words, q, from, to, state, n_words, 16); \
        break;
    switch (q->how->n_words) {
        FOLD_NARROW(1)
        FOLD_NARROW(2)
        FOLD_NARROW(3)
        FOLD_NARROW(4)
        FOLD_NARROW(5)
        FOLD_NARROW(6)
        FOLD_NARROW(7)
        FOLD_NARROW(8)
        FOLD_NARROW(9)
    default: fold_all_narrow(words, q, from, to, state, NARROW_WORDS, HAS_DOT8 && q->how->bits == 8 ? 8 : 16);
    }
#undef FOLD_NARROW
}

static void reset_whole(whole_state *state)
{
    for (int s = 0; s < TILE_SAMPLES; s++) {
        state->best[s] = state->second[s] = INT32_MAX;
        state->label[s] = 0;
    }
}

/* All tiles of a block against all centers: a panel stays in the first-level cache while the tiles pass by. */
static void whole_tiles(const int32_t *tiles, size_t n_tiles, const quantized_centers *q, whole_state *states)
{
    const size_t n_words = q->how->n_words, tile_words = (WORD_HEAD + n_words) * TILE_SAMPLES;
    const int32_t *words = tiles + WORD_HEAD * TILE_SAMPLES;
    if (IS_NARROW(n_words)) {
        for (size_t t = 0; t < n_tiles; t++)
            fold_narrow(words + t * tile_words, q, 0, q->n_panels, states + t);
        return;
    }
    for (size_t t = 0; t < n_tiles; t++)
        reset_whole(states + t);
    for (size_t p = 0; p < q->n_panels; p += FOLDED_PANELS)
        for (size_t t = 0; t < n_tiles; t++)
            fold_panels(q, words + t * tile_words, words + (t + 1) * tile_words, p,
                        p + FOLDED_PANELS < q->n_panels ? p + FOLDED_PANELS : q->n_panels, states + t);
}

/* By how much a whole score must exceed the best one of its sample to tell that its center is farther.
 *   best  IN [TILE_SAMPLES]      gaps  OUT [TILE_SAMPLES]      is_tight  whether to use the smaller gap of two
 * D^2 is a difference of large numbers if the cluster is small and far from the offset, so what its terms may round is
 * added to it. In place of (|i| + r + max |c'|)^2 it uses twice the sum of squares, which is no less and needs no
 * root. */
FORCE_INLINE void score_gaps(const int32_t *tile, const quantized_centers *q, const int32_t *restrict best,
                             const int is_tight, int32_t *restrict gaps)
{
    const float *sq_norms = lengths_of(tile), *rests = sq_norms + TILE_SAMPLES;
    const whole_gap gap = q->gap;
    for (int s = 0; s < TILE_SAMPLES; s++) {
        const float sq_norm = sq_norms[s], rest = rests[s] + gap.rest, score = gap.two_units * (float)best[s];
        const float sq_own = (sq_norm + score) + 0x1p-20f * (sq_norm + fabsf(score)) + gap.two_units;
        const float own = sqrtf(sq_own > 0.0f ? sq_own : 0.0f), reach = rest + gap.reach;
        float difference = rest * (own + rest);
        if (is_tight) {
            const float apart = 2.0f * (gap.rest * (2.0f * own + gap.rest) + rests[s] * (2.0f * gap.reach));
            const float root = gap.rest + sqrtf(gap.rest * gap.rest + apart), by_moves = 0.25f * root * root;
            difference = by_moves < difference ? by_moves : difference; /* no NaN of by_moves */
        }
        const float error = gap.per_unit * difference + gap.per_square * (sq_norm + reach * reach) + 1.5f;
        gaps[s] = error < 0x1p29f ? (int32_t)(error * (1.0f + 0x1p-18f)) + 1 : INT32_MAX;
    }
}

/* Samples of a tile whose second best score lies within their gap of the best, one bit each. */
static inline uint32_t within_gaps(const whole_state *state, const int32_t *gaps)
{
    uint32_t proven = 0;
    for (int v = 0; v < TILE_VECS; v++) {
        int32_t differences[LANES];
        for (int s = 0; s < LANES; s++)
            differences[s] = state->second[v * LANES + s] - state->best[v * LANES + s];
        proven |= v_bits(vi_less(vi_load(gaps + v * LANES), vi_load(differences))) << (v * LANES);
    }
    return ~proven & ALL_SAMPLES;
}

/* Samples of a tile whose best score is not proven, one bit each.   gaps  OUT [TILE_SAMPLES]
 * The smaller gap takes a root more, which is wasted on the tiles that the other one settles. */
static uint32_t undecided_samples(const int32_t *tile, const quantized_centers *q, const whole_state *state,
                                  int32_t *gaps)
{
    score_gaps(tile, q, state->best, 0, gaps);
    if (!within_gaps(state, gaps))
        return 0;
    score_gaps(tile, q, state->best, 1, gaps);
    return within_gaps(state, gaps);
}

/* Cost of a sample that whole scores leave open, in vector instructions: scored once more, then decided in float64
 * among some NEAR_CENTERS. */
#define NEAR_CENTERS 3.0f
static float cost_alone(size_t n_clusters, size_t n_features, size_t n_words)
{
    const float panels = (float)n_clusters * (16.0f / LANES);
    return 150.0f + panels * ((float)n_words / 12.0f + 1.0f) + (3.0f + 1.5f * NEAR_CENTERS) * (float)n_features;
}

/* Cost of so many samples if they are gathered, and assigned tile by tile. */
static float cost_together(size_t n_samples, size_t n_clusters, size_t n_features)
{
    const size_t n_tiles = (n_samples + TILE_SAMPLES - 1) / TILE_SAMPLES;
    const float pairs = (float)n_clusters * ((float)n_features + 5.0f);
    return (float)(n_tiles * TILE_VECS) * (pairs + 3.0f * (float)n_features) + (float)(n_samples * n_features);
}

#define MOST_GATHERED 4096 /* features: 64 rows of more would take 2 MB and more of each thread */
static int may_gather(size_t n_features) { return n_features <= MOST_GATHERED; }

/* From so many near centers on a sample waits for others like it: alone, it would be compared with all of these in
 * float64. Tails are heavy where far samples set the size of whole numbers: of 4217 samples of Student's t with 617
 * features half had all 454 centers within their gap, and a step took 80 ms in place of 6 (Zen 5). */
static size_t crowd_of(size_t n_clusters) { return n_clusters / 12 < 8 ? 8 : n_clusters / 12; }

/* Do so many samples cost less together than alone, with so many near centers in all? */
static int pays_together(size_t n_samples, size_t n_near, size_t n_clusters, size_t n_features)
{
    return cost_together(n_samples, n_clusters, n_features) < 1.5f * (float)n_near * (float)n_features;
}

/* Samples whose score is at most their bound, one bit each. */
static inline uint32_t within(const int32_t *scores, const int32_t *bound)
{
    uint32_t beyond = 0;
#pragma GCC unroll 2
    for (int v = 0; v < TILE_VECS; v++)
        beyond |= v_bits(vi_less(vi_load(bound + v * LANES), vi_load(scores + v * LANES))) << (v * LANES);
    return ~beyond & ALL_SAMPLES;
}

/* Samples for which any of `count` scores is at most their bound. */
static uint32_t any_within(const int32_t *sums, int count, const int32_t *bound)
{
    int32_t least[TILE_SAMPLES] __attribute__((aligned(64)));
#pragma GCC unroll 2
    for (int v = 0; v < TILE_VECS; v++) {
        vint low = vi_load(sums + v * LANES);
        for (int j = 1; j < count; j++)
            low = vi_min(low, vi_load(sums + j * TILE_SAMPLES + v * LANES));
        vi_store(least + v * LANES, low);
    }
    return within(least, bound);
}

/* Whole scores of one sample against RESCORE_PANELS panels from panel `first` on, as rescore. */
FORCE_INLINE void whole_rescore(const int32_t *lane, const quantized_centers *q, size_t first, int32_t *scores,
                                const int bits)
{
    const size_t n_words = q->how->n_words, panel_words = (1 + n_words) * TILE_CENTERS;
    const int32_t *panel[RESCORE_PANELS];
    vint sum[RESCORE_PANELS][PANEL_VECS];
#pragma GCC unroll 4
    for (int p = 0; p < RESCORE_PANELS; p++) {
        const size_t last = q->n_panels - 1;
        panel[p] = q->panels + (first + p < last ? first + p : last) * panel_words;
#pragma GCC unroll 4
        for (int v = 0; v < PANEL_VECS; v++)
            sum[p][v] = vi_load(panel[p] + v * LANES);
    }
    for (size_t w = 0; w < n_words; w++) {
        const vint x = vi_splat(lane[w * TILE_SAMPLES]);
#pragma GCC unroll 4
        for (int p = 0; p < RESCORE_PANELS; p++)
#pragma GCC unroll 4
            for (int v = 0; v < PANEL_VECS; v++) {
                const vint c = vi_load(panel[p] + (1 + w) * TILE_CENTERS + v * LANES);
                sum[p][v] = bits == 8 ? v_dot8(sum[p][v], x, c) : v_dot16(sum[p][v], x, c);
            }
    }
    for (int p = 0; p < RESCORE_PANELS && first + p < q->n_panels; p++)
        for (int v = 0; v < PANEL_VECS; v++)
            vi_store(scores + (first + p) * TILE_CENTERS + v * LANES, sum[p][v]);
}

/* Whole scores of one sample to every center.   lane  IN its column of words, stride TILE_SAMPLES */
static void whole_scores(const int32_t *lane, const quantized_centers *q, int32_t *scores)
{
    for (size_t p = 0; p < q->n_panels; p += RESCORE_PANELS)
        if (q->how->bits == 8)
            whole_rescore(lane, q, p, scores, 8);
        else
            whole_rescore(lane, q, p, scores, 16);
}

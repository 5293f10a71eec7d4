/* Samples of 8 bits a value are whole numbers already: a tile of quantized samples (quantized.h) is their bytes turned,
 * and nothing is rounded away. The offset is 128 for unsigned bytes and 0 for signed ones, the scale is 1. Then
 * r = 0. With 8 bits |i| exceeds the limit of 127 by at most 1, so the limit on lengths is that of 128. With 16 bits
 * only the centers are finer.
 */

static double exact_bytes_limit(const stored_rows *stored, int bits)
{
    const double longest = (double)stored->n_features * 128.0 * 128.0;
    if (stored->origin || (stored->kind != STORED_INT8 && stored->kind != STORED_UINT8) || longest > 0x1p29
        || (bits == 8 && !HAS_DOT8))
        return 0.0;
    return quantized_limit(stored->n_features, bits);
}

static inline const char *bytes_of_row(const stored_rows *stored, size_t i)
{
    return stored->values + (stored->numbers ? stored->numbers[i] : (int64_t)i) * stored->row_stride;
}

/* `width` words of each of LANES rows.   rows   IN whole vectors of words, of one row or of several   words   OUT */
FORCE_INLINE void turn_words(const char *const *rows, int32_t *words, const int width)
{
    vec v[LANES];
    for (int i = 0; i < width; i++)
        v[i] = v_load((const void *)rows[i]);
    untangle(v, width);
    for (int i = 0; i < width; i++)
        v_store((void *)(words + i * TILE_SAMPLES), v[i]);
}

/* A tile of rows whose bytes lie side by side. Returns how many words of each are turned: the last ones may be left. */
static size_t turn_rows(const stored_rows *stored, size_t first, int32_t *words)
{
    const size_t n_whole = stored->n_features / 4;
    const int is_dense = !stored->numbers && stored->row_stride == (ptrdiff_t)(4 * n_whole);
    size_t done = 0;
    for (int v = 0; v < TILE_VECS; v++, first += LANES, words += LANES) {
        const char *rows[LANES];
        for (int s = 0; s < LANES; s++)
            rows[s] = bytes_of_row(stored, first + s);
        for (done = 0; done + LANES <= n_whole; done += LANES) {
            turn_words(rows, words + done * TILE_SAMPLES, LANES);
            for (int s = 0; s < LANES; s++)
                rows[s] += LANES * sizeof(int32_t);
        }
        if (done || !is_dense)
            continue;
        for (int i = 0; i < LANES; i++)
            rows[i] = rows[0] + i * LANES * (int)sizeof(int32_t);
#if LANES >= 4
        if (n_whole == 2)
            turn_words(rows, words, 2);
#endif
#if LANES >= 8
        if (n_whole == 4)
            turn_words(rows, words, 4);
#endif
#if LANES >= 16
        if (n_whole == 8)
            turn_words(rows, words, 8);
#endif
    }
    return done ? done : is_dense && n_whole < LANES && (n_whole == 2 || n_whole == 4 || n_whole == 8) ? n_whole : 0;
}

/* Words from word `from` on.   rest   what stands for 0 in the bytes behind the last feature */
static void collect_words(const stored_rows *stored, size_t first, size_t left, size_t from, uint32_t rest,
                          int32_t *words)
{
    const size_t n_features = stored->n_features;
    const ptrdiff_t apart = stored->feature_stride;
    for (size_t w = from; 4 * w < n_features; w++) {
        const size_t n_bytes = n_features - 4 * w < 4 ? n_features - 4 * w : 4;
        uint32_t collected[TILE_SAMPLES] = {0};
        for (size_t e = 0; e < 4; e++) {
            if (e >= n_bytes)
                for (size_t s = 0; s < left; s++)
                    collected[s] |= rest << 8 * e;
            else if (!stored->numbers && stored->row_stride == 1)
                for (size_t s = 0; s < left; s++)
                    collected[s] |=
                        (uint32_t)(uint8_t)stored->values[(ptrdiff_t)(4 * w + e) * apart + (ptrdiff_t)(first + s)]
                        << 8 * e;
            else
                for (size_t s = 0; s < left; s++)
                    collected[s] |= (uint32_t)(uint8_t)bytes_of_row(stored, first + s)[(ptrdiff_t)(4 * w + e) * apart]
                                    << 8 * e;
        }
        memcpy(words + w * TILE_SAMPLES, collected, sizeof collected);
    }
}

/* What is rounded away of whole numbers: nothing. */
static void finish_lengths(const whole_lengths *whole_sums, int32_t *tile, int bits)
{
    float lengths[WORD_HEAD][TILE_SAMPLES] = {{0.0f}};
    store_lengths(whole_sums, lengths[0], bits);
    memcpy(tile, lengths, sizeof lengths);
}

/* From bytes as they are stored to pairs of numbers of 16 bits, and their squared lengths.
 *   bytes   IN [n_features / 4, rounded up][TILE_SAMPLES]     flip   turns a stored byte into a signed number */
static void spread_bytes(const int32_t *bytes, int32_t *tile, size_t n_words, uint32_t flip)
{
    int32_t *words = tile + WORD_HEAD * TILE_SAMPLES;
    whole_lengths lengths = no_lengths();
    for (size_t w = 0; w < n_words; w++, words += TILE_SAMPLES) {
        const int32_t *four = bytes + w / 2 * TILE_SAMPLES;
        const int skipped = w % 2 ? 0 : 16;
        for (int s = 0; s < TILE_SAMPLES; s++) {
            const int32_t two = (int32_t)(((uint32_t)four[s] ^ flip) << skipped);
            const int32_t low = (int32_t)((uint32_t)two << 8) >> 24, high = two >> 24;
            words[s] = (int32_t)(((uint32_t)low & 65535) | (uint32_t)high << 16);
        }
        add_lengths(&lengths, words, 16);
    }
    finish_lengths(&lengths, tile, 16);
}

/* From bytes as they are stored to numbers with the bias of v_dot8, and their squared lengths.   flip   as above */
static void finish_bytes(int32_t *tile, size_t n_words, uint32_t flip)
{
    int32_t *words = tile + WORD_HEAD * TILE_SAMPLES;
    const uint32_t biased = flip ^ (DOT8_BIAS ? 0x80808080u : 0);
    whole_lengths lengths = no_lengths();
    for (size_t w = 0; w < n_words; w++, words += TILE_SAMPLES) {
        for (int s = 0; s < TILE_SAMPLES; s++)
            words[s] = (int32_t)((uint32_t)words[s] ^ biased);
        add_lengths(&lengths, words, 8);
    }
    finish_lengths(&lengths, tile, 8);
}

/* Quantize samples with an exact_bytes_limit. */
static void quantize_bytes(const stored_rows *stored, size_t first, size_t count, const void *memory, void *scratch,
                           void *out)
{
    const quantizer *how = memory;
    const size_t tile_words = (WORD_HEAD + how->n_words) * TILE_SAMPLES;
    const int is_signed = stored->kind == STORED_INT8;
    const uint32_t flip = is_signed ? 0 : 0x80808080u;
    int32_t *tile = out;
    for (size_t end = first + count; first < end; first += TILE_SAMPLES, tile += tile_words) {
        const size_t left = end - first < TILE_SAMPLES ? end - first : TILE_SAMPLES;
        int32_t *words = how->bits == 8 ? tile + WORD_HEAD * TILE_SAMPLES : scratch;
        const size_t done = stored->feature_stride == 1 && left == TILE_SAMPLES ? turn_rows(stored, first, words) : 0;
        collect_words(stored, first, left, done, is_signed ? 0 : 128, words);
        if (how->bits == 8)
            finish_bytes(tile, how->n_words, flip);
        else
            spread_bytes(words, tile, how->n_words, flip);
    }
}

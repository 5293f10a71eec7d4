/* Rows as the caller stores them, laid out as float32 or float64 a block at a time. Included once per real type.
 *
 * Values of 8 and 16 bits are exact in float32. So are all decisions that kernels take on the float32 rows.
 */

#ifndef FASTKMEANS_STORED_SHARED
#define FASTKMEANS_STORED_SHARED
#define STORED_CHUNK 256 /* values that are widened at a time if more is done to them than widening */
#define STORED_STRIP 64 /* rows that are turned at a time if columns are contiguous: a few cache lines of each column */

/* Bytes of a value of each kind. */
static const size_t stored_bytes[] = {1, 1, 2, 2, 2, 4, 8};

/* Exact for every float16, also below 2^-14, and keeps infinities and NaN. */
static inline float value_of_half(uint16_t half)
{
    uint32_t bits = (uint32_t)(half & 0x7fff) << 13;
    const uint32_t special = bits >= 0x0f800000u ? 0x7f800000u : 0;
    float value;
    memcpy(&value, &bits, sizeof(value));
    value *= 0x1p112f; /* the exponents of the two types begin so far apart */
    memcpy(&bits, &value, sizeof(bits));
    bits |= special | (uint32_t)(half & 0x8000) << 16;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

static inline float value_of_bfloat(uint16_t upper)
{
    const uint32_t bits = (uint32_t)upper << 16;
    float value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

static void halves_side_by_side(const uint16_t *from, size_t n, float *out)
{
    size_t i = 0;
#if HAS_HALF
    for (; i + LANES <= n; i += LANES)
        v_store(out + i, v_load_half(from + i));
#endif
    for (; i < n; i++)
        out[i] = value_of_half(from[i]);
}

/* n values side by side, of any kind but float64. */
static void floats_side_by_side(const char *values, int kind, size_t n, float *out)
{
    switch (kind) {
    case STORED_INT8:
        for (size_t i = 0; i < n; i++)
            out[i] = ((const int8_t *)values)[i];
        break;
    case STORED_UINT8:
        for (size_t i = 0; i < n; i++)
            out[i] = ((const uint8_t *)values)[i];
        break;
    case STORED_INT16:
        for (size_t i = 0; i < n; i++)
            out[i] = ((const int16_t *)(const void *)values)[i];
        break;
    case STORED_FLOAT16: halves_side_by_side((const void *)values, n, out); break;
    case STORED_BFLOAT16:
        for (size_t i = 0; i < n; i++)
            out[i] = value_of_bfloat(((const uint16_t *)(const void *)values)[i]);
        break;
    default: memcpy(out, values, n * sizeof(float));
    }
}

/* n values, stride bytes apart, as float64. */
#define APART(type, convert)                                   \
    for (size_t i = 0; i < n; i++, values += stride)           \
        out[i] = convert(*(const type *)(const void *)values); \
    break
static void doubles_apart(const char *values, ptrdiff_t stride, int kind, size_t n, double *out)
{
    switch (kind) {
    case STORED_INT8: APART(int8_t, );
    case STORED_UINT8: APART(uint8_t, );
    case STORED_INT16: APART(int16_t, );
    case STORED_FLOAT16: APART(uint16_t, value_of_half);
    case STORED_BFLOAT16: APART(uint16_t, value_of_bfloat);
    case STORED_FLOAT32: APART(float, );
    default: APART(double, );
    }
}
#undef APART

/* At most STORED_CHUNK values, stride bytes apart. */
static void doubles_of(const char *values, ptrdiff_t stride, int kind, size_t n, double *out)
{
    if (kind != STORED_FLOAT64 && stride == (ptrdiff_t)stored_bytes[kind]) {
        float narrow[STORED_CHUNK];
        floats_side_by_side(values, kind, n, narrow);
        for (size_t i = 0; i < n; i++)
            out[i] = narrow[i];
    } else
        doubles_apart(values, stride, kind, n, out);
}
#endif

/* n values, stride bytes apart.   origin   IN [n], or NULL */
static void NAME(widen_run)(const char *values, ptrdiff_t stride, int kind, size_t n, const double *origin, REAL *out)
{
    if (sizeof(REAL) == sizeof(float) && !origin && kind != STORED_FLOAT64 && stride == (ptrdiff_t)stored_bytes[kind]) {
        floats_side_by_side(values, kind, n, (void *)out);
        return;
    }
    for (size_t first = 0; first < n; first += STORED_CHUNK) {
        const size_t count = n - first < STORED_CHUNK ? n - first : STORED_CHUNK;
        double wide[STORED_CHUNK];
        doubles_of(values + (ptrdiff_t)first * stride, stride, kind, count, wide);
        for (size_t i = 0; i < count; i++)
            out[first + i] = (REAL)(origin ? wide[i] - origin[first + i] : wide[i]);
    }
}

/* Lay columns of a strip out as rows.   columns   IN [LANES][STORED_STRIP]   n_rows   <= STORED_STRIP
 *   n_whole   rows whose places may be written LANES values long: what is behind n_columns is written again later
 *   rows   OUT, n_features apart: n_columns values of each */
static void NAME(turn_columns)(const REAL *columns, size_t n_rows, size_t n_columns, size_t n_whole, size_t n_features,
                               REAL *rows)
{
    size_t r = 0;
    if (sizeof(REAL) == sizeof(float))
        for (; r + LANES <= n_whole; r += LANES) {
            vec v[LANES];
            for (size_t f = 0; f < LANES; f++)
                v[f] = v_load((const void *)(columns + f * STORED_STRIP + r));
            untangle(v, LANES);
            for (size_t i = 0; i < LANES; i++)
                v_store((void *)(rows + (r + i) * n_features), v[i]);
        }
    for (; r < n_rows; r++)
        for (size_t f = 0; f < n_columns; f++)
            rows[r * n_features + f] = columns[f * STORED_STRIP + r];
}

/* Rows whose columns are closer in memory than their values: a strip of each column is read at a time. The last few
 * columns come first. Whole vectors of them reach into the next row, the beginning of which is written after them. */
static void NAME(widen_columns)(const stored_rows *stored, size_t first, size_t count, REAL *rows)
{
    const size_t n_features = stored->n_features;
    for (size_t done = 0; done < count; done += STORED_STRIP) {
        const size_t n_rows = count - done < STORED_STRIP ? count - done : STORED_STRIP;
        const char *strip = stored->values + (ptrdiff_t)(first + done) * stored->row_stride;
        /* The last LANES rows of all are not written too long, so that nothing behind them is touched. */
        const size_t left = count - done > LANES ? count - done - LANES : 0, n_long = n_rows < left ? n_rows : left;
        REAL *out = rows + done * n_features, columns[LANES * STORED_STRIP];
        memset(columns, 0, sizeof columns);
        for (size_t end = n_features, n_columns; end > 0; end -= n_columns) {
            n_columns = end % LANES ? end % LANES : LANES;
            for (size_t c = 0; c < n_columns; c++)
                NAME(widen_run)(strip + (ptrdiff_t)(end - n_columns + c) * stored->feature_stride, stored->row_stride,
                                stored->kind, n_rows, NULL, columns + c * STORED_STRIP);
            NAME(turn_columns)(columns, n_rows, n_columns, n_columns == LANES ? n_rows : n_long, n_features,
                               out + end - n_columns);
        }
    }
}

static void NAME(widen)(const stored_rows *stored, size_t first, size_t count, void *any_rows)
{
    REAL *rows = any_rows;
    const size_t n_features = stored->n_features;
    const ptrdiff_t bytes = (ptrdiff_t)stored_bytes[stored->kind], stride = stored->row_stride;
    const ptrdiff_t apart = stored->feature_stride;
    if (!stored->numbers && !stored->origin) {
        if (apart == bytes && stride == bytes * (ptrdiff_t)n_features) {
            NAME(widen_run)(stored->values + (ptrdiff_t)first * stride, bytes, stored->kind, count * n_features, NULL,
                            rows);
            return;
        }
        if ((stride < 0 ? -stride : stride) < (apart < 0 ? -apart : apart)) {
            NAME(widen_columns)(stored, first, count, rows);
            return;
        }
    }
    for (size_t i = 0; i < count; i++) {
        const int64_t number = stored->numbers ? stored->numbers[first + i] : (int64_t)(first + i);
        NAME(widen_run)(stored->values + number * stride, apart, stored->kind, n_features, stored->origin,
                        rows + i * n_features);
    }
}

/* Samples into tiles: rows become lanes. Included once per real type (REAL, NAME(), V_LOAD_REAL).
 *
 * A tile is [n_features][TILE_SAMPLES] float32: feature by feature, one sample a lane.
 */

/* Centers as assign reads them; the arrays follow the struct in the same block. */
#ifndef FASTKMEANS_PACKED
#define FASTKMEANS_PACKED

/* Tiles that are prefetched: each row of a tile is a stream of its own, and the hardware follows fewer of them. One
 * core of a Zen 5, 1M x 20, k=10: float64 15.5 -> 8.9 ms, float32 9.7 -> 6.2 ms. */
#define PREFETCH_TILES 2

#if defined(__GNUC__)
static inline void prefetch_bytes(uintptr_t first, size_t bytes)
{
    for (size_t byte = 0; byte < bytes; byte += 64)
        __builtin_prefetch((const void *)(first + byte));
}
#else
static inline void prefetch_bytes(uintptr_t first, size_t bytes) { (void)first, (void)bytes; }
#endif
typedef struct {
    size_t n_clusters, n_features, n_panels;
    const double *centers;
    double *offset64;     /* [n_features + LANES], zeros behind n_features */
    float *offset32;      /* the same */
    float *panels;        /* [n_panels][1 + n_features][TILE_CENTERS]: |c'|^2 / 2, then c'; padded by +inf, 0 */
    float *half_sq_norms; /* [padded centers]: |c'|^2 / 2 once more, side by side; padded by +inf */
    float *norms;         /* [padded centers]: |c'|, rounded up */
    uint32_t *slots;      /* [copy_slots]: for exclude_copies */
    double scale;         /* power of two */
    float gamma;          /* rounding of a score, see kernels.h */
    float tiny;           /* what underflow may add to it */
    float decision;       /* rounding of sq_distance, relative */
    float max_norm;       /* max |c'|, rounded up */
    int is_lowered;       /* whether lower_scores has changed the panels */
} packed_centers;

/* Turn `width` vectors, which hold samples of `width` features one after the other, into one vector per feature. Each
 * pass splits the values by one bit of their feature's number, the lowest first. */
FORCE_INLINE void untangle(vec *v, const int width)
{
    vec t[LANES];
    for (int pass = 1; pass < width; pass *= 2) {
        for (int i = 0; i < width / 2; i++) {
            t[i] = v_even(v[2 * i], v[2 * i + 1]);
            t[width / 2 + i] = v_odd(v[2 * i], v[2 * i + 1]);
        }
        for (int i = 0; i < width; i++)
            v[i] = t[i];
    }
}
#endif

/* A few features of LANES samples, so that whole vectors hold several samples.
 *   stride   reals from one sample to the next
 *   width    a constant power of two >= n_features */
FORCE_INLINE vec NAME(pack_narrow)(const REAL *x, size_t stride, size_t n_features, const REAL *offset, REAL scale,
                                   float *tile, const int width)
{
    REAL samples[LANES * LANES], repeated[LANES];
    vec v[LANES], sq_norm = v_splat(0.0f);
    if (stride != (size_t)width) {
        for (int s = 0; s < LANES; s++)
            for (int f = 0; f < width; f++)
                samples[s * width + f] = x[s * stride + f];
        x = samples;
    }
    for (int i = 0; i < LANES; i++)
        repeated[i] = offset[i % width];
    for (int i = 0; i < width; i++)
        v[i] = V_LOAD_REAL(x + i * LANES, repeated, scale);
    untangle(v, width);
    for (size_t f = 0; f < n_features; f++) {
        v_store(tile + f * TILE_SAMPLES, v[f]);
        sq_norm = v_add(sq_norm, v_mul(v[f], v[f]));
    }
    return sq_norm;
}

/* LANES features of LANES samples. */
static inline vec NAME(pack_square)(const REAL *x, size_t stride, const REAL *offset, REAL scale, float *tile)
{
    vec v[LANES], sq_norm = v_splat(0.0f);
    for (int s = 0; s < LANES; s++)
        v[s] = V_LOAD_REAL(x + s * stride, offset, scale);
    untangle(v, LANES);
    for (int f = 0; f < LANES; f++) {
        v_store(tile + f * TILE_SAMPLES, v[f]);
        sq_norm = v_add(sq_norm, v_mul(v[f], v[f]));
    }
    return sq_norm;
}

/* Fewer than LANES features, by the narrowest network that holds them. */
static vec NAME(pack_rest)(const REAL *x, size_t stride, size_t n_features, const REAL *offset, REAL scale, float *tile)
{
    if (n_features == 1)
        return NAME(pack_narrow)(x, stride, n_features, offset, scale, tile, 1);
#if LANES >= 4
    if (n_features == 2)
        return NAME(pack_narrow)(x, stride, n_features, offset, scale, tile, 2);
#endif
#if LANES >= 8
    if (n_features <= 4)
        return NAME(pack_narrow)(x, stride, n_features, offset, scale, tile, 4);
#endif
#if LANES >= 16
    if (n_features <= 8)
        return NAME(pack_narrow)(x, stride, n_features, offset, scale, tile, 8);
#endif
    return NAME(pack_narrow)(x, stride, n_features, offset, scale, tile, LANES);
}

/* One tile.
 *   x      IN   TILE_SAMPLES rows, readable LANES reals past the last
 *   tile   OUT  [n_features][TILE_SAMPLES]
 *   norms  OUT  [TILE_SAMPLES] |x'| before any allowance for rounding */
static void NAME(pack_tile)(const REAL *x, const packed_centers *packed, const REAL *offset, float *tile, float *norms)
{
    const size_t n_features = packed->n_features;
    const REAL scale = (REAL)packed->scale;
    const size_t tile_bytes = TILE_SAMPLES * n_features * sizeof(REAL);
    prefetch_bytes((uintptr_t)x + PREFETCH_TILES * tile_bytes, tile_bytes);
    for (int v = 0; v < TILE_VECS; v++, x += LANES * n_features, tile += LANES, norms += LANES) {
        vec sq_norm = v_splat(0.0f);
        size_t f = 0;
        for (; f + LANES <= n_features; f += LANES)
            sq_norm = v_add(sq_norm, NAME(pack_square)(x + f, n_features, offset + f, scale, tile + f * TILE_SAMPLES));
        if (f < n_features)
            sq_norm = v_add(sq_norm, NAME(pack_rest)(x + f, n_features, n_features - f, offset + f, scale,
                                                     tile + f * TILE_SAMPLES));
        v_store(norms, v_sqrt(sq_norm));
    }
}

/* Centers into panels, and what the certificate needs to know of them. */

static size_t aligned(size_t bytes) { return (bytes + 63) / 64 * 64; }

/* Whole panels and a vector more, so that vectors over the centers may start anywhere. */
static size_t padded_centers(size_t n_clusters)
{
    return (n_clusters + TILE_CENTERS - 1) / TILE_CENTERS * TILE_CENTERS + LANES;
}

static size_t packed_bytes(size_t n_clusters, size_t n_features)
{
    const size_t n_panels = (n_clusters + TILE_CENTERS - 1) / TILE_CENTERS;
    return aligned(sizeof(packed_centers)) + aligned((n_features + LANES) * sizeof(double))
           + aligned((n_features + LANES) * sizeof(float))
           + aligned((n_panels * (1 + n_features) * TILE_CENTERS + LANES) * sizeof(float))
           + 2 * aligned(padded_centers(n_clusters) * sizeof(float))
           + aligned(copy_slots(n_clusters) * sizeof(uint32_t));
}

/* The power of two that brings `largest` into [1, 2); kept within what REAL can multiply by. */
static double power_of_two_for(double largest, int samples_are_float32)
{
    int exponent;
    if (!(largest > 0.0) || largest > 1e308)
        return 1.0;
    frexp(largest, &exponent);
    const int limit = samples_are_float32 ? 126 : 1020;
    const int wanted = 1 - exponent;
    return ldexp(1.0, wanted > limit ? limit : wanted < -limit ? -limit : wanted);
}

/* What rounding may do to scores and decisions, see kernels.h. */
static void rounding_bounds(packed_centers *packed, size_t n_features)
{
    const double unit = 0x1p-24 * (double)(n_features + 8);
    packed->gamma = unit < 0.5 ? (float)(unit / (1.0 - unit) * 1.001) : HUGE_VALF;
    packed->tiny = (float)n_features * 0x1p-120f;
    packed->decision = (float)n_features * 0x1p-52f + 0x1p-48f;
}

/* Squared distance of a center from a point. Four chains, because one would wait for its additions. */
static inline double sq_from(const double *point, const double *center, size_t n_features)
{
    double sq = 0.0;
    size_t f = 0;
    if (n_features >= 4 * VD_LANES) {
        vdouble part[4] = {{0.0}};
        for (; f + 4 * VD_LANES <= n_features; f += 4 * VD_LANES)
            for (size_t i = 0; i < 4; i++) {
                const vdouble away = vd_load(center + f + i * VD_LANES) - vd_load(point + f + i * VD_LANES);
                part[i] = vd_fmadd(part[i], away, away);
            }
        sq = vd_total((part[0] + part[1]) + (part[2] + part[3]));
    }
    for (; f < n_features; f++)
        sq += (center[f] - point[f]) * (center[f] - point[f]);
    return sq;
}

#define FAR_FROM_MEAN \
    1.5 /* of the mean distance; three centers of which one is far have it at 1.5, more have it farther */
#define OFFSET_TRIALS 4    /* each leaves out centers that hid behind farther ones */
#define OFFSET_CENTERS 256 /* their mean is within a sixteenth of the centers' deviation from the mean of any number */

/* The mean of some centers, then of those that are not far from it: else one far center would pull the point from all
 * samples, and the error of every score grows with their distance from it.
 *   offset   OUT [n_features], and as much scratch behind it */
static void find_offset(const double *centers, size_t n_clusters, size_t n_features, double *offset)
{
    const size_t stride = (n_clusters + OFFSET_CENTERS - 1) / OFFSET_CENTERS;
    double *mean = offset + n_features, limit = HUGE_VAL;
    size_t n_near = 0;
    memset(offset, 0, n_features * sizeof(double));
    for (int trial = 0; trial < OFFSET_TRIALS; trial++) {
        const size_t n_before = n_near;
        double distances = 0.0, farthest = 0.0;
        memset(mean, 0, n_features * sizeof(double));
        n_near = 0;
        for (size_t j = 0; j < n_clusters; j += stride) {
            const double *center = centers + j * n_features;
            if (trial > 0 && !(sq_from(offset, center, n_features) <= limit * limit))
                continue;
            n_near++;
            for (size_t f = 0; f < n_features; f++)
                mean[f] += center[f];
        }
        if (n_near == 0 || n_near == n_before)
            return;
        for (size_t f = 0; f < n_features; f++)
            offset[f] = mean[f] / (double)n_near;
        for (size_t j = 0; j < n_clusters; j += stride) {
            const double distance = sqrt(sq_from(offset, centers + j * n_features, n_features));
            distances += distance <= limit ? distance : 0.0;
            farthest = distance > farthest ? distance : farthest;
        }
        limit = FAR_FROM_MEAN * distances / (double)n_near;
        if (trial == 0 && farthest <= limit)
            return;
    }
}

/* The largest |center - offset| of any feature. */
static double largest_moved(const double *centers, size_t n_clusters, size_t n_features, const double *offset)
{
    vdouble largest = {0.0};
    double most = 0.0;
    for (size_t j = 0; j < n_clusters; j++, centers += n_features) {
        size_t f = 0;
        for (; f + VD_LANES <= n_features; f += VD_LANES)
            largest = vd_max(vd_abs(vd_load(centers + f) - vd_load(offset + f)), largest);
        for (; f < n_features; f++) {
            const double moved = fabs(centers[f] - offset[f]);
            most = moved > most ? moved : most;
        }
    }
    for (int i = 0; i < VD_LANES; i++)
        most = largest[i] > most ? largest[i] : most;
    return most;
}

/* Lay one center out in its panel.   entry   OUT [n_features], TILE_CENTERS apart;   returns |c'|^2 */
static double pack_center(const packed_centers *packed, const double *center, float *entry)
{
    const double *offset = packed->offset64, scale = packed->scale;
    const size_t n_features = packed->n_features;
    vdouble squares = {0.0};
    double rest = 0.0;
    size_t f = 0;
    for (; f + VD_LANES <= n_features; f += VD_LANES) {
        const vdouble moved = (vd_load(center + f) - vd_load(offset + f)) * scale;
        squares = vd_fmadd(squares, moved, moved);
        for (size_t i = 0; i < VD_LANES; i++)
            entry[(f + i) * TILE_CENTERS] = (float)moved[i];
    }
    for (; f < n_features; f++) {
        const double moved = (center[f] - offset[f]) * scale;
        rest += moved * moved;
        entry[f * TILE_CENTERS] = (float)moved;
    }
    return rest + vd_total(squares);
}

static void pack_centers(const double *centers, size_t n_clusters, size_t n_features, const double *offset,
                         int samples_are_float32, void *memory)
{
    packed_centers *packed = memory;
    char *place = (char *)memory + aligned(sizeof(packed_centers));
    packed->n_clusters = n_clusters;
    packed->n_features = n_features;
    packed->n_panels = (n_clusters + TILE_CENTERS - 1) / TILE_CENTERS;
    packed->centers = centers;
    packed->offset64 = (double *)place;
    place += aligned((n_features + LANES) * sizeof(double));
    packed->offset32 = (float *)place;
    place += aligned((n_features + LANES) * sizeof(float));
    packed->panels = (float *)place;
    place += aligned((packed->n_panels * (1 + n_features) * TILE_CENTERS + LANES) * sizeof(float));
    packed->half_sq_norms = (float *)place;
    place += aligned(padded_centers(n_clusters) * sizeof(float));
    packed->norms = (float *)place;
    place += aligned(padded_centers(n_clusters) * sizeof(float));
    packed->slots = (uint32_t *)place;

    for (size_t f = 0; f < n_features + LANES; f++) {
        const double moved = f < n_features ? offset[f] : 0.0;
        packed->offset32[f] = (float)moved;
        packed->offset64[f] = samples_are_float32 ? (double)packed->offset32[f] : moved;
    }
    packed->scale =
        power_of_two_for(largest_moved(centers, n_clusters, n_features, packed->offset64), samples_are_float32);

    rounding_bounds(packed, n_features);
    double max_sq_norm = 0.0;
    for (size_t j = 0; j < padded_centers(n_clusters); j++) {
        packed->half_sq_norms[j] = HUGE_VALF;
        packed->norms[j] = 0.0f;
    }
    for (size_t j = 0; j < packed->n_panels * TILE_CENTERS; j++) {
        float *entry = packed->panels + j / TILE_CENTERS * (1 + n_features) * TILE_CENTERS + j % TILE_CENTERS;
        if (j >= n_clusters) {
            entry[0] = HUGE_VALF;
            for (size_t f = 1; f <= n_features; f++)
                entry[f * TILE_CENTERS] = 0.0f;
            continue;
        }
        const double sq_norm = pack_center(packed, centers + j * n_features, entry + TILE_CENTERS);
        entry[0] = packed->half_sq_norms[j] = (float)(0.5 * sq_norm);
        packed->norms[j] = (float)(sqrt(sq_norm) * 1.000001);
        max_sq_norm = sq_norm > max_sq_norm ? sq_norm : max_sq_norm;
    }
    packed->max_norm = (float)(sqrt(max_sq_norm) * 1.000001);
    packed->is_lowered = 0;
}

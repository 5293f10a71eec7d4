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

/* Distance of a center from a point. */
static double distance_from(const double *point, const double *center, size_t n_features)
{
    double sq = 0.0;
    for (size_t f = 0; f < n_features; f++)
        sq += (center[f] - point[f]) * (center[f] - point[f]);
    return sqrt(sq);
}

#define FAR_FROM_MEAN \
    1.5 /* of the mean distance; three centers of which one is far have it at 1.5, more have it farther */
#define OFFSET_TRIALS 4 /* each leaves out centers that hid behind farther ones */

/* The mean of the centers, then of those that are not far from it: else one far center would pull the point from all
 * samples, and the error of every score grows with their distance from it. */
static void find_offset(const double *centers, size_t n_clusters, size_t n_features, double *offset)
{
    double *mean = offset + n_features, limit = HUGE_VAL;
    size_t n_near = 0;
    memset(offset, 0, n_features * sizeof(double));
    for (int trial = 0; trial < OFFSET_TRIALS; trial++) {
        const size_t n_before = n_near;
        double distances = 0.0;
        memset(mean, 0, n_features * sizeof(double));
        n_near = 0;
        for (size_t j = 0; j < n_clusters; j++) {
            const double *center = centers + j * n_features;
            if (trial > 0 && !(distance_from(offset, center, n_features) <= limit))
                continue;
            n_near++;
            for (size_t f = 0; f < n_features; f++)
                mean[f] += center[f];
        }
        if (n_near == 0 || n_near == n_before)
            return;
        for (size_t f = 0; f < n_features; f++)
            offset[f] = mean[f] / (double)n_near;
        for (size_t j = 0; j < n_clusters; j++) {
            const double distance = distance_from(offset, centers + j * n_features, n_features);
            distances += distance <= limit ? distance : 0.0;
        }
        limit = FAR_FROM_MEAN * distances / (double)n_near;
    }
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
    double largest = 0.0;
    for (size_t j = 0; j < n_clusters; j++)
        for (size_t f = 0; f < n_features; f++) {
            const double moved = fabs(centers[j * n_features + f] - packed->offset64[f]);
            largest = moved > largest ? moved : largest;
        }
    packed->scale = power_of_two_for(largest, samples_are_float32);

    rounding_bounds(packed, n_features);
    double max_sq_norm = 0.0;
    for (size_t j = 0; j < padded_centers(n_clusters); j++) {
        packed->half_sq_norms[j] = HUGE_VALF;
        packed->norms[j] = 0.0f;
    }
    for (size_t j = 0; j < packed->n_panels * TILE_CENTERS; j++) {
        float *entry = packed->panels + j / TILE_CENTERS * (1 + n_features) * TILE_CENTERS + j % TILE_CENTERS;
        double sq_norm = 0.0;
        for (size_t f = 0; f < n_features; f++) {
            const double moved = j < n_clusters ? (centers[j * n_features + f] - packed->offset64[f]) * packed->scale
                                                : 0.0;
            entry[(1 + f) * TILE_CENTERS] = (float)moved;
            sq_norm += moved * moved;
        }
        entry[0] = packed->half_sq_norms[j] = j < n_clusters ? (float)(0.5 * sq_norm) : HUGE_VALF;
        packed->norms[j] = (float)(sqrt(sq_norm) * 1.000001);
        max_sq_norm = sq_norm > max_sq_norm ? sq_norm : max_sq_norm;
    }
    packed->max_norm = (float)(sqrt(max_sq_norm) * 1.000001);
    packed->is_lowered = 0;
}

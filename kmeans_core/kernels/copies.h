/* Centers that equal an earlier center. A tie goes to the lowest index, so they win no sample. But left among the
 * others they would bring the best and the second best score together, and every sample of such a center would go to
 * float64. */

static size_t copy_slots(size_t n_clusters)
{
    size_t n_slots = 2;
    while (n_slots < 2 * n_clusters)
        n_slots *= 2;
    return n_slots;
}

static inline uint64_t hash_with(uint64_t hash, double value)
{
    uint64_t bits;
    value += 0.0; /* -0.0 becomes 0.0 */
    memcpy(&bits, &value, sizeof bits);
    return (hash ^ bits) * 0x9e3779b97f4a7c15u;
}

/* A hash of a center, equal for -0.0 and 0.0. Eight chains, because one would wait for its multiplications. */
static inline uint64_t hash_of(const double *center, size_t n_features)
{
    uint64_t hash = 0;
    size_t f = 0;
    if (n_features >= 8) {
        uint64_t part[8] = {0};
        for (; f + 8 <= n_features; f += 8)
            for (size_t i = 0; i < 8; i++)
                part[i] = hash_with(part[i], center[f + i]);
        for (int i = 0; i < 8; i++)
            hash = (hash ^ part[i] ^ part[i] >> 32) * 0xd6e8feb86659fd93u;
    }
    for (; f < n_features; f++)
        hash = hash_with(hash, center[f]);
    return hash ^ hash >> 32;
}

static int are_equal(const double *a, const double *b, size_t n)
{
    for (size_t f = 0; f < n; f++)
        if (a[f] != b[f])
            return 0;
    return 1;
}

/* Let no center win that equals an earlier one: its score becomes infinite, as that of padding. Not for algorithms that
 * keep bounds from one step to the next, because equal centers may part.
 *   memory   INOUT, by pack_centers or pack_centers_manhattan */
static void exclude_copies(void *memory)
{
    packed_centers *packed = memory;
    const size_t n_features = packed->n_features, last = copy_slots(packed->n_clusters) - 1;
    memset(packed->slots, 0, (last + 1) * sizeof(uint32_t));
    for (size_t j = 0; j < packed->n_clusters; j++) {
        const double *center = packed->centers + j * n_features;
        size_t place = (size_t)hash_of(center, n_features) & last;
        while (packed->slots[place] != 0
               && !are_equal(center, packed->centers + (packed->slots[place] - 1) * n_features, n_features))
            place = (place + 1) & last;
        if (packed->slots[place] == 0) {
            packed->slots[place] = (uint32_t)j + 1;
            continue;
        }
        packed->panels[j / TILE_CENTERS * (1 + n_features) * TILE_CENTERS + j % TILE_CENTERS] = HUGE_VALF;
        packed->half_sq_norms[j] = packed->norms[j] = 0.0f; /* so that the bound of its score is infinite, not NaN */
    }
}

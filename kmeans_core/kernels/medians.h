/* k-medians: a block labelled by the Manhattan distance, and medians without sorting. Included once per real type.
 *
 * Labels. The slack of a sample is by how much its center was nearer than any other, plus how far centers had drifted
 * by then (its own and the farthest of the others). While the slack exceeds the present drift, the triangle inequality
 * proves the label (G. Hamerly, "Making k-means even faster", SDM 2010, with one number for both bounds).
 *
 * Medians. The code of a value is one byte that does not fall as the value grows. Histograms of the codes of each
 * cluster and feature follow the labels that change. They tell in which code a median lies and how much weight is below
 * it. So only the values of that code are gathered, and the median is selected among them. */

#ifndef FASTKMEANS_MEDIANS_SHARED
#define FASTKMEANS_MEDIANS_SHARED
#define GATHER_HITS 4096 /* values that are listed before any is read, so that they can be prefetched */
#define GATHER_AHEAD 24

static size_t median_scratch_bytes(size_t n_clusters, size_t n_features)
{
    const size_t block = block_samples(n_features);
    return aligned(scratch_bytes(n_clusters, n_features)) + aligned(block * sizeof(int32_t))
           + aligned(block * sizeof(float)) + aligned(block * sizeof(uint16_t) + sizeof(uint16_t))
           + aligned((block * n_features + LANES) * sizeof(double));
}

typedef struct {
    void *assign;
    int32_t *labels;
    float *gaps;
    uint16_t *found;
    void *rows;
} median_scratch;

static median_scratch divide_median_scratch(void *memory, size_t n_clusters, size_t n_features)
{
    const size_t block = block_samples(n_features);
    char *place = memory;
    median_scratch scratch;
    scratch.assign = place;
    place += aligned(scratch_bytes(n_clusters, n_features));
    scratch.labels = (int32_t *)place;
    place += aligned(block * sizeof(int32_t));
    scratch.gaps = (float *)place;
    place += aligned(block * sizeof(float));
    scratch.found = (uint16_t *)place;
    place += aligned(block * sizeof(uint16_t) + sizeof(uint16_t));
    scratch.rows = place;
    return scratch;
}

/* The slack of each of n samples: lead + drift, less more than what is rounded here. */
static void leads_to_slack(const float *gaps, const int32_t *labels, size_t n, float in_units, const float *drift_down,
                           float *slack)
{
    for (size_t s = 0; s < n; s++) {
        const float kept = (gaps[s] * in_units * (1.0f - 0x1p-20f) + drift_down[labels[s]]) * (1.0f - 0x1p-21f);
        slack[s] = gaps[s] > 0.0f ? kept : -HUGE_VALF; /* also for a NaN */
    }
}

/* Move a sample from one histogram to another; `from` may be -1. */
static void follow_codes(const median_step *step, size_t i, int32_t from, int32_t to, histograms counted)
{
    const size_t n_features = step->n_features, n_bins = step->n_bins;
    const uint8_t *codes = step->codes + i * n_features;
    uint32_t *in = counted.counts + (size_t)to * n_features * n_bins;
    if (from >= 0) {
        uint32_t *out = counted.counts + (size_t)from * n_features * n_bins;
        for (size_t f = 0; f < n_features; f++) {
            out[f * n_bins + codes[f]]--;
            in[f * n_bins + codes[f]]++;
        }
        counted.touched[from] = 1;
    } else {
        for (size_t f = 0; f < n_features; f++)
            in[f * n_bins + codes[f]]++;
    }
    counted.touched[to] = 1;
    if (!step->sample_weight)
        return;
    const double weight = step->sample_weight[i], coarse = (weight + step->coarse) - step->coarse;
    const double fine = ((weight - coarse) + step->fine) - step->fine;
    for (size_t f = 0; f < n_features; f++) {
        double *entry = counted.weights + 2 * (((size_t)to * n_features + f) * n_bins + codes[f]);
        entry[0] += coarse;
        entry[1] += fine;
        if (from >= 0) {
            entry = counted.weights + 2 * (((size_t)from * n_features + f) * n_bins + codes[f]);
            entry[0] -= coarse;
            entry[1] -= fine;
        }
    }
}
#endif

static void NAME(encode)(const void *any_x, size_t n_samples, size_t n_features, const double *lowest,
                         const double *per_unit, size_t n_bins, uint8_t *codes)
{
    const REAL *x = any_x;
    const REAL last = (REAL)(n_bins - 1);
    for (size_t i = 0; i < n_samples; i++)
        for (size_t f = 0; f < n_features; f++) {
            const REAL place = (x[i * n_features + f] - (REAL)lowest[f]) * (REAL)per_unit[f];
            const REAL cut = place > 0 ? place : 0; /* a NaN, an overflow times 0, becomes 0 */
            codes[i * n_features + f] = (uint8_t)(int)(cut < last ? cut : last);
        }
}

static size_t NAME(step_medians)(const void *any_x, size_t first, size_t n_samples, const median_step *step,
                                 void *memory, histograms counted, double *cost, size_t *n_decided)
{
    const REAL *x = any_x;
    const size_t n_features = step->n_features;
    const REAL *rows = x + first * n_features;
    const median_scratch scratch = divide_median_scratch(memory, step->n_clusters, n_features);
    int32_t *labels = step->labels + first;
    float *slack = step->slack + first;
    const double *weights = step->sample_weight ? step->sample_weight + first : NULL;
    size_t n_found = 0, n_changed = 0;
    double sum = 0.0;
    if (!step->whole) {
        for (size_t s = 0; s < n_samples; s++) {
            scratch.found[n_found] = (uint16_t)s;
            n_found += !(slack[s] > step->drift_up[labels[s]]);
        }
        if (n_found == 0) {
            *cost = 0.0;
            return 0;
        }
    }
    const int dense = step->whole || 2 * n_found > n_samples;
    if (dense) {
        n_found = n_samples;
        *n_decided += NAME(assign_manhattan)(rows, n_samples, step->n_samples - first, step->packed, scratch.assign,
                                             scratch.labels, scratch.gaps);
    } else {
        REAL *copies = scratch.rows;
        for (size_t i = 0; i < n_found; i++)
            prefetch_bytes((uintptr_t)(rows + scratch.found[i] * n_features), n_features * sizeof(REAL));
        for (size_t i = 0; i < n_found; i++)
            memcpy(copies + i * n_features, rows + scratch.found[i] * n_features, n_features * sizeof(REAL));
        *n_decided += NAME(assign_manhattan)(copies, n_found, n_found, step->packed, scratch.assign, scratch.labels,
                                             scratch.gaps);
    }
    leads_to_slack(scratch.gaps, scratch.labels, n_found, step->in_units, step->drift_down, scratch.gaps);
    if (dense)
        memcpy(slack, scratch.gaps, n_samples * sizeof(float));
    else
        for (size_t i = 0; i < n_found; i++)
            slack[scratch.found[i]] = scratch.gaps[i];
    if (step->whole)
        for (size_t s = 0; s < n_samples; s++)
            sum += (weights ? weights[s] : 1.0)
                   * NAME(manhattan_distance)(rows + s * n_features,
                                              step->centers + (size_t)scratch.labels[s] * n_features, n_features);
    for (size_t i = 0; i < n_found; i++) {
        const size_t s = dense ? i : scratch.found[i];
        const int32_t from = labels[s], to = scratch.labels[i];
        if (from == to)
            continue;
        if (!step->whole) {
            const double now =
                NAME(manhattan_distance)(rows + s * n_features, step->centers + (size_t)to * n_features, n_features);
            const double before =
                NAME(manhattan_distance)(rows + s * n_features, step->centers + (size_t)from * n_features, n_features);
            sum += (weights ? weights[s] : 1.0) * (now - before);
        }
        follow_codes(step, first + s, from, to, counted);
        labels[s] = to;
        n_changed++;
    }
    *cost = sum;
    return n_changed;
}

/* Read the listed values. A hit is the sample's place in the run times n_features plus the feature. */
static void NAME(take_hits)(const REAL *rows, size_t n_features, const int32_t *labels, const double *weights,
                            const uint32_t *hits, size_t n_hits, size_t *places, REAL *values, double *value_weights)
{
    for (size_t h = 0; h < n_hits; h++) {
        if (h + GATHER_AHEAD < n_hits)
            prefetch_bytes((uintptr_t)(rows + hits[h + GATHER_AHEAD]), 1);
        const size_t s = hits[h] / n_features, f = hits[h] % n_features;
        const size_t place = places[(size_t)labels[s] * n_features + f]++;
        values[place] = rows[hits[h]];
        if (weights)
            value_weights[place] = weights[s];
    }
}

static void NAME(gather_medians)(const void *any_x, size_t first, size_t n_samples, const median_step *step,
                                 const uint8_t *low, const uint8_t *width, size_t n_padded, size_t *places,
                                 void *values, double *value_weights)
{
    const REAL *x = any_x;
    const size_t n_features = step->n_features;
    uint32_t hits[GATHER_HITS + CODE_BYTES + 1];
    size_t n_hits = 0, origin = first;
    const size_t longest = 0xffffffffu / n_features / 2;
    const double *weights = step->sample_weight;
    for (size_t i = first; i < first + n_samples; i++) {
        const uint8_t *codes = step->codes + i * n_features;
        const size_t at = (size_t)step->labels[i] * n_padded;
        for (size_t f = 0; f < n_features; f += CODE_BYTES) {
            /* The first hit is listed without a branch, because many rows have one. A second one is rare. */
            uint64_t bits = codes_within(codes + f, low + at + f, width + at + f);
            const uint32_t here = (uint32_t)((i - origin) * n_features + f);
            hits[n_hits] = here + (uint32_t)__builtin_ctzll(bits | 1ull << 63);
            n_hits += bits != 0;
            for (bits &= bits - 1; bits; bits &= bits - 1)
                hits[n_hits++] = here + (uint32_t)__builtin_ctzll(bits);
            if (n_hits >= GATHER_HITS || i - origin >= longest) {
                NAME(take_hits)(x + origin * n_features, n_features, step->labels + origin,
                                weights ? weights + origin : NULL, hits, n_hits, places, values, value_weights);
                n_hits = 0;
                if (f + CODE_BYTES >= n_features)
                    origin = i + 1;
            }
        }
    }
    NAME(take_hits)(x + origin * n_features, n_features, step->labels + origin, weights ? weights + origin : NULL, hits,
                    n_hits, places, values, value_weights);
}

/* The smallest value such that the values up to it weigh at least half; it must be one of these n. Quickselect in three
 * parts (C. A. R. Hoare, "Algorithm 65: find", CACM 4(7), 1961).   values, weights   INOUT: reordered
 *   below   INOUT [2]: weight of the values that are smaller than all of these, on the grid of the weights */
static double NAME(select_half)(void *any_values, double *weights, size_t n, double *below, double half,
                                double coarse_grid, double fine_grid)
{
    REAL *values = any_values;
    uint32_t random = 2463534242u;
    while (n > 1) {
        random ^= random << 13, random ^= random >> 17, random ^= random << 5;
        const REAL a = values[random % n], b = values[(random >> 8) % n], c = values[(random >> 16) % n];
        const REAL low = a < b ? a : b, high = a < b ? b : a, middle = c < high ? c : high;
        const REAL pivot = low > middle ? low : middle;
        size_t n_less = 0, n_equal = 0;
        double less[2] = {below[0], below[1]}, equal[2];
        if (weights) {
            for (size_t i = 0; i < n; i++)
                if (values[i] < pivot) {
                    const REAL value = values[i];
                    const double weight = weights[i], part = (weight + coarse_grid) - coarse_grid;
                    less[0] += part;
                    less[1] += ((weight - part) + fine_grid) - fine_grid;
                    values[i] = values[n_less], weights[i] = weights[n_less];
                    values[n_less] = value, weights[n_less++] = weight;
                }
        } else {
            for (size_t i = 0; i < n; i++) {
                const REAL value = values[i];
                values[i] = values[n_less];
                values[n_less] = value;
                n_less += value < pivot;
            }
            less[0] += (double)n_less;
        }
        if (n_less && less[0] + less[1] >= half) {
            n = n_less;
            continue;
        }
        values += n_less, n -= n_less;
        equal[0] = less[0], equal[1] = less[1];
        if (weights) {
            weights += n_less;
            for (size_t i = 0; i < n; i++)
                if (values[i] == pivot) {
                    const REAL value = values[i];
                    const double weight = weights[i], part = (weight + coarse_grid) - coarse_grid;
                    equal[0] += part;
                    equal[1] += ((weight - part) + fine_grid) - fine_grid;
                    values[i] = values[n_equal], weights[i] = weights[n_equal];
                    values[n_equal] = value, weights[n_equal++] = weight;
                }
        } else {
            for (size_t i = 0; i < n; i++) {
                const REAL value = values[i];
                values[i] = values[n_equal];
                values[n_equal] = value;
                n_equal += value == pivot;
            }
            equal[0] += (double)n_equal;
        }
        /* Nothing equals a NaN, which a caller may write into the samples during a fit. */
        if (equal[0] + equal[1] >= half || n_equal == n || n_less + n_equal == 0)
            return pivot;
        values += n_equal, n -= n_equal;
        if (weights)
            weights += n_equal;
        below[0] = equal[0], below[1] = equal[1];
    }
    return values[0];
}

/* Sum of weight * (|value - to| - |value - from|). */
static double NAME(cost_of_move)(const void *any_values, const double *weights, size_t n, double from, double to)
{
    const REAL *values = any_values;
    double part[8] = {0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0};
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (int e = 0; e < 8; e++) {
            const double value = (double)values[i + e];
            part[e] += (weights ? weights[i + e] : 1.0) * (fabs(value - to) - fabs(value - from));
        }
    for (; i < n; i++)
        part[0] += (weights ? weights[i] : 1.0) * (fabs((double)values[i] - to) - fabs((double)values[i] - from));
    return fold_sums(part);
}

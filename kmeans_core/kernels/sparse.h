/* Sparse rows: each stored value meets all clusters at once, in vectors. Included once per real type.
 *
 * Scores, error bound and decision are those of kernels.h, but about the origin: an offset would fill the zeros. So
 * m = n_stored + 8. A decision in float64 first compares
 *     |x - c|^2 = |c|^2 + sum over the stored values of x (x - 2 c).
 * Only centers that this cannot tell apart are compared over all features, with the row made dense. So labels are
 * those of dense rows.
 */

#ifndef FASTKMEANS_SPARSE_SHARED
#define FASTKMEANS_SPARSE_SHARED
#define SPARSE_VECS 8 /* vectors of clusters that a stored value meets at a time: sums in registers, AVX2 has 16 */
#define SPARSE_SHARE 0x1p-10 /* an own squared distance below this share of |x|^2 + |c|^2 is taken over all features */

typedef struct {
    size_t n_clusters, n_features, n_vecs;
    double scale;          /* power of two */
    float max_norm;        /* of c', rounded up */
    double decision;       /* see packed_centers */
    const double *centers; /* the caller's */
    float *columns;        /* [groups of SPARSE_VECS vectors, the last with fewer][n_features][vectors][LANES]: c' */
    float *half_sq_norms;  /* [n_vecs * LANES]: |c'|^2 / 2, infinite beyond the clusters */
    double *sq_norms;      /* [n_clusters]: |c|^2 */
} sparse_centers;

static size_t vecs_of(size_t n_clusters) { return (n_clusters + LANES - 1) / LANES; }

static sparse_centers *divide_sparse_centers(arena *parts, size_t n_clusters, size_t n_features)
{
    sparse_centers *packed = take(parts, sizeof(sparse_centers));
    const size_t padded = vecs_of(n_clusters) * LANES;
    float *columns = take(parts, padded * n_features * sizeof(float));
    float *half_sq_norms = take(parts, padded * sizeof(float));
    double *sq_norms = take(parts, n_clusters * sizeof(double));
    if (packed) {
        packed->columns = columns;
        packed->half_sq_norms = half_sq_norms;
        packed->sq_norms = sq_norms;
    }
    return packed;
}

/* Where they lie in the memory that pack_sparse_centers filled. */
static const sparse_centers *sparse_centers_in(const void *memory)
{
    arena parts = arena_in((void *)memory);
    return take(&parts, sizeof(sparse_centers));
}

static size_t sparse_centers_bytes(size_t n_clusters, size_t n_features)
{
    arena parts = arena_in(NULL);
    divide_sparse_centers(&parts, n_clusters, n_features);
    return arena_bytes(&parts);
}

/* |c|^2 in eight interleaved sums. */
static double sq_norm_of(const double *c, size_t n)
{
    double part[8] = {0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0};
    for (size_t f = 0; f < n; f++)
        part[f % 8] += c[f] * c[f];
    return ((part[0] + part[1]) + (part[2] + part[3])) + ((part[4] + part[5]) + (part[6] + part[7]));
}

static void pack_sparse_centers(const double *centers, size_t n_clusters, size_t n_features, int samples_are_float32,
                                void *memory)
{
    arena parts = arena_in(memory);
    sparse_centers *packed = divide_sparse_centers(&parts, n_clusters, n_features);
    packed->n_clusters = n_clusters;
    packed->n_features = n_features;
    packed->n_vecs = vecs_of(n_clusters);
    packed->centers = centers;
    packed->decision = (double)n_features * 0x1p-51 + 0x1p-47;
    double largest = 0.0, max_sq_norm = 0.0;
    for (size_t i = 0; i < n_clusters * n_features; i++)
        largest = fabs(centers[i]) > largest ? fabs(centers[i]) : largest;
    packed->scale = power_of_two_for(largest, samples_are_float32);
    for (size_t j = 0; j < packed->n_vecs * LANES; j++)
        packed->half_sq_norms[j] = HUGE_VALF;
    for (size_t j = 0; j < n_clusters; j++) {
        const double sq_norm = packed->sq_norms[j] = sq_norm_of(centers + j * n_features, n_features);
        const double scaled = sq_norm * packed->scale * packed->scale;
        packed->half_sq_norms[j] = (float)(0.5 * scaled);
        max_sq_norm = scaled > max_sq_norm ? scaled : max_sq_norm;
    }
    packed->max_norm = (float)(sqrt(max_sq_norm) * 1.000001);
    float *group = packed->columns;
    for (size_t v = 0; v < packed->n_vecs; v += SPARSE_VECS) {
        const size_t width = packed->n_vecs - v < SPARSE_VECS ? packed->n_vecs - v : SPARSE_VECS;
        for (size_t l = 0; l < width * LANES; l++) {
            const size_t j = v * LANES + l;
            for (size_t f = 0; f < n_features; f++)
                group[f * width * LANES + l] = j < n_clusters ? (float)(centers[j * n_features + f] * packed->scale)
                                                              : 0.0f;
        }
        group += width * LANES * n_features;
    }
}

/* scratch of a thread: scores, candidates, and a row of zeros that is dense for a decision. */
typedef struct {
    float *scores;       /* [n_vecs * LANES] */
    int32_t *candidates; /* [n_clusters] */
    double *sq;          /* [n_clusters] */
    void *dense;         /* [n_features] reals, zeros between decisions */
} sparse_scratch;

static sparse_scratch divide_sparse_scratch(arena *parts, size_t n_clusters, size_t n_features)
{
    sparse_scratch scratch;
    scratch.scores = take(parts, vecs_of(n_clusters) * LANES * sizeof(float));
    scratch.candidates = take(parts, n_clusters * sizeof(int32_t));
    scratch.sq = take(parts, n_clusters * sizeof(double));
    scratch.dense = take(parts, n_features * sizeof(double));
    return scratch;
}

static size_t sparse_scratch_bytes(size_t n_clusters, size_t n_features)
{
    arena parts = arena_in(NULL);
    divide_sparse_scratch(&parts, n_clusters, n_features);
    return arena_bytes(&parts);
}

static int same_center(const double *a, const double *b, size_t n_features)
{
    for (size_t f = 0; f < n_features; f++)
        if (a[f] != b[f])
            return 0;
    return 1;
}
#endif

/* One stored row. */
typedef struct {
    const REAL *values;
    const int32_t *features;
    size_t n_stored;
} NAME(sparse_row);

static inline NAME(sparse_row) NAME(row_at)(const sparse_rows *rows, size_t i)
{
    const size_t first = (size_t)rows->starts[i];
    return (NAME(sparse_row)){(const REAL *)rows->values + first, rows->features + first,
                              (size_t)rows->starts[i + 1] - first};
}

/* Scores of `width` vectors of clusters.   columns, half_sq_norms   of these;   scores   OUT [width][LANES]
 * Registers: `width` sums and x; c' comes from memory. */
static inline
    __attribute__((always_inline)) void NAME(score_sparse)(NAME(sparse_row) row, REAL scale, const float *columns,
                                                           const float *half_sq_norms, float *scores, const int width)
{
    vec sum[SPARSE_VECS];
    for (int v = 0; v < width; v++)
        sum[v] = v_load(half_sq_norms + v * LANES);
    for (size_t e = 0; e < row.n_stored; e++) {
        const vec x = v_splat((float)(row.values[e] * scale));
        const float *c = columns + (size_t)row.features[e] * (size_t)(width * LANES);
#pragma GCC unroll 8
        for (int v = 0; v < width; v++)
            sum[v] = v_fnmadd(sum[v], x, v_load(c + v * LANES));
    }
    for (int v = 0; v < width; v++)
        v_store(scores + v * LANES, sum[v]);
}

static void NAME(score_sparse_group)(NAME(sparse_row) row, REAL scale, const float *columns, const float *half_sq_norms,
                                     float *scores, size_t width)
{
    switch (width) {
    case 1: NAME(score_sparse)(row, scale, columns, half_sq_norms, scores, 1); break;
    case 2: NAME(score_sparse)(row, scale, columns, half_sq_norms, scores, 2); break;
    case 3: NAME(score_sparse)(row, scale, columns, half_sq_norms, scores, 3); break;
    case 4: NAME(score_sparse)(row, scale, columns, half_sq_norms, scores, 4); break;
    case 5: NAME(score_sparse)(row, scale, columns, half_sq_norms, scores, 5); break;
    case 6: NAME(score_sparse)(row, scale, columns, half_sq_norms, scores, 6); break;
    case 7: NAME(score_sparse)(row, scale, columns, half_sq_norms, scores, 7); break;
    default: NAME(score_sparse)(row, scale, columns, half_sq_norms, scores, SPARSE_VECS); break;
    }
}

/* |x - c|^2 - |c|^2, one stored value after the other. */
static double NAME(stored_sq)(NAME(sparse_row) row, const double *c)
{
    double sum = 0.0;
    for (size_t e = 0; e < row.n_stored; e++) {
        const double x = row.values[e];
        sum += x * (x - 2.0 * c[row.features[e]]);
    }
    return sum;
}

static double NAME(stored_sq_norm)(NAME(sparse_row) row)
{
    double sum = 0.0;
    for (size_t e = 0; e < row.n_stored; e++)
        sum += (double)row.values[e] * (double)row.values[e];
    return sum;
}

static void NAME(fill_dense)(NAME(sparse_row) row, REAL *dense)
{
    for (size_t e = 0; e < row.n_stored; e++)
        dense[row.features[e]] = row.values[e];
}

static void NAME(clear_dense)(NAME(sparse_row) row, REAL *dense)
{
    for (size_t e = 0; e < row.n_stored; e++)
        dense[row.features[e]] = 0;
}

/* The nearest of some centers in float64, the first of equals.   candidates   IN [count], ascending */
static int32_t NAME(decide_sparse)(NAME(sparse_row) row, const sparse_centers *packed, sparse_scratch scratch,
                                   size_t count)
{
    const size_t n_features = packed->n_features;
    const double norm = sqrt(NAME(stored_sq_norm)(row));
    double least_upper = HUGE_VAL;
    for (size_t c = 0; c < count; c++) {
        const size_t j = (size_t)scratch.candidates[c];
        const double reach = norm + sqrt(packed->sq_norms[j]);
        const double error = ((double)row.n_stored * 0x1p-51 + packed->decision) * (reach * reach);
        const double sq = packed->sq_norms[j] + NAME(stored_sq)(row, packed->centers + j * n_features);
        least_upper = sq + error < least_upper ? sq + error : least_upper;
        scratch.sq[c] = sq - error;
    }
    size_t n_left = 0;
    for (size_t c = 0; c < count; c++)
        if (!(scratch.sq[c] > least_upper))
            scratch.candidates[n_left++] = scratch.candidates[c];
    int32_t label = scratch.candidates[0];
    if (n_left == 1)
        return label;
    double nearest_sq = HUGE_VAL;
    NAME(fill_dense)(row, scratch.dense);
    for (size_t c = 0; c < n_left; c++) {
        const size_t j = (size_t)scratch.candidates[c];
        const double *center = packed->centers + j * n_features;
        if (c > 0 && same_center(center, packed->centers + (size_t)label * n_features, n_features))
            continue;
        const double sq = NAME(sq_distance)(scratch.dense, center, n_features);
        if (sq < nearest_sq) {
            nearest_sq = sq;
            label = (int32_t)j;
        }
    }
    NAME(clear_dense)(row, scratch.dense);
    return label;
}

static size_t NAME(assign_sparse)(const sparse_rows *rows, size_t first, size_t n_samples, const float *norms,
                                  const void *centers, void *memory, int32_t *labels)
{
    const sparse_centers *packed = sparse_centers_in(centers);
    arena parts = arena_in(memory);
    const sparse_scratch scratch = divide_sparse_scratch(&parts, packed->n_clusters, packed->n_features);
    const double tiny = (double)packed->n_features * 0x1p-120, per_norm = packed->scale / rows->norm_unit;
    const float *norm_of = norms + first;
    size_t n_decided = 0;
    for (size_t i = 0; i < n_samples; i++) {
        const NAME(sparse_row) row = NAME(row_at)(rows, first + i);
        const float *columns = packed->columns;
        vec least = v_splat(HUGE_VALF);
        for (size_t v = 0; v < packed->n_vecs; v += SPARSE_VECS) {
            const size_t width = packed->n_vecs - v < SPARSE_VECS ? packed->n_vecs - v : SPARSE_VECS;
            NAME(score_sparse_group)(row, (REAL)packed->scale, columns, packed->half_sq_norms + v * LANES,
                                     scratch.scores + v * LANES, width);
            columns += width * LANES * packed->n_features;
        }
        for (size_t v = 0; v < packed->n_vecs; v++)
            least = v_min(least, v_load(scratch.scores + v * LANES));
        float lanes[LANES], best = HUGE_VALF;
        v_store(lanes, least);
        for (int l = 0; l < LANES; l++)
            best = lanes[l] < best ? lanes[l] : best;
        const double unit = 0x1p-24 * (double)(row.n_stored + 8), norm = norm_of[i] * per_norm, of = packed->max_norm;
        const double gamma = unit < 0.5 ? unit / (1.0 - unit) * 1.001 : HUGE_VAL;
        const double error = gamma * (0.5 * of * of + norm * of) + packed->decision * ((norm + of) * (norm + of))
                             + tiny;
        const vec limit = v_splat((float)((best + 2.0 * error) + fabs((double)best) * 0x1p-22));
        size_t count = 0;
        for (size_t v = 0; v < packed->n_vecs; v++)
            for (uint32_t bits = ~v_bits(v_less(limit, v_load(scratch.scores + v * LANES))) & ALL_LANES; bits;
                 bits &= bits - 1) {
                const size_t j = v * LANES + (size_t)__builtin_ctz(bits);
                if (j < packed->n_clusters)
                    scratch.candidates[count++] = (int32_t)j;
            }
        labels[i] = count == 1 ? scratch.candidates[0] : NAME(decide_sparse)(row, packed, scratch, count);
        n_decided += count != 1;
    }
    return n_decided;
}

/* Length of each row times norm_unit, rounded up.   norms   OUT [n_samples], of the rows from `first` on */
static void NAME(norms_sparse)(const sparse_rows *rows, size_t first, size_t n_samples, float *norms)
{
    for (size_t i = 0; i < n_samples; i++) {
        const NAME(sparse_row) row = NAME(row_at)(rows, first + i);
        double sum = 0.0;
        for (size_t e = 0; e < row.n_stored; e++) {
            const double x = (double)row.values[e] * rows->norm_unit;
            sum += x * x;
        }
        norms[i] = (float)(sqrt(sum) * 1.000001 + 0x1p-120);
    }
}

/* Add sign * weight * x to the sums of a cluster. */
static void NAME(add_sparse)(NAME(sparse_row) row, size_t n_features, double weight, double sign, sum_grid grid,
                             double *sums)
{
    double *fine_sums = sums + n_features + 1;
    for (size_t e = 0; e < row.n_stored; e++) {
        const size_t f = (size_t)row.features[e];
        const value_parts parts = split_value(weight * (double)row.values[e], grid.coarse[f], grid.fine[f]);
        sums[f] += sign * parts.coarse;
        fine_sums[f] += sign * parts.fine;
    }
    const value_parts parts = split_value(weight, grid.coarse[n_features], grid.fine[n_features]);
    sums[n_features] += sign * parts.coarse;
    fine_sums[n_features] += sign * parts.fine;
}

static size_t NAME(follow_sparse)(const sparse_rows *rows, size_t first, size_t n_samples, size_t n_features,
                                  const double *sample_weight, const int32_t *new_labels, int32_t *old_labels,
                                  sum_grid grid, double *sums, uint8_t *touched)
{
    const size_t stride = 2 * (n_features + 1);
    size_t n_changed = 0;
    for (size_t i = 0; i < n_samples; i++) {
        if (new_labels[i] == old_labels[i])
            continue;
        const NAME(sparse_row) row = NAME(row_at)(rows, first + i);
        const double weight = sample_weight ? sample_weight[i] : 1.0;
        if (old_labels[i] >= 0)
            NAME(add_sparse)(row, n_features, weight, -1.0, grid, begun_sums(sums, stride, touched, old_labels[i]));
        NAME(add_sparse)(row, n_features, weight, 1.0, grid, begun_sums(sums, stride, touched, new_labels[i]));
        old_labels[i] = new_labels[i];
        n_changed++;
    }
    return n_changed;
}

/* Squared distance of each row to the center of its label: by its stored values, or over all features if digits cancel.
 *   sq_norms   IN [n_clusters]: |c|^2      dense   scratch [n_features] reals, zeros */
static void NAME(own_sq_distances_sparse)(const sparse_rows *rows, size_t first, size_t n_samples, size_t n_features,
                                          const double *centers, const double *sq_norms, const int32_t *labels,
                                          void *dense, double *sq_distances)
{
    for (size_t i = 0; i < n_samples; i++) {
        const NAME(sparse_row) row = NAME(row_at)(rows, first + i);
        const double *center = centers + (size_t)labels[i] * n_features, sq_norm = sq_norms[labels[i]];
        double sq = sq_norm + NAME(stored_sq)(row, center);
        if (!(sq > SPARSE_SHARE * (sq_norm + NAME(stored_sq_norm)(row)))) {
            NAME(fill_dense)(row, dense);
            sq = NAME(sq_distance)(dense, center, n_features);
            NAME(clear_dense)(row, dense);
        }
        sq_distances[i] = sq;
    }
}

/* Squared distance of each row to eight targets, by the stored values; not below 0.
 *   columns   IN [n_features][8]    sq_norms   IN [8]    sq_distances   OUT [n_samples][8] */
static void NAME(eight_sq_distances_sparse)(const sparse_rows *rows, size_t first, size_t n_samples,
                                            const double *columns, const double *sq_norms, double *sq_distances)
{
    for (size_t i = 0; i < n_samples; i++) {
        const NAME(sparse_row) row = NAME(row_at)(rows, first + i);
        double sum[8] = {0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0};
        for (size_t e = 0; e < row.n_stored; e++) {
            const double x = row.values[e], *c = columns + (size_t)row.features[e] * 8;
            for (int t = 0; t < 8; t++)
                sum[t] += x * (x - 2.0 * c[t]);
        }
        for (int t = 0; t < 8; t++) {
            const double sq = sq_norms[t] + sum[t];
            sq_distances[i * 8 + t] = sq > 0.0 ? sq : 0.0;
        }
    }
}

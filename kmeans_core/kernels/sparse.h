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
#define PACKED_TOGETHER 16 /* features: two cache lines of each center */
#define SCORED_AHEAD 12 /* stored values; the ends of short rows are guessed wrongly, so columns are asked for early */
#define SPARSE_VECS 8   /* vectors of clusters that a stored value meets at a time: sums in registers, AVX2 has 16 */

typedef struct {
    size_t n_clusters, n_features, n_vecs;
    double scale;          /* power of two */
    float max_norm;        /* of c', rounded up */
    double decision;       /* see packed_centers */
    const double *centers; /* the caller's */
    float *columns;        /* [groups of SPARSE_VECS vectors, the last with fewer][n_features][vectors][LANES]: c' */
    float *half_sq_norms;  /* [n_vecs * LANES]: |c'|^2 / 2, infinite beyond the clusters */
    double *sq_norms;      /* [n_clusters]: |c|^2 */
    size_t n_nodes;
    double *trees;   /* [n_clusters][n_nodes] of fill_tree */
    double *by_node; /* the same, [n_nodes][n_vecs * LANES], EMPTY_NODE beyond the clusters */
} sparse_centers;

/* How sq_distance halves, and what it makes of its eight sums. */
#define PAIRWISE_LEAF 128
#define EMPTY_NODE (-1.0)
/* Adding up a tree for one center takes as long as for so many vectors of centers. */
#define TREES_TOGETHER 8
static size_t pairwise_half(size_t n) { return n / 2 - n / 2 % 8; }
static void sum_of_leaf(const double *part, double *sum)
{
    *sum = ((part[0] + part[1]) + (part[2] + part[3])) + ((part[4] + part[5]) + (part[6] + part[7]));
}

/* Levels of such a tree, and one. */
static size_t levels_of(size_t n)
{
    size_t levels = 2;
    for (; n > PAIRWISE_LEAF; n -= pairwise_half(n))
        levels++;
    return levels;
}

static size_t vecs_of(size_t n_clusters) { return (n_clusters + LANES - 1) / LANES; }

/* Nodes of the tree by which sq_distance adds n terms up. Node 1 is the root, 2 i and 2 i + 1 are halves of node i. */
static size_t nodes_of(size_t n)
{
    size_t nodes = 2;
    for (; n > PAIRWISE_LEAF; n -= pairwise_half(n))
        nodes *= 2;
    return nodes;
}

/* |c|^2 over each node of that tree, or EMPTY_NODE where c is zero.   tree   OUT [nodes]      the value of the node */
static double fill_tree(const double *c, size_t n, size_t node, double *tree)
{
    double sum = EMPTY_NODE;
    if (n > PAIRWISE_LEAF) {
        const size_t half = pairwise_half(n);
        const double left = fill_tree(c, half, 2 * node, tree),
                     right = fill_tree(c + half, n - half, 2 * node + 1, tree);
        if (!(left < 0.0 && right < 0.0))
            sum = (left < 0.0 ? 0.0 : left) + (right < 0.0 ? 0.0 : right);
    } else {
        vdouble parts[8 / VD_LANES], largest = {0.0};
        double part[8], tail = 0.0;
        size_t f = 0;
        for (int p = 0; p < 8 / VD_LANES; p++)
            parts[p] = (vdouble){0.0};
        for (; f + 8 <= n; f += 8)
            for (int p = 0; p < 8 / VD_LANES; p++) {
                const vdouble own = vd_load(c + f + p * VD_LANES);
                parts[p] += own * own;
                largest = vd_max(largest, vd_abs(own));
            }
        for (int p = 0; p < 8 / VD_LANES; p++)
            vd_store(part + p * VD_LANES, parts[p]);
        sum_of_leaf(part, &tail);
        int is_empty = 1; /* squares may underflow */
        for (int l = 0; l < VD_LANES; l++)
            is_empty &= largest[l] == 0.0;
        for (; f < n; f++) {
            tail += c[f] * c[f];
            is_empty &= c[f] == 0.0;
        }
        sum = is_empty ? EMPTY_NODE : tail;
    }
    return tree[node] = sum;
}

static sparse_centers *divide_sparse_centers(arena *parts, size_t n_clusters, size_t n_features)
{
    sparse_centers *packed = take(parts, sizeof(sparse_centers));
    const size_t padded = vecs_of(n_clusters) * LANES;
    float *columns = take(parts, padded * n_features * sizeof(float));
    float *half_sq_norms = take(parts, padded * sizeof(float));
    double *sq_norms = take(parts, n_clusters * sizeof(double));
    double *trees = take(parts, n_clusters * nodes_of(n_features) * sizeof(double));
    double *by_node = take(parts, padded * nodes_of(n_features) * sizeof(double));
    if (packed) {
        packed->trees = trees;
        packed->by_node = by_node;
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

static double largest_of(const double *values, size_t count)
{
    vdouble lanes = {0.0};
    double largest = 0.0;
    size_t i = 0;
    for (; i + VD_LANES <= count; i += VD_LANES)
        lanes = vd_max(lanes, vd_abs(vd_load(values + i)));
    for (int l = 0; l < VD_LANES; l++)
        largest = lanes[l] > largest ? lanes[l] : largest;
    for (; i < count; i++)
        largest = fabs(values[i]) > largest ? fabs(values[i]) : largest;
    return largest;
}

/* Lay out the columns of one group.   centers   IN [count][n_features]      columns   OUT [n_features][lanes]
 * Some features at a time: each of the group's rows is read, and each of its columns written, line by line. */
static void pack_columns(const double *centers, size_t count, size_t n_features, double scale, size_t lanes,
                         float *columns)
{
    for (size_t start = 0; start < n_features; start += PACKED_TOGETHER) {
        const size_t end = n_features - start < PACKED_TOGETHER ? n_features : start + PACKED_TOGETHER;
        for (size_t l = 0; l < lanes; l++) {
            const double *c = centers + l * n_features;
            for (size_t f = start; f < end; f++)
                columns[f * lanes + l] = l < count ? (float)(c[f] * scale) : 0.0f;
        }
    }
}

static void fill_by_node(sparse_centers *packed)
{
    const size_t padded = packed->n_vecs * LANES;
    for (size_t node = 0; node < packed->n_nodes; node++)
        for (size_t j = 0; j < padded; j++)
            packed->by_node[node * padded + j] = j < packed->n_clusters ? packed->trees[j * packed->n_nodes + node]
                                                                        : EMPTY_NODE;
}

static void pack_sparse_centers(const double *centers, size_t n_clusters, size_t n_features, int samples_are_float32,
                                void *memory)
{
    arena parts = arena_in(memory);
    sparse_centers *packed = divide_sparse_centers(&parts, n_clusters, n_features);
    packed->n_clusters = n_clusters;
    packed->n_features = n_features;
    packed->n_vecs = vecs_of(n_clusters);
    packed->n_nodes = nodes_of(n_features);
    packed->centers = centers;
    packed->decision = (double)n_features * 0x1p-51 + 0x1p-47;
    double max_sq_norm = 0.0;
    packed->scale = power_of_two_for(largest_of(centers, n_clusters * n_features), samples_are_float32);
    for (size_t j = 0; j < packed->n_vecs * LANES; j++)
        packed->half_sq_norms[j] = HUGE_VALF;
    for (size_t j = 0; j < n_clusters; j++) {
        const double sum = fill_tree(centers + j * n_features, n_features, 1, packed->trees + j * packed->n_nodes);
        const double sq_norm = packed->sq_norms[j] = sum < 0.0 ? 0.0 : sum;
        const double scaled = sq_norm * packed->scale * packed->scale;
        packed->half_sq_norms[j] = (float)(0.5 * scaled);
        max_sq_norm = scaled > max_sq_norm ? scaled : max_sq_norm;
    }
    packed->max_norm = (float)(sqrt(max_sq_norm) * 1.000001);
    float *group = packed->columns;
    for (size_t v = 0; v < packed->n_vecs; v += SPARSE_VECS) {
        const size_t width = packed->n_vecs - v < SPARSE_VECS ? packed->n_vecs - v : SPARSE_VECS;
        const size_t left = n_clusters - v * LANES, lanes = width * LANES;
        pack_columns(centers + v * LANES * n_features, left < lanes ? left : lanes, n_features, packed->scale, lanes,
                     group);
        group += lanes * n_features;
    }
    fill_by_node(packed);
}

/* scratch of a thread: scores, candidates, and a row of zeros that is dense for a decision. */
typedef struct {
    float *scores;       /* [n_vecs * LANES] */
    int32_t *candidates; /* [n_clusters] */
    double *sq;          /* [n_clusters] */
    double *sums;        /* [levels_of][n_vecs * LANES] */
    void *dense;         /* [n_features] reals, zeros between decisions */
} sparse_scratch;

static sparse_scratch divide_sparse_scratch(arena *parts, size_t n_clusters, size_t n_features)
{
    sparse_scratch scratch;
    scratch.scores = take(parts, vecs_of(n_clusters) * LANES * sizeof(float));
    scratch.candidates = take(parts, n_clusters * sizeof(int32_t));
    scratch.sq = take(parts, n_clusters * sizeof(double));
    scratch.sums = take(parts, levels_of(n_features) * vecs_of(n_clusters) * LANES * sizeof(double));
    scratch.dense = take(parts, n_features * sizeof(double));
    return scratch;
}

static size_t sparse_scratch_bytes(size_t n_clusters, size_t n_features)
{
    arena parts = arena_in(NULL);
    divide_sparse_scratch(&parts, n_clusters, n_features);
    return arena_bytes(&parts);
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
 *   n_readable   features from the row's first on: those of later rows are asked for, too
 * Registers: `width` sums and x; c' comes from memory. */
static inline
    __attribute__((always_inline)) void NAME(score_sparse)(NAME(sparse_row) row, size_t n_readable, REAL scale,
                                                           const float *columns, const float *half_sq_norms,
                                                           float *scores, const int width)
{
    vec sum[SPARSE_VECS];
    for (int v = 0; v < width; v++)
        sum[v] = v_load(half_sq_norms + v * LANES);
    for (size_t e = 0; e < row.n_stored; e++) {
        const vec x = v_splat((float)(row.values[e] * scale));
        const float *c = columns + (size_t)row.features[e] * (size_t)(width * LANES);
        if (e + SCORED_AHEAD < n_readable) {
            const size_t feature = (size_t)row.features[e + SCORED_AHEAD];
            const char *next = (const char *)(columns + feature * (size_t)(width * LANES));
#pragma GCC unroll 8
            for (size_t b = 0; b < (size_t)width * LANES * sizeof(float); b += 64)
                __builtin_prefetch(next + b);
        }
#pragma GCC unroll 8
        for (int v = 0; v < width; v++)
            sum[v] = v_fnmadd(sum[v], x, v_load(c + v * LANES));
    }
    for (int v = 0; v < width; v++)
        v_store(scores + v * LANES, sum[v]);
}

static void NAME(score_sparse_group)(NAME(sparse_row) row, size_t n_readable, REAL scale, const float *columns,
                                     const float *half_sq_norms, float *scores, size_t width)
{
    switch (width) {
    case 1: NAME(score_sparse)(row, n_readable, scale, columns, half_sq_norms, scores, 1); break;
    case 2: NAME(score_sparse)(row, n_readable, scale, columns, half_sq_norms, scores, 2); break;
    case 3: NAME(score_sparse)(row, n_readable, scale, columns, half_sq_norms, scores, 3); break;
    case 4: NAME(score_sparse)(row, n_readable, scale, columns, half_sq_norms, scores, 4); break;
    case 5: NAME(score_sparse)(row, n_readable, scale, columns, half_sq_norms, scores, 5); break;
    case 6: NAME(score_sparse)(row, n_readable, scale, columns, half_sq_norms, scores, 6); break;
    case 7: NAME(score_sparse)(row, n_readable, scale, columns, half_sq_norms, scores, 7); break;
    default: NAME(score_sparse)(row, n_readable, scale, columns, half_sq_norms, scores, SPARSE_VECS); break;
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

/* What sq_distance gives for a row and zeros over at least eight features, at most a leaf. */
static double NAME(leaf_sq_norm)(const int32_t *features, const REAL *values, size_t n_stored, size_t first, size_t n)
{
    double part[8] = {0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0}, sum;
    size_t e = 0;
    for (; e < n_stored && (size_t)features[e] - first < n / 8 * 8; e++)
        part[((size_t)features[e] - first) % 8] += (double)values[e] * (double)values[e];
    sum_of_leaf(part, &sum);
    for (; e < n_stored; e++)
        sum += (double)values[e] * (double)values[e];
    return sum;
}

/* What sq_distance gives for a row and a node of the tree of a center, to the last bit.
 *   features, values   the row's [n_stored] of the node      dense   the row, from the first feature of the node on
 *   c                  the same of the center                first   number of that feature
 * Subtrees where the row stores nothing are known. So few features are read, although all of them decide ties. */
static double NAME(node_sq)(const int32_t *features, const REAL *values, size_t n_stored, const REAL *dense,
                            const double *c, size_t first, size_t n, size_t node, const double *tree)
{
    const double own = tree[node];
    if (n_stored == 0)
        return own < 0.0 ? 0.0 : own;
    if (n > PAIRWISE_LEAF) {
        const size_t half = pairwise_half(n), middle = first + half;
        size_t left = 0;
        while (left < n_stored && (size_t)features[left] < middle)
            left++;
        return NAME(node_sq)(features, values, left, dense, c, first, half, 2 * node, tree)
               + NAME(node_sq)(features + left, values + left, n_stored - left, dense + half, c + half, middle,
                               n - half, 2 * node + 1, tree);
    }
    if (!(own < 0.0) || n < 8)
        return NAME(sq_distance)(dense, c, n);
    return NAME(leaf_sq_norm)(features, values, n_stored, first, n);
}

/* Add to the sums of all clusters, which are 0 if is_first, what node_sq gives where the row stores nothing. */
static void NAME(add_zeros_sq)(const sparse_centers *packed, size_t node, int is_first, double *sums)
{
    const double *own = packed->by_node + node * packed->n_vecs * LANES;
    for (size_t j = 0; j < packed->n_vecs * LANES; j += VD_LANES) {
        const vdouble others = is_first ? (vdouble){0.0} : vd_load(sums + j);
        vd_store(sums + j, others + vd_max(vd_load(own + j), (vdouble){0.0}));
    }
}

/* As node_sq for all candidates at once: of 50 texts as first centers, most are equally far from most other texts.
 *   sums   OUT [n_vecs * LANES] by cluster, more of them as scratch; only those of candidates mean something */
static void NAME(nodes_sq)(const int32_t *features, const REAL *values, size_t n_stored, const sparse_centers *packed,
                           const sparse_scratch *scratch, size_t count, size_t first, size_t n, size_t node,
                           double *sums)
{
    const size_t padded = packed->n_vecs * LANES;
    const REAL *dense = (const REAL *)scratch->dense + first;
    if (n_stored == 0) {
        NAME(add_zeros_sq)(packed, node, 1, sums);
        return;
    }
    if (n > PAIRWISE_LEAF) {
        const size_t half = pairwise_half(n), middle = first + half;
        size_t left = 0;
        while (left < n_stored && (size_t)features[left] < middle)
            left++;
        if (left)
            NAME(nodes_sq)(features, values, left, packed, scratch, count, first, half, 2 * node, sums);
        if (left == n_stored) {
            NAME(add_zeros_sq)(packed, 2 * node + 1, 0, sums);
            return;
        }
        double *right = left ? sums + padded : sums;
        NAME(nodes_sq)(features + left, values + left, n_stored - left, packed, scratch, count, middle, n - half,
                       2 * node + 1, right);
        if (left == 0)
            NAME(add_zeros_sq)(packed, 2 * node, 0, sums);
        else
            for (size_t j = 0; j < padded; j += VD_LANES)
                vd_store(sums + j, vd_load(sums + j) + vd_load(right + j));
        return;
    }
    const double alone = n < 8 ? 0.0 : NAME(leaf_sq_norm)(features, values, n_stored, first, n);
    const double *own = packed->by_node + node * padded;
    for (size_t j = 0; j < padded; j++)
        sums[j] = alone;
    for (size_t c = 0; c < count; c++) {
        const size_t j = (size_t)scratch->candidates[c];
        if (!(own[j] < 0.0) || n < 8)
            sums[j] = NAME(sq_distance)(dense, packed->centers + j * packed->n_features + first, n);
    }
}

/* Squared distances of the row, which scratch holds dense, to all candidates.   scratch->sq   OUT [count] */
static void NAME(sq_to_candidates)(NAME(sparse_row) row, const sparse_centers *packed, const sparse_scratch *scratch,
                                   size_t count)
{
    const size_t n_features = packed->n_features;
    if (TREES_TOGETHER * count * VD_LANES > packed->n_vecs * LANES) {
        NAME(nodes_sq)(row.features, row.values, row.n_stored, packed, scratch, count, 0, n_features, 1, scratch->sums);
        for (size_t c = 0; c < count; c++)
            scratch->sq[c] = scratch->sums[scratch->candidates[c]];
        return;
    }
    for (size_t c = 0; c < count; c++) {
        const size_t j = (size_t)scratch->candidates[c];
        scratch->sq[c] = NAME(node_sq)(row.features, row.values, row.n_stored, scratch->dense,
                                       packed->centers + j * n_features, 0, n_features, 1,
                                       packed->trees + j * packed->n_nodes);
    }
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
    NAME(sq_to_candidates)(row, packed, &scratch, n_left);
    NAME(clear_dense)(row, scratch.dense);
    for (size_t c = 0; c < n_left; c++)
        if (scratch.sq[c] < nearest_sq) {
            nearest_sq = scratch.sq[c];
            label = scratch.candidates[c];
        }
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
    const int64_t end = rows->starts[first + n_samples];
    size_t n_decided = 0;
    for (size_t i = 0; i < n_samples; i++) {
        const NAME(sparse_row) row = NAME(row_at)(rows, first + i);
        const float *columns = packed->columns;
        vec least = v_splat(HUGE_VALF);
        for (size_t v = 0; v < packed->n_vecs; v += SPARSE_VECS) {
            const size_t width = packed->n_vecs - v < SPARSE_VECS ? packed->n_vecs - v : SPARSE_VECS;
            NAME(score_sparse_group)(row, (size_t)(end - rows->starts[first + i]), (REAL)packed->scale, columns,
                                     packed->half_sq_norms + v * LANES, scratch.scores + v * LANES, width);
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

#ifndef FASTKMEANS_SPARSE_TREES
#define FASTKMEANS_SPARSE_TREES
static void fill_trees(const double *centers, size_t n_clusters, size_t n_features, double *trees)
{
    for (size_t j = 0; j < n_clusters; j++)
        fill_tree(centers + j * n_features, n_features, 1, trees + j * nodes_of(n_features));
}
#endif

/* Squared distance of each row to the center of its label: by its stored values; as a dense row if digits cancel.
 *   sq_norms   IN [n_clusters]: |c|^2      trees   of fill_trees      dense   scratch [n_features] reals, zeros */
static void NAME(own_sq_distances_sparse)(const sparse_rows *rows, size_t first, size_t n_samples, size_t n_features,
                                          const double *centers, const double *sq_norms, const double *trees,
                                          int as_dense, const int32_t *labels, void *dense, double *sq_distances)
{
    const size_t n_nodes = nodes_of(n_features);
    for (size_t i = 0; i < n_samples; i++) {
        const NAME(sparse_row) row = NAME(row_at)(rows, first + i);
        const size_t j = (size_t)labels[i];
        const double *center = centers + j * n_features;
        double sq = sq_norms[j] + NAME(stored_sq)(row, center);
        if (as_dense || !(sq > SPARSE_SHARE * (sq_norms[j] + NAME(stored_sq_norm)(row)))) {
            NAME(fill_dense)(row, dense);
            sq = NAME(node_sq)(row.features, row.values, row.n_stored, dense, center, 0, n_features, 1,
                               trees + j * n_nodes);
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

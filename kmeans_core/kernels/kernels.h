/* THE contract between Cython, which divides the work, and C, which computes it.
 *
 * One source (kernels.c) is compiled once per instruction set; each compilation fills one `kernels` table.
 * Kernels run on one thread, allocate nothing, keep no state and never fail: whoever calls has checked shapes
 * and that every sample and every center is finite. All arrays are C-ordered and dense.
 *
 *   x        IN  [n_samples][n_features] float32 or float64: rows of the caller's array, as stored
 *   centers  IN  [n_clusters][n_features] float64, holding the values of the stored centers exactly
 *
 * Exactness. `assign` filters in float32 and decides in float64. Samples and centers are moved by a common
 * offset and scaled by a power of two; with x', c' the moved vectors the score of a pair is |c'|^2 / 2 - x'.c',
 * smallest for the nearest center. Its float32 value is off by at most
 *     E = gamma (|c'|^2 / 2 + |x'| |c'|) + rounding of the float64 decision itself,    gamma = m u / (1 - m u),
 * u = 2^-24 and m = n_features + 8 roundings (Higham, "Accuracy and Stability of Numerical Algorithms", 3.1: one per
 * product and addition; the rest pay for storing x', c' and |c'|^2 / 2 in float32 and for computing |x'| itself).
 * A sample whose best and second-best scores differ by more than 2 E is proven; every other sample is decided
 * by `sq_distance` among the centers that E cannot exclude.
 */
#ifndef FASTKMEANS_KERNELS_H
#define FASTKMEANS_KERNELS_H

#include <stddef.h>
#include <stdint.h>

/* Sums of samples that do not depend on the order of addition. A value is split into a multiple of a coarse grid
 * and a multiple of a fine one, whose sums are then free of rounding (Demmel and Nguyen, "Parallel reproducible
 * summation", IEEE Trans. Computers 64(7), 2015, with two bins). Hence the same bits for any number of threads, and a
 * sample can be taken out again without a trace.
 *   coarse, fine   [n_features + 1]   1.5 * 2^52 * grid of each feature, then of the weights
 * A sum is [2][n_features + 1] float64: coarse parts, then fine parts; the last column counts the weight. */
typedef struct {
    const double *coarse;
    const double *fine;
} sum_grid;

/* Centers of which some have moved. A center has a place, and some places hold none.
 *   all, moved   [n_all], [n_moved]: places of all centers, ascending, and of those that moved
 *   has_moved    [n_places]: 1 for those that moved, and for places that lost their center
 *   shifts       [n_places]: how far each moved, infinite for places without a center
 *   apart        [n_places][n_places]: distances between centers, infinite for places without one; NULL if not known
 *   around       [n_places][n_places]: places by their distance from the center at each place, nearest first */
typedef struct {
    size_t n_places, n_all, n_moved;
    const int32_t *all, *moved, *around;
    const uint8_t *has_moved;
    const double *shifts, *apart;
} center_moves;

#define SEED_CANDIDATES 56 /* most candidates per call: a bit each of a mask; whole panels on most instruction sets */
#define SEED_BLOCK 1024    /* most samples per call */
#define SEED_PADDING 32    /* >= samples of a tile on any instruction set */
#define STEP_TARGETS 12    /* most targets per call of seeding_step: a seed and candidates */
#define STEP_COUNTED 64    /* samples per call in which n_near counts */

/* What a step of Yinyang reads besides its samples. Groups of centers are whole panels. The "place" of a center is its
 * number in the order of the groups.
 *   packed, grouped   by pack_centers with the same offset: the centers, and the centers by places
 *   first_panel       [n_groups + 1]   center_of   [n_clusters] of each place    group_of   [n_clusters] of each center
 *   center_drift      [n_clusters] float32, rounded up: how far each center has moved since the bounds began, in units
 *   group_drift       [n_groups] the same for groups: the sum of what the farthest center of each step has moved
 *   unit              power of two: bounds are distances times unit
 *   insist            use bounds even where scoring everything looks cheaper, for tests */
typedef struct {
    const void *packed, *grouped;
    size_t n_groups;
    const int32_t *first_panel, *center_of, *group_of;
    const float *center_drift, *group_drift;
    double unit;
    int insist;
} bound_step;

/* Rows in the order of their clusters.
 *   labels            [n_rows + 1], ascending; the last one is that of no cluster
 *   per_sum, offset   [n_clusters]: mean distance to a cluster = sum of distances * per_sum + offset */
typedef struct {
    const int32_t *labels;
    const double *per_sum, *offset;
} cluster_runs;

/* Add up the distances of each sample to the others. Where a cluster of the others ends, its mean is put to use.
 *   samples, others   IN by gather_eights     runs     IN of the others, from this call's first one on
 *   labels    IN [n_samples rounded up to 8]: each sample's own cluster
 *   sums      INOUT [the same]: over the cluster that the last call did not finish; 0 at first
 *   own       INOUT [the same]: mean of the distances to the own cluster
 *   nearest   INOUT [the same]: least mean of the distances to another one; +inf at first */
typedef void (*add_distances)(const double *samples, size_t n_samples, const double *others, size_t n_others,
                              size_t n_features, const cluster_runs *runs, const int64_t *labels, double *sums,
                              double *own, double *nearest);

/* Add the distance of each pair of a sample and another one to the sums of both: rows in the order of their clusters.
 *   n_samples, n_others    whole eights
 *   labels, other_labels   IN, ascending; -1 for padding, which comes last
 *   sums, other_sums       INOUT [n_samples / 8][n_clusters][8]: of each row, per cluster; other_sums NULL when the
 *                          others are the samples themselves */
typedef void (*add_pairs)(const double *samples, size_t n_samples, const int32_t *labels, double *sums,
                          const double *others, size_t n_others, const int32_t *other_labels, double *other_sums,
                          size_t n_features, size_t n_clusters);

/* Add up the distances of eight samples to others, per cluster of each of several labelings of the others.
 *   samples, others   IN by gather_eights: one eight, and whole eights that hold n_others
 *   labels            IN [n_labelings][n_others], stride apart: places in sums; each labeling has places of its own
 *   distances         scratch [n_others rounded up to 8][8]
 *   sums              INOUT [places][8] */
typedef void (*add_labelled)(const double *samples, const double *others, size_t n_others, size_t n_features,
                             const int32_t *labels, size_t n_labelings, size_t stride, double *distances, double *sums);

/* What a step did: pairs of sample and center that it scored, and all its work, in units of one such pair. */
typedef struct {
    size_t n_scored, cost;
} bound_work;

/* ---- Rows as the caller stores them (stored.h): of narrow types, with any strides, or some rows of an array.
 * Kernels that read samples read them after `widen` has laid a block of them out as float32 or float64.
 *   kind              STORED_FLOAT64 is read into float64 only, every other kind is exact in float32
 *   row_stride, feature_stride   bytes from one row, or value, to the next; any sign
 *   numbers           [n_samples] which rows of the array these are, or NULL for all, from the first one on
 *   origin            [n_features] subtracted in float64, before a value is rounded to float32; NULL for none */
enum { STORED_INT8, STORED_UINT8, STORED_INT16, STORED_FLOAT16, STORED_BFLOAT16, STORED_FLOAT32, STORED_FLOAT64 };
typedef struct {
    const char *values;
    ptrdiff_t row_stride, feature_stride;
    size_t n_samples, n_features;
    const int64_t *numbers;
    const double *origin;
    int kind;
} stored_rows;

/* What a thread needs to gather some samples of a block and to assign them together.
 *   packed    by pack_centers     scratch   scratch_bytes of `assign`
 *   rows      [block_samples][n_features] reals     labels   [block_samples]
 *   n_crowded  raised by the number of samples that were gathered because too many centers are near */
typedef struct {
    const void *packed;
    void *scratch, *rows;
    int32_t *labels;
    size_t *n_crowded;
} gathered_rows;

/* ---- Tiles: samples in an order that keeps neighbours together (tiles.h). */
#define GROUP_TILES 16      /* tiles of a group, the upper level */
#define MAX_SPLIT_GROUPS 16 /* groups that are brought into order together */
#define MAX_TILE_ROWS 512
#define MAX_TILED_FEATURES 16
#define BALL_FEATURES 5 /* from so many features on a tile's ball is tested, too */
enum { TILE_MIXED = -1, TILE_FRESH = -2 };
enum { TILES_CHANGED, TILES_DECIDED, TILES_TESTED, TILES_MIXED_ROWS, TILES_SCORED };

/* Cells that samples are first thrown into: [n_features] each; a feature with last = 0 is not cut.
 *   cell of x = OR over f of numbers[starts[f] + min(last[f], max(0, (x[f] - lowest[f]) * per_unit[f]))] */
typedef struct {
    const double *lowest;
    const double *per_unit;
    const double *last;
    const size_t *starts;
    const uint16_t *numbers;
} cell_grid;

typedef struct {
    size_t n_samples, n_features;
    size_t tile_rows;          /* samples of a tile, at most MAX_TILE_ROWS; the last one may have fewer */
    const void *x;             /* [n_samples][n_features] in tile order, as stored; NULL if `stored` has them */
    const stored_rows *stored; /* in tile order, or NULL: then no lanes are kept, and each step lays mixed tiles out */
    double *boxes;             /* [n_tiles][2 * n_features + 2]: middle, reach of the sides, radius, |reach|^2 */
    double *group_boxes;       /* [n_groups][2 * n_features + 2] */
    double *sums;              /* [n_tiles][2][n_features + 1], see sum_grid */
    float *lanes;        /* [n_tiles][tile_rows * n_features], see pack.h: tiles that were ever mixed, oldest first;
                            NULL with `stored` */
    int32_t *in_lanes;   /* [n_tiles]: place in lanes + 1, 0 for none */
    int32_t *n_in_lanes; /* how many there are */
    int32_t *owners;     /* [n_tiles]: the cluster of all samples, TILE_MIXED, or at first TILE_FRESH */
    int32_t *labels;     /* [n_samples] in tile order: current in mixed tiles, -1 in fresh ones */
} tiling;

/* ---- k-medians (medians.h) ----
 *   codes          [n_samples][n_features], below n_bins <= 255; 64 more are readable
 *   labels         [n_samples], -1 at first       slack   [n_samples], see medians.h
 *   packed         by pack_centers_manhattan, of `centers`
 *   drift_up       [n_clusters] sum over the steps of the moves of the center and of the farthest other one, up
 *   drift_down     [n_clusters] the same, rounded down instead of up
 *   in_units       factor from a gap of assign_manhattan to the lead of a center in units of drift, or less
 *   coarse, fine   grid of the weights, see sum_grid
 *   whole          whether to label every sample and add up all distances */
typedef struct {
    size_t n_samples, n_features, n_clusters, n_bins;
    const double *sample_weight;
    const uint8_t *codes;
    int32_t *labels;
    float *slack;
    const void *packed;
    const double *centers;
    const float *drift_up, *drift_down;
    double coarse, fine;
    float in_units;
    int whole;
} median_step;

/* ---- Sparse rows (sparse.h), in the layout that is called CSR.
 *   values     [n_stored] float32 or float64
 *   features   [n_stored], below n_features, ascending within a row, none twice
 *   starts     [n_samples + 1]: row i has the entries from starts[i] to starts[i + 1]
 *   norm_unit  power of two that brings the largest |x| near 1 */
typedef struct {
    const void *values;
    const int32_t *features;
    const int64_t *starts;
    double norm_unit;
} sparse_rows;

/* An own squared distance of at most this share of |x|^2 + |c|^2 is taken over all features. */
#define SPARSE_SHARE 0x1p-10
#define SPARSE_SEEDS 8      /* candidates of one reading: a feature of all of them is one or two vectors of float64 */
#define SPARSE_SEED_ROWS 32 /* rows whose shared values are fetched together */

/* Up to SPARSE_SEEDS rows that may become seeds of k-means++.
 *   is_stored  [n_features]: 1 if any of them stores a value of the feature, else 0
 *   places     [n_features]: row of `columns` for such a feature
 *   columns    [features stored][SPARSE_SEEDS]: their values
 *   sq_norms   [SPARSE_SEEDS]: |c|^2, one stored value after the other; infinite for a place without a candidate */
typedef struct {
    const uint8_t *is_stored;
    const int32_t *places;
    const double *columns, *sq_norms;
} sparse_seeds;

/* What a thread has counted of its samples.   counts   [n_clusters][n_features][n_bins]
 *   weights   [n_clusters][n_features][n_bins][2], coarse and fine sums, or NULL      touched   [n_clusters] */
typedef struct {
    uint32_t *counts;
    double *weights;
    uint8_t *touched;
} histograms;

/* Kernels that read samples come in pairs: [0] for samples in float64, [1] for samples in float32. Where they take
 * samples, or numbers in the type of the samples, by a pointer to void, the array is of that type. */
typedef struct {
    const char *name; /* "v4vnni", "v4", "v3", "v2", "neon", "scalar" */
    int lanes;        /* float32 values in a vector */
    int tile_samples; /* samples of a register tile */
    int tile_centers; /* centers of a register tile */

    /* Bytes of the block that pack_centers fills, and of a thread's scratch for assign; both want 64-byte alignment. */
    size_t (*packed_bytes)(size_t n_clusters, size_t n_features);
    size_t (*scratch_bytes)(size_t n_clusters, size_t n_features);

    /* Rows `first` to `first + count` as float32 or float64.   rows   OUT [count][n_features] */
    void (*widen[2])(const stored_rows *stored, size_t first, size_t count, void *rows);

    /* A point amid the centers, and so amid the samples: their mean, but for far ones.
     *   offset   OUT [n_features], and as many more as scratch */
    void (*find_offset)(const double *centers, size_t n_clusters, size_t n_features, double *offset);

    /* Lay the centers out for assign: panels of tile_centers, moved by the offset and scaled.
     *   offset                IN [n_features] float64: any point amid the data; the closer, the fewer need float64
     *   samples_are_float32   the offset is then rounded to float32, so that both sides are moved alike
     *   packed                OUT; keeps the pointer `centers`, which must outlive it */
    void (*pack_centers)(const double *centers, size_t n_clusters, size_t n_features, const double *offset,
                         int samples_are_float32, void *packed);

    /* Let far centers not spoil the proof for samples near others (certificate.h): for assign alone.
     *   packed   INOUT, by pack_centers, before exclude_copies */
    void (*lower_scores)(void *packed);

    /* Let no center win that equals an earlier one, for callers that keep no bounds from one step to the next.
     *   packed   INOUT, by pack_centers or pack_centers_manhattan */
    void (*exclude_copies)(void *packed);

    /* Label each sample with its float64 nearest center; a tie goes to the lowest index.
     *   n_readable   samples of the caller's array from x on (>= n_samples): vectors may read past a row's end
     *   labels       OUT [n_samples]
     *   returns the number of samples that needed float64 */
    size_t (*assign[2])(const void *x, size_t n_samples, size_t n_readable, const void *packed, void *scratch,
                        int32_t *labels);

    /* ---- Two clusters (pair.h). A line is a block of pair_bytes that holds two directions, and where the centers of
     * the step lie along them; 64-byte alignment. It keeps the pointer `centers`, and pointers into itself. */
    size_t (*pair_bytes)(size_t n_features);

    /* Take the directions from one center to the other, in this step and in the one before.
     *   previous   IN [2][n_features] centers of the step before, or NULL
     *   offset     IN as for pack_centers      line   OUT */
    void (*pair_start)(const double *centers, const double *previous, size_t n_features, const double *offset,
                       int samples_are_float32, void *line);

    /* Find where the centers of another step lie along the same directions. */
    void (*pair_turn)(const double *centers, void *line);

    /* Label each sample of a block, at most block_samples, with its float64 nearest center; the first one on a tie.
     *   x           rows of the block; or scratch for them if `stored` is not NULL, which has them from first_stored on
     *   before      IN the line of the step that read the block last, or NULL
     *   now         IN the line of this step
     *   scratch     as for assign
     *   along, aside, rest   INOUT [n_samples rounded up to 32]: what is kept of each sample
     *   labels      OUT [n_samples rounded up to 32]
     *   n_decided   INOUT, plus the samples that needed float64
     *   returns whether the block was read, so that what is kept belongs to `now` */
    int (*pair_label[2])(const void *x, const stored_rows *stored, size_t first_stored, size_t n_samples,
                         size_t n_readable, const void *before, const void *now, void *scratch, float *along,
                         float *aside, float *rest, int32_t *labels, size_t *n_decided);

    /* Follow the labels in the sums: each sample whose label changed leaves the sums of its old cluster for those of
     * its new one.
     *   old_labels      INOUT [n_samples], -1 for a sample in no cluster yet; becomes new_labels
     *   sample_weight   IN [n_samples] float64, or NULL for ones
     *   sums            INOUT [n_clusters][2][n_features + 1] float64, see sum_grid
     *   touched         INOUT [n_clusters], set to 1 where sums changed; if it is 0 they count as zeros
     *   returns the number of labels that changed */
    size_t (*follow[2])(const void *x, size_t n_samples, size_t n_features, const double *sample_weight,
                        const int32_t *new_labels, int32_t *old_labels, sum_grid grid, double *sums, uint8_t *touched);

    /* Add rows to the sums of one cluster.
     *   x      IN [all rows][n_features]      rows            IN [count], which of them
     *   sums   INOUT [2][n_features + 1]      sample_weight   IN [all rows], or NULL for ones */
    void (*add_rows[2])(const void *x, size_t n_features, const int32_t *rows, size_t count,
                        const double *sample_weight, sum_grid grid, double *sums);

    /* Add a thread's sums of one cluster, [2][n_features + 1], to the total, and start them anew. */
    void (*merge_sums)(double *part, size_t n_features, double *total);

    /* The new center of a cluster: the mean by its sums, or the old center if the cluster has no weight.
     *   sums     IN   [2][n_features + 1]
     *   center   IN   [n_features], that of the last step;   origin   IN [n_features]
     *   weighted   whether weight * x may have been rounded
     *   fine_grid  IN   [n_features + 1], 1.5 * 2^52 * grid
     *   digits     sums below digits * fine_grid may have lost digits that the mean needs; with weights the sum itself
     *              counts, else the sum per sample
     *   moved    OUT  [n_features], rounded once, to float32 if the samples are; with weights a coordinate stays if it
     *                 is as close to the mean, within the rounding of the sums
     *   terms    OUT  [4]: weight; |moved - center|^2; sum of weight * (|x - origin|^2 - |x - center|^2); 1 if any sum
     *                 is below its digits, else 0 */
    void (*move_center)(const double *sums, size_t n_features, const double *center, const double *origin,
                        const double *fine_grid, double digits, int samples_are_float32, int weighted, double *moved,
                        double *terms);

    /* The third of these terms again, with twice the digits.   explained   OUT [2]: its two parts, the larger first */
    void (*explain_center)(const double *sums, size_t n_features, const double *center, const double *origin,
                           double *explained);

    /* Squared distance of each sample to the center of its label, in float64, in the order of NumPy's pairwise sum:
     * bit for bit ((x - c) ** 2).sum() of float64 arrays.
     *   sq_distances   OUT [n_samples] */
    void (*own_sq_distances[2])(const void *x, size_t n_samples, size_t n_features, const double *centers,
                                const int32_t *labels, double *sq_distances);

    /* The same to every center.   sq_distances   OUT [n_samples][n_clusters] */
    void (*all_sq_distances[2])(const void *x, size_t n_samples, size_t n_features, const double *centers,
                                size_t n_clusters, double *sq_distances);

    /* Greedy k-means++: candidates are samples that might become the next seed.
     *   rows            IN [n_candidates] of the candidates, at most SEED_CANDIDATES
     *   origin          IN [n_features]: any sample, about which scores are computed
     *   scale           power of two that brings the largest |x| near 1; squared distances are scaled by scale * scale
     *   candidates      OUT of pack_candidates, candidates_bytes; keeps pointers into x
     *   scratch         seeding_scratch_bytes per thread
     *   sample_weight   IN [n_samples], or NULL
     *   min_sq          [n_samples] type of x: scaled squared distance to the nearest seed; readable to the next
     *                   multiple of SEED_PADDING
     *   near            [n_samples]: bit l is set if candidate l may be closer than that seed
     *   gains           OUT [n_candidates]: sum of weight * (min_sq - sq_distance) over the samples that are closer */
    size_t (*candidates_bytes)(size_t n_candidates, size_t n_features);
    size_t (*seeding_scratch_bytes)(size_t n_features);
    void (*pack_candidates[2])(const void *x, size_t n_features, const size_t *rows, size_t n_candidates,
                               const void *origin, double scale, void *candidates);

    /* Set `near`, by scores. */
    void (*find_near[2])(const void *x, size_t n_samples, size_t n_readable, const void *candidates, void *scratch,
                         const void *min_sq, uint64_t *near);

    /* Gains of the candidates whose bits are wanted, from the samples near them. `near` (INOUT) loses the bits of
     * candidates that are not closer. */
    void (*near_gains[2])(const void *x, size_t n_samples, const void *candidates, uint64_t wanted,
                          const double *sample_weight, const void *min_sq, uint64_t *near, double *gains);

    /* min_sq (INOUT) becomes min(min_sq, sq_distance to the candidate) if `near` has the bit. */
    void (*accept_candidate[2])(const void *x, size_t n_samples, size_t n_features, const void *candidate, double scale,
                                const uint64_t *near, uint64_t bit, void *min_sq);

    /* Sum of weight * min_sq. */
    double (*potential[2])(const void *min_sq, size_t n_samples, const double *sample_weight);

    /* All of these in one reading of the samples, for steps in which most samples are near (seeding_step.h).
     *   targets        [n_features][n_targets] of pack_targets, scaled, at most STEP_TARGETS: if n_seeds is 1 the seed
     *                  that min_sq does not know yet, then the candidates
     *   fresh          whether min_sq is not set yet; n_seeds is then 1
     *   scratch        step_scratch_bytes per thread
     *   n_near         OUT pairs of candidate and sample that are closer, among the first STEP_COUNTED samples
     *   returns the sum of weight * min_sq */
    size_t (*step_scratch_bytes)(size_t n_features);
    void (*pack_targets[2])(const void *x, size_t n_features, const size_t *rows, size_t n_targets, double scale,
                            void *targets);
    double (*seeding_step[2])(const void *x, size_t n_samples, size_t n_readable, size_t n_features, double scale,
                              const void *targets, size_t n_seeds, size_t n_candidates, int fresh,
                              const double *sample_weight, void *scratch, void *min_sq, double *gains, size_t *n_near);

    /* Largest |x|, mean and sum of squared deviations of the features of one strip.
     *   strip      IN below describe_strips(n_features)
     *   max_abs    OUT [n_features] float64; of the values that are not NaN
     *   mean, m2   OUT [n_features] float64; mean is not finite where a value is not */
    void (*describe[2])(const void *x, size_t n_samples, size_t n_features, size_t strip, double *max_abs, double *mean,
                        double *m2);
    size_t (*describe_strips)(size_t n_features);

    /* Smallest |x| of each feature that is not 0.   min_abs   INOUT [n_features] float64, lowered; x is finite */
    void (*find_smallest[2])(const void *x, size_t n_samples, size_t n_features, double *min_abs);

    /* Largest |x| of each feature, NaN if one is NaN.   max_abs   OUT [n_features] */
    void (*find_largest[2])(const void *x, size_t n_samples, size_t n_features, double *max_abs);

    /* Does the array of n values hold a NaN, or a value beyond the limit on either side? */
    int (*has_unusable[2])(const void *values, size_t n, double limit);

    /* The peak that assign is measured against: multiply-adds in registers and nothing else. Returns the number of
     * floating-point operations. */
    double (*fma_spin)(size_t n_rounds);

    /* ---- Tiles (tiles.h); n_features at most MAX_TILED_FEATURES.
     * Throw samples into cells.   cells   OUT [n_samples]   counts   INOUT [n_cells] */
    void (*find_cells[2])(const void *x, size_t n_samples, size_t n_features, cell_grid grid, uint16_t *cells,
                          uint32_t *counts);

    /* Copy samples to the places of their cells.
     *   first     index of the first sample      next   INOUT [n_cells]: place of each cell's next sample
     *   ordered   OUT rows      order   OUT index of the sample at each place, or NULL
     *   weights   OUT, unless sample_weight is NULL */
    void (*order_by_cell[2])(const void *x, size_t n_samples, size_t n_features, const double *sample_weight,
                             const uint16_t *cells, size_t first, uint32_t *next, void *ordered, int32_t *order,
                             double *weights);

    /* Split rows at medians of the widest side until tiles are left; x, order and weights (or NULL) move along.
     *   scratch   n_rows * (8 + size of a row) bytes */
    void (*order_by_splits[2])(void *x, size_t n_rows, size_t n_features, size_t tile_rows, int32_t *order,
                               double *weights, void *scratch);

    /* Boxes and sums of the tiles of group g, and the group's box.   weights   IN in tile order, or NULL */
    void (*describe_group[2])(const tiling *tiles, size_t g, const double *weights, sum_grid grid);

    /* Centers side by side.   listed   IN [n_listed], or NULL for the first ones
     *   columns   OUT [n_features][n_listed rounded up to 8], padded by +inf */
    void (*center_columns)(const double *centers, const int32_t *listed, size_t n_listed, size_t n_features,
                           double *columns);

    /* Label group g, and follow the labels in the sums.
     *   memory   scratch of this thread, tile_scratch_bytes, 64-byte alignment
     *   sums, touched   as for follow
     *   counts   INOUT [5]: labels changed, samples decided in float64, centers tested against a box, samples of
     *            mixed tiles, pairs of sample and center that were scored */
    size_t (*tile_scratch_bytes)(size_t n_clusters, size_t n_features);
    void (*step_group[2])(const tiling *tiles, size_t g, const double *centers, const double *columns,
                          size_t n_clusters, const double *weights, sum_grid grid, void *memory, double *sums,
                          uint8_t *touched, size_t *counts);

    /* The prefix filter (prefix.h): the labels of `assign`, with most centers excluded by a few leading coordinates.
     * Bytes of the block that prefix_start fills, of the codes of a tile of samples, and of a thread's scratch, which
     * starts as zeros; all want 64-byte alignment.
     *   is_turned   whether prefix_start gets directions */
    size_t (*prefix_bytes)(size_t n_clusters, size_t n_features, size_t n_directions, int is_turned);
    size_t (*prefix_tile_bytes)(size_t n_directions);
    size_t (*prefix_scratch_bytes)(size_t n_clusters, size_t n_features, size_t n_directions);

    /* Once per fit: how samples and centers are moved, scaled and turned.
     *   directions   IN [n_directions][n_features], nearly orthonormal: with Q their transpose, |Q'Q - 1| <= skew;
     *                NULL for the features as they are (n_directions = n_features, skew = 0)
     *   offset       IN [n_features], any point amid the data
     *   scale        power of two that brings the moved samples below 2 */
    void (*prefix_start)(const float *directions, size_t n_directions, double skew, const double *offset, double scale,
                         size_t n_clusters, size_t n_features, int samples_are_float32, void *prefix);

    /* Once per step: pack those of `count` centers from `first` on that differ from the last step's. When all are
     * packed, prefix_gather_moved lays the ones that differ side by side. */
    void (*prefix_pack_centers)(const double *centers, size_t first, size_t count, void *prefix, void *scratch);
    void (*prefix_gather_moved)(void *prefix);

    /* Once per fit: the codes of samples.   codes   OUT whole tiles */
    void (*prefix_encode[2])(const void *x, size_t n_samples, size_t n_readable, const void *prefix, void *scratch,
                             void *codes);

    /* Label each sample with its float64 nearest center; a tie goes to the lowest index.
     *   x        rows; or scratch [n_samples][n_features] if `stored` is not NULL, which has them from first_stored on
     *   codes    IN of the same samples
     *   labels   INOUT [n_samples]: those of the last step, or -1 if there was none
     *   bounds   INOUT [n_samples][2]: between which the score of the label lies
     *   counts   INOUT [2]: adds the pairs that the codes could not exclude (own label aside), and the samples that
     *            needed float64 */
    void (*prefix_assign[2])(const void *x, const stored_rows *stored, size_t first_stored, size_t n_samples,
                             const double *centers, const void *codes, const void *prefix, void *scratch,
                             int32_t *labels, double *bounds, size_t *counts);

    /* For seeding: let `count` samples, at most n_clusters of prefix_start, be the centers that codes are compared
     * with.
     *   codes   IN of all samples */
    void (*prefix_take_samples)(const size_t *samples, size_t count, const void *codes, void *prefix);

    /* find_near by codes: the candidates are what prefix_take_samples took.
     *   codes      IN of the samples that min_sq and near belong to, whole tiles
     *   to_units   (scale of the codes / scale of the seeding)^2 */
    void (*find_near_coded[2])(const void *codes, size_t n_samples, const void *prefix, double to_units,
                               const void *min_sq, uint64_t *near);
    int code_features; /* coordinates in a 32-bit code: 4 bytes, or 1 of float32 */
    int code_limit;    /* largest whole number of a code; 0 for float32 */
    int code_length;   /* most length of half the codes of a row, as a vector; 0 for any length */

    /* ---- Quantized samples (quantized.h): whole numbers of `bits` = 16, or 8 where has_dot8.
     * Bytes of the block that quantizer_start fills, of a tile of samples, of the block that quantize_centers fills,
     * and of a thread's scratch; all want 64-byte alignment. */
    int has_dot8;
    size_t (*quantizer_bytes)(size_t n_features);
    size_t (*quantized_tile_bytes)(size_t n_features, int bits);
    size_t (*quantized_centers_bytes)(size_t n_clusters, size_t n_features, int bits);
    size_t (*quantized_scratch_bytes)(size_t n_clusters, size_t n_features);

    /* Once per fit: how samples and centers are moved and scaled.
     *   offset    IN [n_features], any point amid the data
     *   largest   the |x - offset| that becomes the largest whole number; what exceeds it is cut to it */
    void (*quantizer_start)(const double *offset, double largest, size_t n_features, int bits, int samples_are_float32,
                            void *quantizer);

    double (*quantizer_scale)(const void *quantizer);

    /* Once per fit: samples into whole numbers.   tiles   OUT whole tiles */
    void (*quantize[2])(const void *x, size_t n_samples, size_t n_readable, const void *quantizer, void *scratch,
                        void *tiles);

    /* Are the values of stored rows whole numbers of 8 bits? Returns 0 if not, else the `largest` of quantizer_start
     * with which they stay as they are; the offset is 128 for unsigned bytes and 0 for signed ones. Then quantize_bytes
     * stands in for widen and quantize. */
    double (*exact_bytes_limit)(const stored_rows *stored, int bits);
    void (*quantize_bytes)(const stored_rows *stored, size_t first, size_t count, const void *quantizer, void *scratch,
                           void *tiles);

    /* Once per step: centers into whole numbers; `quantized` (OUT) keeps both pointers. Returns 0 if the centers lie
     * too far out; `quantized` must then not be used. */
    int (*quantize_centers)(const double *centers, size_t n_clusters, const void *quantizer, void *quantized);

    /* Label each sample with its float64 nearest center; a tie goes to the lowest index.
     *   x         rows of the same samples as `tiles`, at most block_samples; or scratch for one row if `stored` is not
     *             NULL, which has them from first_stored on
     *   labels    OUT [n_samples]
     *   many      for samples that whole numbers cannot settle, if they are many; or NULL
     *   returns the number of samples that whole numbers could not settle */
    size_t (*assign_quantized[2])(const void *x, const stored_rows *stored, size_t first_stored, size_t n_samples,
                                  const void *tiles, const void *quantized, void *scratch, int32_t *labels,
                                  const gathered_rows *many);

    /* Are rows short enough to gather those of unsettled samples, and to assign them together? */
    int (*may_gather)(size_t n_features);

    /* Label samples of a block without their rows, see screen.h.
     *   before    IN [n_samples]: the labels so far      ways   IN [n_clusters]
     *   until     INOUT [n_samples]: the way of its center up to which a sample keeps its label; -infinity if undecided
     *   labels    OUT [n_samples]: the label where it is proven, else a number below 0 */
    void (*screen_quantized)(size_t n_samples, const void *tiles, const void *quantized, void *scratch,
                             const int32_t *before, const double *ways, float *until, int32_t *labels);

    /* Set `near`, as find_near, for candidates that quantize_centers has packed.
     *   to_units   factor from a scaled squared distance of the seeding to the squares of quantized samples */
    void (*find_near_quantized[2])(const void *tiles, size_t n_samples, const void *quantized, double to_units,
                                   const void *min_sq, uint64_t *near);

    /* ---- yinyang: labels by bounds, see yinyang.h ----
     *   stride          length of a row of `lower`: a multiple of 32, >= n_samples
     *   labels, upper   [n_samples], upper padded to stride       lower   [n_groups][stride]
     * All but probe_bounds return the number of samples that needed float64. */

    /* Bytes of a thread's scratch for the calls below. */
    size_t (*bound_scratch_bytes)(size_t n_clusters, size_t n_features, size_t stride);

    /* Label each sample as assign does, and bound it. All arrays OUT. */
    size_t (*assign_bounded[2])(const void *x, size_t n_samples, size_t n_readable, const bound_step *step,
                                void *scratch, int32_t *labels, float *upper, float *lower, size_t stride);

    /* The same from quantized samples.
     *   tiles            IN of the samples from x on
     *   grouped, plain   IN by quantize_centers: the centers by place and by index
     *   scratch          quantized_scratch_bytes */
    size_t (*bound_quantized[2])(const void *x, size_t n_samples, const void *tiles, const void *grouped,
                                 const void *plain, const bound_step *step, void *scratch, int32_t *labels,
                                 float *upper, float *lower, size_t stride);

    /* Label anew the samples whose bounds do not prove their label. All arrays INOUT; what is done is added to work. */
    size_t (*reassign_bounded[2])(const void *x, size_t n_samples, size_t n_readable, const bound_step *step,
                                  void *scratch, int32_t *labels, float *upper, float *lower, size_t stride,
                                  bound_work *work);

    /* What reassign_bounded would cost, in centers scored; assign costs n_clusters + 10 per sample. All arrays IN. */
    size_t (*probe_bounds[2])(const void *x, size_t n_samples, size_t n_features, const bound_step *step, void *scratch,
                              const int32_t *labels, const float *upper, const float *lower, size_t stride);
    /* ---- end of yinyang ---- */

    /* Silhouettes (silhouette.h). Lay listed rows out in eights, [n_features][8] each.
     *   rows     IN [n_rows]     eights   OUT [n_rows rounded up to 8][n_features] */
    void (*gather_eights[2])(const void *x, size_t n_features, const int64_t *rows, size_t n_rows, double *eights);

    /* Sum over samples of weight times simplified silhouette; then per cluster of weight times distance to its mean.
     *   labels          IN [n_samples], of n_clusters >= 2      sample_weight   IN [n_samples], or NULL for ones
     *   centers, means  IN [n_clusters][n_features]
     *   eights          IN the samples as gather_eights lays them out
     *   sums            OUT [1 + n_clusters] */
    void (*judge[2])(const void *x, const double *eights, size_t n_samples, size_t n_features, const int32_t *labels,
                     const double *sample_weight, const double *centers, const double *means, size_t n_clusters,
                     double *sums);

    /* Exchanging clusters (exchange_split.h, exchange_merge.h): the order of sums is the same on all instruction sets.
     *   rows      IN [n_rows], the samples of a cluster      weights   IN of all samples, or NULL for ones
     *   mean      IN [n_features]
     *
     * Sum over a cluster of weight times squared distance to its mean.
     *   far       OUT the farthest row with a weight; the first of equals, -1 for none */
    double (*inertia_of_cluster[2])(const void *x, size_t n_features, const int32_t *rows, size_t n_rows,
                                    const double *weights, const double *mean, int32_t *far);

    /* By how much the inertia falls if a cluster is split by iterations of 2-means; the first one splits along the line
     * from the mean to row `far`. 0 if one side has no weight, or if the first iteration makes `least` hopeless.
     *   most_rows   all iterations but the last use at most about so many rows, evenly spread
     *   direction   scratch [n_features]
     *   halves      OUT [2][n_features]: the means of both sides, less `mean` */
    double (*split_cluster[2])(const void *x, size_t n_features, const int32_t *rows, size_t n_rows,
                               const double *weights, const double *mean, int32_t far, double least,
                               size_t n_iterations, size_t most_rows, double *direction, double *halves);

    /* By how much the inertia rises in the cheapest merge of cluster j with a cluster that weighs more, or that weighs
     * as much and has a higher index; infinite if there is none.
     *   partner   OUT that other cluster, -1 for none */
    double (*cheapest_merge)(const double *means, const double *weights, size_t n_clusters, size_t n_features, size_t j,
                             int32_t *partner);

    /* The two nearest centers of each sample, after some centers moved (two_nearest.h). Of equally near ones either may
     * be first. Returns how many pairs of sample and center were compared.
     *   eights            IN the samples as gather_eights lays them out
     *   nearest, second   INOUT [n_eights][8]: places of the centers    sq_nearest, sq_second   INOUT [n_eights][8] */
    size_t (*two_nearest)(const double *eights, size_t n_eights, size_t n_features, const double *centers,
                          const center_moves *moves, int64_t *nearest, double *sq_nearest, int64_t *second,
                          double *sq_second);

    add_distances add_euclidean, add_manhattan, add_cosine;
    add_pairs add_euclidean_pairs, add_manhattan_pairs;
    add_labelled add_euclidean_labelled, add_manhattan_labelled;

    /* ---- Sparse rows: the same calls as for dense ones.   first   index of the first row
     *   norms    [all rows] of norms_sparse: lengths, for the bound on rounding
     *   packed   by pack_sparse_centers, sparse_centers_bytes, any alignment
     *   scratch  a thread's own, sparse_scratch_bytes, any alignment, all zeros at first */
    size_t (*sparse_centers_bytes)(size_t n_clusters, size_t n_features);
    size_t (*sparse_scratch_bytes)(size_t n_clusters, size_t n_features);
    void (*pack_sparse_centers)(const double *centers, size_t n_clusters, size_t n_features, int samples_are_float32,
                                void *packed);
    void (*norms_sparse[2])(const sparse_rows *rows, size_t first, size_t n_samples, float *norms);
    size_t (*assign_sparse[2])(const sparse_rows *rows, size_t first, size_t n_samples, const float *norms,
                               const void *packed, void *scratch, int32_t *labels);
    size_t (*follow_sparse[2])(const sparse_rows *rows, size_t first, size_t n_samples, size_t n_features,
                               const double *sample_weight, const int32_t *new_labels, int32_t *old_labels,
                               sum_grid grid, double *sums, uint8_t *touched);
    /*   trees      OUT [n_clusters][nodes_of(n_features)]: |c|^2 over the parts in which sq_distance adds up */
    size_t (*nodes_of)(size_t n_features);
    void (*fill_trees)(const double *centers, size_t n_clusters, size_t n_features, double *trees);
    /*   sq_norms   IN [n_clusters]: |c|^2      dense   scratch [n_features] reals, zeros before and after
     *   as_dense   whether all have the bits of dense rows, else only those whose digits would cancel */
    void (*own_sq_distances_sparse[2])(const sparse_rows *rows, size_t first, size_t n_samples, size_t n_features,
                                       const double *centers, const double *sq_norms, const double *trees, int as_dense,
                                       const int32_t *labels, void *dense, double *sq_distances);
    /* Squared distances to eight targets, not below 0. A row is at distance 0 from itself if |c|^2 is added up in the
     * order of its stored values.
     *   columns   IN [n_features][8]    sq_norms   IN [8]    sq_distances   OUT [n_samples][8] */
    void (*eight_sq_distances_sparse[2])(const sparse_rows *rows, size_t first, size_t n_samples, const double *columns,
                                         const double *sq_norms, double *sq_distances);
    /* Passes of k-means++ (sparse_seeding.h), for the rows from `first` on; the other arrays begin with these.
     *   sq_norms  OUT [n_samples]: |x|^2, one stored value after the other */
    void (*sq_norms_sparse[2])(const sparse_rows *rows, size_t first, size_t n_samples, double *sq_norms);
    /*   min_sq_distances  IN [n_samples], to the nearest seed so far    sample_weight  IN [n_samples] or NULL for ones
     *   shared            scratch [stored values of SPARSE_SEED_ROWS rows + 1]
     *   closer            OUT [n_samples]: bit t is 1 if the row is closer to candidate t than to the seeds so far
     *   gains             OUT [SPARSE_SEEDS]: by how much each would lower the sum of weight * min_sq_distances */
    void (*try_seeds_sparse[2])(const sparse_rows *rows, size_t first, size_t n_samples, const sparse_seeds *seeds,
                                const double *sq_norms, const double *min_sq_distances, const double *sample_weight,
                                int64_t *shared, uint8_t *closer, double *gains);
    /*   min_sq_distances  INOUT: lowered where `closer` says so of candidate `which` */
    void (*take_seed_sparse[2])(const sparse_rows *rows, size_t first, size_t n_samples, const sparse_seeds *seeds,
                                int which, const double *sq_norms, const uint8_t *closer, int64_t *shared,
                                double *min_sq_distances);

    /* ---- Manhattan distances (manhattan.h), the same calls as for Euclidean ones. Distances are not squared.
     *   gaps   OUT [n_samples] or NULL: by how much the own score is proven lowest; not above 0, or NaN, if
     *          float64 decided. Half a distance, in units of packed_scale. */
    void (*pack_centers_manhattan)(const double *centers, size_t n_clusters, size_t n_features, const double *offset,
                                   int samples_are_float32, void *packed);
    double (*packed_scale)(const void *packed);
    size_t (*assign_manhattan[2])(const void *x, size_t n_samples, size_t n_readable, const void *packed, void *scratch,
                                  int32_t *labels, float *gaps);
    void (*own_distances_manhattan[2])(const void *x, size_t n_samples, size_t n_features, const double *centers,
                                       const int32_t *labels, double *distances);
    void (*all_distances_manhattan[2])(const void *x, size_t n_samples, size_t n_features, const double *centers,
                                       size_t n_clusters, double *distances);
    void (*pack_candidates_manhattan[2])(const void *x, size_t n_features, const size_t *rows, size_t n_candidates,
                                         const void *origin, double scale, void *candidates);
    void (*find_near_manhattan[2])(const void *x, size_t n_samples, size_t n_readable, const void *candidates,
                                   void *scratch, const void *min_distances, uint64_t *near);
    void (*near_gains_manhattan[2])(const void *x, size_t n_samples, const void *candidates, uint64_t wanted,
                                    const double *sample_weight, const void *min_distances, uint64_t *near,
                                    double *gains);
    void (*accept_candidate_manhattan[2])(const void *x, size_t n_samples, size_t n_features, const void *candidate,
                                          double scale, const uint64_t *near, uint64_t bit, void *min_distances);

    /* Bytes of a thread's scratch for step_medians. */
    size_t (*median_scratch_bytes)(size_t n_clusters, size_t n_features);

    /* Codes that do not fall as values grow: (x - lowest) * per_unit, cut to 0 .. n_bins - 1. */
    void (*encode[2])(const void *x, size_t n_samples, size_t n_features, const double *lowest, const double *per_unit,
                      size_t n_bins, uint8_t *codes);

    /* Label a block of samples from `first` on, at most block_samples, and let the histograms follow.
     *   cost        OUT   sum of weight * distance to the own center if whole, else what changed labels add to it
     *   n_decided   INOUT samples decided in float64
     *   returns the labels that changed */
    size_t (*step_medians[2])(const void *x, size_t first, size_t n_samples, const median_step *step, void *scratch,
                              histograms counted, double *cost, size_t *n_decided);

    /* Gather the values whose codes lie in low .. low + width of their cluster and feature.
     *   low, width      IN [n_clusters][n_padded], n_padded a multiple of 64; low = 255, width = 0 for nothing
     *   places          INOUT [n_clusters][n_features]: where the next value goes
     *   values          OUT, type of x       value_weights   OUT, if there are weights */
    void (*gather_medians[2])(const void *x, size_t first, size_t n_samples, const median_step *step,
                              const uint8_t *low, const uint8_t *width, size_t n_padded, size_t *places, void *values,
                              double *value_weights);

    /* The smallest of n values such that those up to it weigh at least `half`.   values, weights   INOUT: reordered
     *   below   INOUT [2]: weight of the values that are smaller than all of these, on the grid of the weights */
    double (*select_half[2])(void *values, double *weights, size_t n, double *below, double half, double coarse_grid,
                             double fine_grid);

    /* Sum of weight * (|value - to| - |value - from|). */
    double (*cost_of_move[2])(const void *values, const double *weights, size_t n, double from, double to);

    /* Rows divided by their lengths.   y   OUT [n_samples][n_features], float32 or float64
     *   returns the first row of zeros, n_samples if there is none */
    size_t (*normalize[2])(const void *x, size_t n_samples, size_t n_features, void *y, int as_float32);
} kernels;

/* Tables that this build holds and this CPU can run, widest first; returns how many. */
int kernel_tables(const kernels *tables[8]);

/* The table in use: the widest, or the widest at most FASTKMEANS_ISA. NULL when that names none that can run. */
const kernels *kernel_table(const char *cap);

/* Samples of a block: what assign packs at a time. Depends on the shape alone. */
#define BLOCK_SAMPLES 1024
size_t block_samples(size_t n_features);

#endif

# What Cython sees of kernels/kernels.h: declarations only.
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

cdef extern from "kernels/kernels.h" nogil:
    ctypedef struct sum_grid:
        const double *coarse
        const double *fine

    ctypedef struct center_moves:
        size_t n_places, n_all, n_moved
        const int32_t *all
        const int32_t *moved
        const int32_t *around
        const uint8_t *has_moved
        const double *shifts
        const double *apart

    ctypedef struct bound_step:
        const void *packed
        const void *grouped
        size_t n_groups
        const int32_t *first_panel
        const int32_t *center_of
        const int32_t *group_of
        const float *center_drift
        const float *group_drift
        double unit
        int insist

    ctypedef struct bound_work:
        size_t n_scored
        size_t cost

    ctypedef struct cluster_runs:
        const int32_t *labels
        const double *per_sum
        const double *offset

    ctypedef void (*add_distances)(const double *, size_t, const double *, size_t, size_t, const cluster_runs *,
                                   const int64_t *, double *, double *, double *) noexcept nogil

    ctypedef void (*add_labelled)(const double *, const double *, size_t, size_t, const int32_t *, size_t, size_t,
                                  double *, double *) noexcept nogil

    ctypedef void (*add_pairs)(const double *, size_t, const int32_t *, double *, const double *, size_t,
                               const int32_t *, double *, size_t, size_t) noexcept nogil

    # Tiles
    enum:
        GROUP_TILES, MAX_SPLIT_GROUPS, MAX_TILE_ROWS, MAX_TILED_FEATURES, TILE_MIXED, TILE_FRESH
        TILES_CHANGED, TILES_DECIDED, TILES_TESTED, TILES_MIXED_ROWS, TILES_SCORED, SPARSE_SEED_ROWS

    ctypedef struct cell_grid:
        const double *lowest
        const double *per_unit
        const double *last
        const size_t *starts
        const uint16_t *numbers

    # Rows as the caller stores them
    enum:
        STORED_INT8, STORED_UINT8, STORED_INT16, STORED_FLOAT16, STORED_BFLOAT16, STORED_FLOAT32, STORED_FLOAT64

    ctypedef struct stored_rows:
        const char *values
        Py_ssize_t row_stride, feature_stride
        size_t n_samples, n_features
        const int64_t *numbers
        const double *origin
        int kind

    ctypedef struct gathered_rows:
        const void *packed
        void *scratch
        void *rows
        int32_t *labels
        size_t *n_crowded

    ctypedef struct tiling:
        size_t n_samples, n_features, tile_rows
        const void *x
        const stored_rows *stored
        double *boxes
        double *group_boxes
        double *sums
        float *lanes
        int32_t *in_lanes
        int32_t *n_in_lanes
        int32_t *owners
        int32_t *labels

    # k-medians
    ctypedef struct median_step:
        size_t n_samples, n_features, n_clusters, n_bins
        const double *sample_weight
        const uint8_t *codes
        int32_t *labels
        float *slack
        const void *packed
        const double *centers
        const float *drift_up
        const float *drift_down
        double coarse, fine
        float in_units
        int whole

    const double SPARSE_SHARE

    ctypedef struct sparse_rows:
        const void *values
        const int32_t *features
        const int64_t *starts
        double norm_unit

    ctypedef struct sparse_seeds:
        const uint8_t *is_stored
        const int32_t *places
        const double *columns
        const double *sq_norms

    ctypedef struct histograms:
        uint32_t *counts
        double *weights
        uint8_t *touched

    ctypedef struct kernels:
        const char *name
        int lanes
        int tile_samples
        int tile_centers
        size_t (*packed_bytes)(size_t, size_t) noexcept nogil
        size_t (*scratch_bytes)(size_t, size_t) noexcept nogil
        void (*widen[2])(const stored_rows *, size_t, size_t, void *) noexcept nogil
        void (*find_offset)(const double *, size_t, size_t, double *) noexcept nogil
        void (*pack_centers)(const double *, size_t, size_t, const double *, int, void *) noexcept nogil
        void (*lower_scores)(void *) noexcept nogil
        void (*exclude_copies)(void *) noexcept nogil
        size_t (*assign[2])(const void *, size_t, size_t, const void *, void *, int32_t *) noexcept nogil
        size_t (*pair_bytes)(size_t) noexcept nogil
        void (*pair_start)(const double *, const double *, size_t, const double *, int, void *) noexcept nogil
        void (*pair_turn)(const double *, void *) noexcept nogil
        int (*pair_label[2])(const void *, const stored_rows *, size_t, size_t, size_t, const void *, const void *,
                             void *, float *, float *, float *, int32_t *, size_t *) noexcept nogil
        size_t (*follow[2])(const void *, size_t, size_t, const double *, const int32_t *, int32_t *, sum_grid,
                            double *, uint8_t *) noexcept nogil
        void (*add_rows[2])(const void *, size_t, const int32_t *, size_t, const double *, sum_grid,
                            double *) noexcept nogil
        void (*merge_sums)(double *, size_t, double *) noexcept nogil
        void (*move_center)(const double *, size_t, const double *, const double *, const double *, double, int, int,
                            double *, double *) noexcept nogil
        void (*explain_center)(const double *, size_t, const double *, const double *, double *) noexcept nogil
        void (*own_sq_distances[2])(const void *, size_t, size_t, const double *, const int32_t *,
                                    double *) noexcept nogil
        void (*all_sq_distances[2])(const void *, size_t, size_t, const double *, size_t, double *) noexcept nogil
        size_t (*candidates_bytes)(size_t, size_t) noexcept nogil
        size_t (*seeding_scratch_bytes)(size_t) noexcept nogil
        void (*pack_candidates[2])(const void *, size_t, const size_t *, size_t, const void *, double,
                                   void *) noexcept nogil
        void (*find_near[2])(const void *, size_t, size_t, const void *, void *, const void *,
                             uint64_t *) noexcept nogil
        void (*near_gains[2])(const void *, size_t, const void *, uint64_t, const double *, const void *, uint64_t *,
                              double *) noexcept nogil
        void (*accept_candidate[2])(const void *, size_t, size_t, const void *, double, const uint64_t *, uint64_t,
                                    void *) noexcept nogil
        double (*potential[2])(const void *, size_t, const double *) noexcept nogil
        size_t (*step_scratch_bytes)(size_t) noexcept nogil
        void (*pack_targets[2])(const void *, size_t, const size_t *, size_t, double, void *) noexcept nogil
        double (*seeding_step[2])(const void *, size_t, size_t, size_t, double, const void *, size_t, size_t, int,
                                  const double *, void *, void *, double *, size_t *) noexcept nogil
        void (*describe[2])(const void *, size_t, size_t, size_t, double *, double *, double *) noexcept nogil
        size_t (*describe_strips)(size_t) noexcept nogil
        void (*find_smallest[2])(const void *, size_t, size_t, double *) noexcept nogil
        void (*find_largest[2])(const void *, size_t, size_t, double *) noexcept nogil
        int (*has_unusable[2])(const void *, size_t, double) noexcept nogil
        double (*fma_spin)(size_t) noexcept nogil
        # Tiles
        void (*find_cells[2])(const void *, size_t, size_t, cell_grid, uint16_t *, uint32_t *) noexcept nogil
        void (*order_by_cell[2])(const void *, size_t, size_t, const double *, const uint16_t *, size_t, uint32_t *,
                                 void *, int32_t *, double *) noexcept nogil
        void (*order_by_splits[2])(void *, size_t, size_t, size_t, int32_t *, double *, void *) noexcept nogil
        void (*describe_group[2])(const tiling *, size_t, const double *, sum_grid) noexcept nogil
        void (*center_columns)(const double *, const int32_t *, size_t, size_t, double *) noexcept nogil
        size_t (*tile_scratch_bytes)(size_t, size_t) noexcept nogil
        void (*step_group[2])(const tiling *, size_t, const double *, const double *, size_t, const double *, sum_grid,
                              void *, double *, uint8_t *, size_t *) noexcept nogil
        # the prefix filter
        size_t (*prefix_bytes)(size_t, size_t, size_t, int) noexcept nogil
        size_t (*prefix_tile_bytes)(size_t) noexcept nogil
        size_t (*prefix_scratch_bytes)(size_t, size_t, size_t) noexcept nogil
        void (*prefix_start)(const float *, size_t, double, const double *, double, size_t, size_t, int,
                             void *) noexcept nogil
        void (*prefix_pack_centers)(const double *, size_t, size_t, void *, void *) noexcept nogil
        void (*prefix_gather_moved)(void *) noexcept nogil
        void (*prefix_encode[2])(const void *, size_t, size_t, const void *, void *, void *) noexcept nogil
        void (*prefix_assign[2])(const void *, const stored_rows *, size_t, size_t, const double *, const void *,
                                 const void *, void *, int32_t *, double *, size_t *) noexcept nogil
        void (*prefix_take_samples)(const size_t *, size_t, const void *, void *) noexcept nogil
        void (*find_near_coded[2])(const void *, size_t, const void *, double, const void *, uint64_t *) noexcept nogil
        int code_features
        int code_limit
        int code_length
        # quantized samples
        int has_dot8
        size_t (*quantizer_bytes)(size_t) noexcept nogil
        size_t (*quantized_tile_bytes)(size_t, int) noexcept nogil
        size_t (*quantized_centers_bytes)(size_t, size_t, int) noexcept nogil
        size_t (*quantized_scratch_bytes)(size_t, size_t) noexcept nogil
        void (*quantizer_start)(const double *, double, size_t, int, int, void *) noexcept nogil
        double (*quantizer_scale)(const void *) noexcept nogil
        void (*quantize[2])(const void *, size_t, size_t, const void *, void *, void *) noexcept nogil
        int (*quantize_centers)(const double *, size_t, const void *, void *) noexcept nogil
        double (*exact_bytes_limit)(const stored_rows *, int) noexcept nogil
        void (*quantize_bytes)(const stored_rows *, size_t, size_t, const void *, void *, void *) noexcept nogil
        size_t (*assign_quantized[2])(const void *, const stored_rows *, size_t, size_t, const void *, const void *,
                                      void *, int32_t *, const gathered_rows *) noexcept nogil
        int (*may_gather)(size_t) noexcept nogil
        void (*screen_quantized)(size_t, const void *, const void *, void *, const int32_t *, const double *, float *,
                                 int32_t *) noexcept nogil
        void (*find_near_quantized[2])(const void *, size_t, const void *, double, const void *,
                                       uint64_t *) noexcept nogil
        # yinyang
        size_t (*bound_scratch_bytes)(size_t, size_t, size_t) noexcept nogil
        size_t (*assign_bounded[2])(const void *, size_t, size_t, const bound_step *, void *, int32_t *, float *,
                                    float *, size_t) noexcept nogil
        size_t (*bound_quantized[2])(const void *, size_t, const void *, const void *, const void *, const bound_step *,
                                     void *, int32_t *, float *, float *, size_t) noexcept nogil
        size_t (*reassign_bounded[2])(const void *, size_t, size_t, const bound_step *, void *, int32_t *, float *,
                                      float *, size_t, bound_work *) noexcept nogil
        size_t (*probe_bounds[2])(const void *, size_t, size_t, const bound_step *, void *, const int32_t *,
                                  const float *, const float *, size_t) noexcept nogil
        # Silhouettes
        void (*gather_eights[2])(const void *, size_t, const int64_t *, size_t, double *) noexcept nogil
        double (*inertia_of_cluster[2])(const void *, size_t, const int32_t *, size_t, const double *, const double *,
                                        int32_t *) noexcept nogil
        double (*split_cluster[2])(const void *, size_t, const int32_t *, size_t, const double *, const double *,
                                   int32_t, double, size_t, size_t, double *, double *) noexcept nogil
        double (*cheapest_merge)(const double *, const double *, size_t, size_t, size_t, int32_t *) noexcept nogil
        size_t (*two_nearest)(const double *, size_t, size_t, const double *, const center_moves *, int64_t *, double *,
                              int64_t *, double *) noexcept nogil
        void (*judge[2])(const void *, const double *, size_t, size_t, const int32_t *, const double *, const double *,
                         const double *, size_t, double *) noexcept nogil
        add_distances add_euclidean
        add_distances add_manhattan
        add_distances add_cosine
        add_pairs add_euclidean_pairs
        add_pairs add_manhattan_pairs
        add_labelled add_euclidean_labelled
        add_labelled add_manhattan_labelled

        # Manhattan distances, k-medians and unit rows
        void (*pack_centers_manhattan)(const double *, size_t, size_t, const double *, int, void *) noexcept nogil
        double (*packed_scale)(const void *) noexcept nogil
        size_t (*sparse_centers_bytes)(size_t, size_t) noexcept nogil
        size_t (*sparse_scratch_bytes)(size_t, size_t) noexcept nogil
        void (*pack_sparse_centers)(const double *, size_t, size_t, int, void *) noexcept nogil
        void (*norms_sparse[2])(const sparse_rows *, size_t, size_t, float *) noexcept nogil
        size_t (*assign_sparse[2])(const sparse_rows *, size_t, size_t, const float *, const void *, void *,
                                   int32_t *) noexcept nogil
        size_t (*follow_sparse[2])(const sparse_rows *, size_t, size_t, size_t, const double *, const int32_t *,
                                   int32_t *, sum_grid, double *, uint8_t *) noexcept nogil
        size_t (*nodes_of)(size_t) noexcept nogil
        void (*fill_trees)(const double *, size_t, size_t, double *) noexcept nogil
        void (*own_sq_distances_sparse[2])(const sparse_rows *, size_t, size_t, size_t, const double *, const double *,
                                           const double *, int, const int32_t *, void *, double *) noexcept nogil
        void (*eight_sq_distances_sparse[2])(const sparse_rows *, size_t, size_t, const double *, const double *,
                                             double *) noexcept nogil
        void (*sq_norms_sparse[2])(const sparse_rows *, size_t, size_t, double *) noexcept nogil
        void (*try_seeds_sparse[2])(const sparse_rows *, size_t, size_t, const sparse_seeds *, const double *,
                                    const double *, const double *, int64_t *, uint8_t *, double *) noexcept nogil
        void (*take_seed_sparse[2])(const sparse_rows *, size_t, size_t, const sparse_seeds *, int, const double *,
                                    const uint8_t *, int64_t *, double *) noexcept nogil
        size_t (*median_scratch_bytes)(size_t, size_t) noexcept nogil
        size_t (*assign_manhattan[2])(const void *, size_t, size_t, const void *, void *, int32_t *,
                                      float *) noexcept nogil
        void (*own_distances_manhattan[2])(const void *, size_t, size_t, const double *, const int32_t *,
                                           double *) noexcept nogil
        void (*all_distances_manhattan[2])(const void *, size_t, size_t, const double *, size_t,
                                           double *) noexcept nogil
        void (*pack_candidates_manhattan[2])(const void *, size_t, const size_t *, size_t, const void *, double,
                                             void *) noexcept nogil
        void (*find_near_manhattan[2])(const void *, size_t, size_t, const void *, void *, const void *,
                                       uint64_t *) noexcept nogil
        void (*near_gains_manhattan[2])(const void *, size_t, const void *, uint64_t, const double *, const void *,
                                        uint64_t *, double *) noexcept nogil
        void (*accept_candidate_manhattan[2])(const void *, size_t, size_t, const void *, double, const uint64_t *,
                                              uint64_t, void *) noexcept nogil
        void (*encode[2])(const void *, size_t, size_t, const double *, const double *, size_t,
                          uint8_t *) noexcept nogil
        size_t (*step_medians[2])(const void *, size_t, size_t, const median_step *, void *, histograms, double *,
                                  size_t *) noexcept nogil
        void (*gather_medians[2])(const void *, size_t, size_t, const median_step *, const uint8_t *, const uint8_t *,
                                  size_t, size_t *, void *, double *) noexcept nogil
        double (*select_half[2])(void *, double *, size_t, double *, double, double, double) noexcept nogil
        double (*cost_of_move[2])(const void *, const double *, size_t, double, double) noexcept nogil
        size_t (*normalize[2])(const void *, size_t, size_t, void *, int) noexcept nogil

    int kernel_tables(const kernels **tables) noexcept nogil
    const kernels *kernel_table(const char *cap) noexcept nogil

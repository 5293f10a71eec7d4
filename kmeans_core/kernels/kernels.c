/* The unit that is compiled once per instruction set. Everything is static but the table itself, so that no wide
 * instruction can be linked into a path that a narrow CPU runs. */
#include "kernels.h"

#include <math.h>
#include <string.h>

#include "arena.h"
#include "vec.h"

#define JOIN_(a, b) a##_##b
#define JOIN(a, b) JOIN_(a, b)
#define NAME(verb) JOIN(verb, SUFFIX)
#define FORCE_INLINE static inline __attribute__((always_inline))

#define REAL float
#define SUFFIX f32
#define OFFSET offset32
#define V_LOAD_REAL v_load_float
#include "pack.h"
#include "stored.h"
#include "register_tile.h"
#include "copies.h"
#include "centers.h"
#include "certificate.h"
#include "move.h"
#include "exact.h"
#include "assign.h"
#include "pair.h"
#include "sums.h"
#include "seeding.h"
#include "seeding_step.h"
#include "describe.h"
#include "tiles.h"
#include "prefix.h"
#include "prefix_rows.h"
#include "quantized.h"
#include "quantized_bytes.h"
#include "quantized_rows.h"
#include "yinyang.h"
#include "bound_quantized.h"
#include "screen.h"
#include "silhouette.h"
#include "gather.h"
#include "judge.h"
#include "exchange_split.h"
#include "manhattan.h"
#include "medians.h"
#include "cosine.h"
#include "sparse.h"
#include "sparse_seeding.h"
#undef REAL
#undef SUFFIX
#undef OFFSET
#undef V_LOAD_REAL

#define REAL double
#define SUFFIX f64
#define OFFSET offset64
#define V_LOAD_REAL v_load_double
#include "pack.h"
#include "stored.h"
#include "exact.h"
#include "assign.h"
#include "pair.h"
#include "sums.h"
#include "seeding.h"
#include "seeding_step.h"
#include "describe.h"
#include "tiles.h"
#include "prefix_rows.h"
#include "quantized_rows.h"
#include "yinyang.h"
#include "bound_quantized.h"
#include "gather.h"
#include "judge.h"
#include "exchange_split.h"
#include "manhattan.h"
#include "medians.h"
#include "cosine.h"
#include "sparse.h"
#include "sparse_seeding.h"
#include "exchange_merge.h"
#include "two_nearest.h"

static double fma_spin(size_t n_rounds)
{
    vec sum[TILE_VECS * TILE_CENTERS];
    const vec a = v_splat(0.5f), b = v_splat(0x1p-20f);
    for (int i = 0; i < TILE_VECS * TILE_CENTERS; i++)
        sum[i] = v_splat((float)i);
    for (size_t round = 0; round < n_rounds; round++)
#pragma GCC unroll 32
        for (int i = 0; i < TILE_VECS * TILE_CENTERS; i++)
            sum[i] = v_fnmadd(sum[i], a, b);
    float keep[LANES], total = 0.0f;
    for (int i = 0; i < TILE_VECS * TILE_CENTERS; i++) {
        v_store(keep, sum[i]);
        total += keep[0];
    }
    /* The sums enter the result, or the compiler would drop the loop. */
    return 2.0 * TILE_VECS * TILE_CENTERS * LANES * (double)n_rounds + (total > 1e30f);
}

#define STRING_(a) #a
#define STRING(a) STRING_(a)
#define BOTH_REALS(verb) .verb = {verb##_f64, verb##_f32}

const kernels JOIN(kernels, FASTKMEANS_ISA) = {
    .name = STRING(FASTKMEANS_ISA),
    .lanes = LANES,
    .tile_samples = TILE_SAMPLES,
    .tile_centers = TILE_CENTERS,
    .packed_bytes = packed_bytes,
    .scratch_bytes = scratch_bytes,
    BOTH_REALS(widen),
    .find_offset = find_offset,
    .pack_centers = pack_centers,
    .lower_scores = lower_scores,
    .exclude_copies = exclude_copies,
    BOTH_REALS(assign),
    .pair_bytes = pair_bytes,
    .pair_start = pair_start,
    .pair_turn = pair_turn,
    BOTH_REALS(pair_label),
    BOTH_REALS(follow),
    BOTH_REALS(add_rows),
    .merge_sums = merge_sums,
    .move_center = move_center,
    .explain_center = explain_center,
    BOTH_REALS(own_sq_distances),
    BOTH_REALS(all_sq_distances),
    .candidates_bytes = candidates_bytes,
    .seeding_scratch_bytes = seeding_scratch_bytes,
    BOTH_REALS(pack_candidates),
    BOTH_REALS(find_near),
    BOTH_REALS(near_gains),
    BOTH_REALS(accept_candidate),
    BOTH_REALS(potential),
    .step_scratch_bytes = step_scratch_bytes,
    BOTH_REALS(pack_targets),
    BOTH_REALS(seeding_step),
    BOTH_REALS(describe),
    BOTH_REALS(find_smallest),
    BOTH_REALS(find_largest),
    BOTH_REALS(has_unusable),
    .fma_spin = fma_spin,
    BOTH_REALS(find_cells),
    BOTH_REALS(order_by_cell),
    BOTH_REALS(order_by_splits),
    BOTH_REALS(describe_group),
    .center_columns = center_columns,
    .tile_scratch_bytes = tile_scratch_bytes,
    BOTH_REALS(step_group),
    .prefix_bytes = prefix_bytes,
    .prefix_tile_bytes = prefix_tile_bytes,
    .prefix_scratch_bytes = prefix_scratch_bytes,
    .prefix_start = prefix_start,
    .prefix_pack_centers = prefix_pack_centers,
    .prefix_gather_moved = prefix_gather_moved,
    BOTH_REALS(prefix_encode),
    BOTH_REALS(prefix_assign),
    .prefix_take_samples = prefix_take_samples,
    BOTH_REALS(find_near_coded),
    .code_features = CODE_FEATURES,
    .code_limit = CODE_LIMIT,
    .code_length = CODE_LENGTH,
    .has_dot8 = HAS_DOT8,
    .describe_strips = describe_strips,
    .quantizer_bytes = quantizer_bytes,
    .quantized_tile_bytes = quantized_tile_bytes,
    .quantized_centers_bytes = quantized_centers_bytes,
    .quantized_scratch_bytes = quantized_scratch_bytes,
    .quantizer_start = quantizer_start,
    .quantizer_scale = quantizer_scale,
    BOTH_REALS(quantize),
    .exact_bytes_limit = exact_bytes_limit,
    .quantize_bytes = quantize_bytes,
    .quantize_centers = quantize_centers,
    BOTH_REALS(assign_quantized),
    .may_gather = may_gather,
    .screen_quantized = screen_quantized,
    BOTH_REALS(find_near_quantized),
    .bound_scratch_bytes = bound_scratch_bytes,
    BOTH_REALS(assign_bounded),
    BOTH_REALS(bound_quantized),
    BOTH_REALS(reassign_bounded),
    BOTH_REALS(probe_bounds),
    BOTH_REALS(gather_eights),
    BOTH_REALS(judge),
    BOTH_REALS(inertia_of_cluster),
    BOTH_REALS(split_cluster),
    .cheapest_merge = cheapest_merge,
    .two_nearest = two_nearest,
    .add_euclidean = add_euclidean,
    .add_manhattan = add_manhattan,
    .add_cosine = add_cosine,
    .add_euclidean_pairs = add_euclidean_pairs,
    .add_manhattan_pairs = add_manhattan_pairs,
    .add_euclidean_labelled = add_euclidean_labelled,
    .add_manhattan_labelled = add_manhattan_labelled,
    .sparse_centers_bytes = sparse_centers_bytes,
    .sparse_scratch_bytes = sparse_scratch_bytes,
    .pack_sparse_centers = pack_sparse_centers,
    BOTH_REALS(norms_sparse),
    BOTH_REALS(assign_sparse),
    BOTH_REALS(follow_sparse),
    .nodes_of = nodes_of,
    .fill_trees = fill_trees,
    BOTH_REALS(own_sq_distances_sparse),
    BOTH_REALS(eight_sq_distances_sparse),
    BOTH_REALS(sq_norms_sparse),
    BOTH_REALS(try_seeds_sparse),
    BOTH_REALS(take_seed_sparse),
    .pack_centers_manhattan = pack_centers_manhattan,
    .packed_scale = packed_scale,
    BOTH_REALS(assign_manhattan),
    BOTH_REALS(own_distances_manhattan),
    BOTH_REALS(all_distances_manhattan),
    BOTH_REALS(pack_candidates_manhattan),
    BOTH_REALS(find_near_manhattan),
    BOTH_REALS(near_gains_manhattan),
    BOTH_REALS(accept_candidate_manhattan),
    .median_scratch_bytes = median_scratch_bytes,
    BOTH_REALS(encode),
    BOTH_REALS(step_medians),
    BOTH_REALS(gather_medians),
    BOTH_REALS(select_half),
    BOTH_REALS(cost_of_move),
    BOTH_REALS(normalize),
};

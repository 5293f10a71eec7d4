/* Mean distances of samples to the samples of each cluster: what silhouettes are made of.
 *
 * Samples and others are laid out by gather_eights: eights of rows, [n_features][8] float64. Eight samples are the
 * lanes of a vector and eight others are broadcast, so no distance is added up across lanes. The others come in the
 * order of their clusters, so a cluster ends where the label changes: no array over clusters exists. Several labelings
 * (silhouette_labelled.h) have no order in common: there the others come in any order, and each cluster has its own
 * sum.
 *
 * float64 throughout, by differences: |x|^2 - 2 x.y + |y|^2 would lose all digits of close pairs. A sum over n
 * distances has a relative error below (n / 8 + 10 + n_features) 2^-53: 3e-12 for 200 000; of several labelings, below
 * (n + 10 + n_features) 2^-53.
 *
 * Half of the roots come from the divider and half from multiply-adds, because both can run at once: on a Zen 4, eight
 * distances took 2.3 ns instead of 4.4 with 2 features, 6.5 instead of 8.0 with 16 (5.1 without roots); all roots from
 * multiply-adds took 3.0 and 7.1.
 */

#define EIGHT 8 /* rows side by side: a multiple of VD_LANES */

/* Euclidean: the root of the sum of (x - y)^2. `c` is the place among eight others. */
#define METRIC_VERB add_euclidean
#define METRIC_ADD(sum, away) vd_fmadd(sum, away, away)
#define METRIC_FINISH(c, sum) ((c) % 2 ? vd_sqrt_by_steps(sum) : vd_sqrt(sum))
#include "silhouette_metric.h"
#include "silhouette_pairs.h"
#include "silhouette_labelled.h"
#undef METRIC_VERB
#undef METRIC_ADD
#undef METRIC_FINISH

/* Manhattan: the sum of |x - y|. */
#define METRIC_VERB add_manhattan
#define METRIC_ADD(sum, away) ((sum) + vd_abs(away))
#define METRIC_FINISH(c, sum) (sum)
#include "silhouette_metric.h"
#include "silhouette_pairs.h"
#include "silhouette_labelled.h"
#undef METRIC_VERB
#undef METRIC_ADD
#undef METRIC_FINISH

/* Cosine of rows of length 1: 1 - x.y = (x - y)^2 / 2, without the cancellation. */
#define METRIC_VERB add_cosine
#define METRIC_ADD(sum, away) vd_fmadd(sum, away, away)
#define METRIC_FINISH(c, sum) (0.5 * (sum))
#include "silhouette_metric.h"
#undef METRIC_VERB
#undef METRIC_ADD
#undef METRIC_FINISH

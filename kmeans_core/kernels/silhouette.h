/* Mean distances of samples to the samples of each cluster: what silhouettes are made of.
 *
 * Samples and others are laid out by gather_eights: eights of rows, [n_features][8] float64. Eight samples are lanes
 * of a vector, eight others are broadcast, so a distance is never added up across lanes, and the others come in the
 * order of their clusters, so a cluster ends when the next label differs: no array over clusters exists.
 *
 * float64 throughout, by differences. A sum of products (|x|^2 - 2 x.y + |y|^2) would halve the arithmetic and lose all
 * digits of close pairs; float32 seeds for the roots leave the multiply-adds of their Newton steps to the ports that
 * the distances fill, while the divider works beside them (on Zen 4 the root costs what 9 features cost).
 * A sum over n distances has a relative error below (n / 8 + 10 + n_features) 2^-53: 3e-12 for 200 000.
 */

#define EIGHT 8 /* rows side by side: a multiple of VD_LANES */

/* Euclidean: the root of the sum of (x - y)^2. */
#define METRIC_VERB add_euclidean
#define METRIC_ADD(sum, away) vd_fmadd(sum, away, away)
#define METRIC_FINISH(sum) vd_sqrt(sum)
#include "silhouette_metric.h"

/* Manhattan: the sum of |x - y|. */
#define METRIC_VERB add_manhattan
#define METRIC_ADD(sum, away) ((sum) + vd_abs(away))
#define METRIC_FINISH(sum) (sum)
#include "silhouette_metric.h"

/* Cosine of rows of length 1: 1 - x.y = (x - y)^2 / 2, without the cancellation. */
#define METRIC_VERB add_cosine
#define METRIC_ADD(sum, away) vd_fmadd(sum, away, away)
#define METRIC_FINISH(sum) (0.5 * (sum))
#include "silhouette_metric.h"

/* From sums to centers. The order of every addition is fixed, so that all instruction sets agree to the bit. */

static void merge_sums(double *restrict part, size_t n_features, double *restrict total)
{
    for (size_t i = 0; i < 2 * (n_features + 1); i++) {
        total[i] += part[i];
        part[i] = 0.0;
    }
}

#define MOVE_SUMS 8 /* interleaved sums: a vector of float64 on the widest instruction set */

typedef struct {
    double shift[MOVE_SUMS], between[MOVE_SUMS], across[MOVE_SUMS], lacking[MOVE_SUMS];
} move_sums;

static inline int is_any_above_zero(const double *part)
{
    int found = 0;
    for (int i = 0; i < MOVE_SUMS; i++)
        found |= part[i] > 0.0;
    return found;
}

static double fold_sums(const double *part)
{
    return ((part[0] + part[1]) + (part[2] + part[3])) + ((part[4] + part[5]) + (part[6] + part[7]));
}

/* A number as the sum of two float64: `low` is what rounding took from `high` (T. J. Dekker, "A floating-point
 * technique for extending the available precision", Numerische Mathematik 18, 1971). Products are made without fused
 * multiply-adds, which not every instruction set has. */
typedef struct {
    double high, low;
} two_reals;

#define SPREAD 0x1.0000002p27 /* 2^27 + 1 */

static inline two_reals two_sum(double a, double b)
{
    const double sum = a + b, b_in_it = sum - a;
    return (two_reals){sum, (a - (sum - b_in_it)) + (b - b_in_it)};
}

static inline two_reals two_product(double a, double b)
{
    const double a_spread = a * SPREAD, b_spread = b * SPREAD;
    const double a_high = a_spread - (a_spread - a), b_high = b_spread - (b_spread - b);
    const double a_low = a - a_high, b_low = b - b_high, product = a * b;
    return (two_reals){product, ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low};
}

/* The mean, rounded once, to the closer of the two float64 beside it. So a center that is already the closest float64
 * is not left for a worse one, and the inertia does not rise. */
static inline double rounded_mean(double coarse, double fine, double weight, double per_weight)
{
    const double mean = (coarse + fine) / weight;
    const two_reals product = two_product(weight, mean);
    return mean + (((coarse - product.high) - product.low) + fine) * per_weight;
}

/* Products with weights are rounded, so a weighted mean is off by about one rounding of it. A center that is no farther
 * from the mean than that stays, for the same reason. */
#define MEAN_ROUNDING 0x1p-51

static inline double moved_or_kept(double mean, double moved, double center)
{
    return fabs(mean - center) <= fabs(mean - moved) + MEAN_ROUNDING * fabs(mean) ? center : moved;
}

/* One feature: its new coordinate, and what it adds to interleaved sum i of each term. */
FORCE_INLINE void move_feature(const double *coarse, const double *fine, double weight, const double *center,
                               const double *origin, const double *fine_grid, double digits, int samples_are_float32,
                               int weighted, double *moved, move_sums *part, size_t i)
{
    const double away = *center - *origin, rest = (*coarse - weight * *center) + *fine;
    const double mean = samples_are_float32 ? (*coarse + *fine) / weight
                                            : rounded_mean(*coarse, *fine, weight, 1.0 / weight);
    const double nearest = samples_are_float32 ? (double)(float)mean : mean;
    *moved = weighted ? moved_or_kept(mean, nearest, *center) : nearest;
    part->shift[i] += (*moved - *center) * (*moved - *center);
    part->between[i] += away * away;
    part->across[i] += away * rest;
    part->lacking[i] = *fine_grid * digits - fabs(mean) > 0.0 ? 1.0 : part->lacking[i];
}

static inline vdouble rounded_means(vdouble mean, vdouble coarse, vdouble fine, double weight)
{
    const double weight_spread = weight * SPREAD, a_high = weight_spread - (weight_spread - weight),
                 a_low = weight - a_high;
    const vdouble mean_spread = mean * SPREAD, b_high = mean_spread - (mean_spread - mean), b_low = mean - b_high;
    const vdouble product = weight * mean;
    const vdouble lacking = ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low;
    return mean + (((coarse - product) - lacking) + fine) * (1.0 / weight);
}

/* The same for as many features as a vector has. */
FORCE_INLINE void move_vector(const double *coarse, const double *fine, double weight, const double *center,
                              const double *origin, const double *fine_grid, double digits, int samples_are_float32,
                              int weighted, double *moved, vdouble *shift, vdouble *between, vdouble *across,
                              vdouble *lacking)
{
    const vdouble all = vd_load(coarse), rest_of_all = vd_load(fine), from = vd_load(center);
    const vdouble away = from - vd_load(origin), rest = (all - weight * from) + rest_of_all;
    vdouble mean = (all + rest_of_all) / weight, to = mean;
    if (samples_are_float32)
        to = __builtin_convertvector(__builtin_convertvector(mean, vd_floats), vdouble);
    else
        mean = to = rounded_means(mean, all, rest_of_all, weight);
    if (weighted)
        to = vd_pick((vd_mask)(vd_abs(mean - from) <= vd_abs(mean - to) + MEAN_ROUNDING * vd_abs(mean)), from, to);
    vd_store(moved, to);
    *lacking = vd_max(vd_load(fine_grid) * digits - vd_abs(mean), *lacking);
    *shift += (to - from) * (to - from);
    *between += away * away;
    *across += away * rest;
}

FORCE_INLINE void move_features(const double *coarse, const double *fine, size_t n_features, double weight,
                                const double *center, const double *origin, const double *fine_grid, double digits,
                                int samples_are_float32, int weighted, double *moved, move_sums *part)
{
    vdouble shift[MOVE_SUMS / VD_LANES], between[MOVE_SUMS / VD_LANES], across[MOVE_SUMS / VD_LANES];
    vdouble lacking[MOVE_SUMS / VD_LANES];
    size_t f = 0;
#pragma GCC unroll 8
    for (int v = 0; v < MOVE_SUMS / VD_LANES; v++)
        shift[v] = between[v] = across[v] = lacking[v] = (vdouble){0.0};
    for (; f + MOVE_SUMS <= n_features; f += MOVE_SUMS)
#pragma GCC unroll 8
        for (int v = 0; v < MOVE_SUMS / VD_LANES; v++) {
            const size_t i = f + (size_t)v * VD_LANES;
            move_vector(coarse + i, fine + i, weight, center + i, origin + i, fine_grid + i, digits,
                        samples_are_float32, weighted, moved + i, shift + v, between + v, across + v, lacking + v);
        }
#pragma GCC unroll 8
    for (int v = 0; v < MOVE_SUMS / VD_LANES; v++) {
        vd_store(part->shift + v * VD_LANES, shift[v]);
        vd_store(part->between + v * VD_LANES, between[v]);
        vd_store(part->across + v * VD_LANES, across[v]);
        vd_store(part->lacking + v * VD_LANES, lacking[v]);
    }
    for (size_t i = 0; f + i < n_features; i++)
        move_feature(coarse + f + i, fine + f + i, weight, center + f + i, origin + f + i, fine_grid + f + i, digits,
                     samples_are_float32, weighted, moved + f + i, part, i);
}

/* With a = center - origin and r = sum of weight * (x - center), which is small, the sum over a cluster of
 * weight * (|x - origin|^2 - |x - center|^2) is weight |a|^2 + 2 a.r, whatever the center. */
static void move_center(const double *sums, size_t n_features, const double *center, const double *origin,
                        const double *fine_grid, double digits, int samples_are_float32, int weighted, double *moved,
                        double *terms)
{
    const double *coarse = sums, *fine = sums + n_features + 1;
    const double weight = coarse[n_features] + fine[n_features];
    move_sums part;
    terms[0] = weight;
    terms[1] = terms[2] = 0.0;
    terms[3] = weighted && weight < fine_grid[n_features] * digits;
    if (!(weight > 0.0)) {
        memcpy(moved, center, n_features * sizeof(double));
        return;
    }
    digits = weighted ? digits / weight : digits; /* from here on for the mean, not the sum */
    if (samples_are_float32 && weighted)
        move_features(coarse, fine, n_features, weight, center, origin, fine_grid, digits, 1, 1, moved, &part);
    else if (samples_are_float32)
        move_features(coarse, fine, n_features, weight, center, origin, fine_grid, digits, 1, 0, moved, &part);
    else if (weighted)
        move_features(coarse, fine, n_features, weight, center, origin, fine_grid, digits, 0, 1, moved, &part);
    else
        move_features(coarse, fine, n_features, weight, center, origin, fine_grid, digits, 0, 0, moved, &part);
    if (is_any_above_zero(part.lacking))
        terms[3] = 1.0;
    terms[1] = fold_sums(part.shift);
    terms[2] = weight * fold_sums(part.between) + 2.0 * fold_sums(part.across);
}

/* terms[2] of move_center, with twice the digits. With s the sum of weight * x it is the dot product of center - origin
 * and 2 s - weight * (center + origin). */
static void explain_center(const double *sums, size_t n_features, const double *center, const double *origin,
                           double *explained)
{
    const double *coarse = sums, *fine = sums + n_features + 1;
    const two_reals weight = two_sum(coarse[n_features], fine[n_features]);
    two_reals total = {0.0, 0.0};
    for (size_t f = 0; f < n_features && weight.high > 0.0; f++) {
        const two_reals away = two_sum(center[f], -origin[f]), both = two_sum(center[f], origin[f]);
        two_reals product = two_product(weight.high, both.high);
        product.low += weight.high * both.low + weight.low * both.high;
        const two_reals begun = two_sum(2.0 * coarse[f], -product.high), rest = two_sum(begun.high, 2.0 * fine[f]);
        two_reals term = two_product(away.high, rest.high);
        term.low += away.high * (rest.low + (begun.low - product.low)) + away.low * rest.high;
        const two_reals sum = two_sum(total.high, term.high);
        total = (two_reals){sum.high, total.low + (sum.low + term.low)};
    }
    explained[0] = total.high;
    explained[1] = total.low;
}

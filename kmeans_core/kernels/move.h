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
    double shift[MOVE_SUMS], between[MOVE_SUMS], lag[MOVE_SUMS];
} move_sums;

static double fold_sums(const double *part)
{
    return ((part[0] + part[1]) + (part[2] + part[3])) + ((part[4] + part[5]) + (part[6] + part[7]));
}

static void move_center(const double *sums, size_t n_features, const double *center, const double *origin,
                        int samples_are_float32, double *moved, double *terms)
{
    const double *coarse = sums, *fine = sums + n_features + 1;
    const double weight = coarse[n_features] + fine[n_features];
    move_sums part = {{0.0}, {0.0}, {0.0}};
    terms[0] = weight;
    terms[1] = terms[2] = 0.0;
    if (!(weight > 0.0)) {
        memcpy(moved, center, n_features * sizeof(double));
        return;
    }
    for (size_t first = 0; first < n_features; first += MOVE_SUMS) {
        const size_t count = n_features - first < MOVE_SUMS ? n_features - first : MOVE_SUMS;
        for (size_t i = 0; i < count; i++) {
            const size_t f = first + i;
            const double mean = (coarse[f] + fine[f]) / weight;
            moved[f] = samples_are_float32 ? (double)(float)mean : mean;
            part.shift[i] += (moved[f] - center[f]) * (moved[f] - center[f]);
            part.between[i] += (mean - origin[f]) * (mean - origin[f]);
            part.lag[i] += (mean - center[f]) * (mean - center[f]);
        }
    }
    terms[1] = fold_sums(part.shift);
    terms[2] = weight * (fold_sums(part.between) - fold_sums(part.lag));
}

/* Rows of unit length, for the cosine distance: 1 - cos is then half the squared distance. Included once per real
 * type. */

/* Divide each row by its length. If squares would underflow or overflow, the row is first scaled by a power of two.
 *   y         OUT [n_samples][n_features], float32 or float64
 *   returns the first row of zeros, n_samples if there is none */
FORCE_INLINE double NAME(sq_length)(const REAL *x, size_t n_features, double scale)
{
    double part[8] = {0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0};
    size_t f = 0;
    for (; f + 8 <= n_features; f += 8)
        for (int e = 0; e < 8; e++)
            part[e] += (double)x[f + e] * scale * ((double)x[f + e] * scale);
    for (int e = 0; f < n_features; f++, e++)
        part[e] += (double)x[f] * scale * ((double)x[f] * scale);
    return fold_sums(part);
}

static size_t NAME(normalize)(const void *any_x, size_t n_samples, size_t n_features, void *y, int as_float32)
{
    const REAL *x = any_x;
    size_t first_zero = n_samples;
    for (size_t i = 0; i < n_samples; i++, x += n_features) {
        double scale = 1.0, sq = NAME(sq_length)(x, n_features, 1.0);
        if (!(sq > 1e-200 && sq < 1e300)) {
            double largest = 0.0;
            int exponent;
            for (size_t f = 0; f < n_features; f++)
                largest = fabs((double)x[f]) > largest ? fabs((double)x[f]) : largest;
            frexp(largest, &exponent);
            scale = ldexp(1.0, exponent < -1000 ? 1000 : -exponent);
            sq = NAME(sq_length)(x, n_features, scale);
            if (largest == 0.0 && first_zero == n_samples)
                first_zero = i;
        }
        const double length = sq > 0.0 ? sqrt(sq) : 1.0;
        if (as_float32)
            for (size_t f = 0; f < n_features; f++)
                ((float *)y)[i * n_features + f] = (float)((double)x[f] * scale / length);
        else
            for (size_t f = 0; f < n_features; f++)
                ((double *)y)[i * n_features + f] = (double)x[f] * scale / length;
    }
    return first_zero;
}

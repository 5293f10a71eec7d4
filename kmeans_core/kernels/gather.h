/* Rows side by side, as float64. Included once per real type. */

/* Eights of the listed rows, [n_features][8] each; the last one is padded by copies of the last row. */
static void NAME(gather_eights)(const void *any_x, size_t n_features, const int64_t *rows, size_t n_rows,
                                double *eights)
{
    const REAL *x = any_x;
    for (size_t first = 0; first < n_rows; first += EIGHT)
        for (size_t lane = 0; lane < EIGHT; lane++) {
            const size_t i = first + lane < n_rows ? first + lane : n_rows - 1;
            const REAL *row = x + (size_t)rows[i] * n_features;
            double *column = eights + first * n_features + lane;
            for (size_t f = 0; f < n_features; f++)
                column[f * EIGHT] = row[f];
        }
}

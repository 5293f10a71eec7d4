/* How rows are cut, on every instruction set alike. */
#include "kernels.h"

size_t block_samples(size_t n_features)
{
    /* 256 KiB of float32 stay in a second-level cache beside a panel; 1024 samples amortise the call. */
    const size_t fit = 65536 / n_features / 32 * 32;
    return fit > BLOCK_SAMPLES ? BLOCK_SAMPLES : fit < 64 ? 64 : fit;
}

/* How long a label lasts: the way of its center up to which a sample keeps it (screen.h). For kernels and for Cython.
 *
 * The number is stored in float32. It is lowered by more than all operations on it can round, and than the share of
 * the way by which the later test may be wrong (engines/gaps.py). */

#ifndef FASTKMEANS_UNTIL
#define FASTKMEANS_UNTIL

#include <math.h>

#define UNTIL_NARROWER (1.0 - 0x1p-20)
#define MOST_UNTIL 0x1.fffffep127f /* more would be stored as infinite, and exceed every way */
#define LEAST_UNTIL 0x1p-100       /* float32 rounds numbers near 0 by more than UNTIL_NARROWER covers */

/* Up to which way a label lasts; -infinity if nothing is known.
 *   way   of the center so far
 *   gap   how far the own center and any other one together may move */
static inline float until_of(double way, double gap)
{
    const double last = (way + gap * UNTIL_NARROWER) * UNTIL_NARROWER;
    if (!(gap > 0.0 && last >= LEAST_UNTIL))
        return -HUGE_VALF;
    return last < (double)MOST_UNTIL ? (float)last : MOST_UNTIL;
}

#endif

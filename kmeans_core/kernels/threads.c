/* What OpenMP's runtime must be told; serial builds answer for one thread. */
#include "kernels.h"

#ifdef _OPENMP
#include <omp.h>
int openmp_enabled(void) { return 1; }
int openmp_max_threads(void) { return omp_get_max_threads(); }
void openmp_release(void)
{
    /* libgomp's pool does not survive fork: a child's first parallel region would wait for threads that are gone. */
#ifdef HAVE_OMP_PAUSE
    omp_pause_resource_all(omp_pause_hard);
#endif
}
#else
int openmp_enabled(void) { return 0; }
int openmp_max_threads(void) { return 1; }
void openmp_release(void) {}
#endif

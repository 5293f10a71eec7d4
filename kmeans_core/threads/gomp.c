/* What gcc makes of Cython's parallel loops: calls of OpenMP's runtime, answered here (libgomp manual, "The libgomp
 * ABI").
 *
 * OpenMP's own library waits for all threads at the begin and at the end of each region. If other programs use the
 * CPUs, each wait takes a time slice: two processes that fitted 3000 x 20 samples at once took 192 ms per fit, and 1.0
 * ms alone. Here a region begins at once, see threads.h.
 *
 * Cython's parallel loop has one shape: a region that holds one loop, and no barrier that orders what is read. Only the
 * calls of that shape are answered. Modules are not linked with OpenMP's library, so if a compiler calls another
 * function, the import of the module fails and names that function.
 */
#include "threads.h"

#ifdef FASTKMEANS_POOL
#include <stdatomic.h>
#include <stddef.h>

typedef struct {
    void (*outlined)(void *);
    void *data;
    _Alignas(64) atomic_long next; /* chunk of a dynamic loop that nobody has taken; alone on its cache line */
} region;

static _Thread_local struct {
    int thread, n_threads;
    region *region;
    long start, end, step, chunk; /* of the dynamic loop */
} here = {.n_threads = 1};

static run_region run = NULL;

void use_threads(run_region threads) { run = threads; }

static void enter(void *context, int thread, int n_threads)
{
    region *r = context;
    __typeof__(here) outer = here;
    here.thread = thread;
    here.n_threads = n_threads;
    here.region = r;
    r->outlined(r->data);
    here = outer;
}

#define EXPORTED __attribute__((visibility("hidden"), used))

EXPORTED void GOMP_parallel(void (*outlined)(void *), void *data, unsigned n_threads, unsigned flags)
{
    (void)flags;
    region r = {.outlined = outlined, .data = data};
    if (run == NULL || n_threads == 1 || here.n_threads > 1)
        enter(&r, 0, 1);
    else
        run(enter, &r, (int)n_threads);
}

EXPORTED int omp_get_thread_num(void) { return here.thread; }
EXPORTED int omp_get_num_threads(void) { return here.n_threads; }
/* For loops that do not say how many threads they want; this package has none. */
EXPORTED int omp_get_max_threads(void) { return 1; }

/* The next chunk of the loop, [first, last) by step; false if there is none. */
EXPORTED bool GOMP_loop_nonmonotonic_dynamic_next(long *first, long *last)
{
    long width = here.step * here.chunk;
    long from = here.start + atomic_fetch_add_explicit(&here.region->next, 1, memory_order_relaxed) * width;
    if (here.step > 0 ? from >= here.end : from <= here.end)
        return false;
    long to = from + width;
    *first = from;
    *last = (here.step > 0 ? to > here.end : to < here.end) ? here.end : to;
    return true;
}

EXPORTED bool GOMP_loop_nonmonotonic_dynamic_start(long start, long end, long step, long chunk, long *first, long *last)
{
    here.start = start;
    here.end = end;
    here.step = step;
    here.chunk = chunk;
    return GOMP_loop_nonmonotonic_dynamic_next(first, last);
}

EXPORTED void GOMP_loop_end_nowait(void) {}

/* gcc puts a barrier before a loop whose variable is firstprivate and lastprivate, so that no thread reads the variable
 * after another has written it. Here the loop overwrites what was read, so no barrier is needed. */
EXPORTED void GOMP_barrier(void) {}

#else
void use_threads(run_region threads) { (void)threads; }
#endif

/* THE contract of threads: who runs a parallel region, and how long anybody waits.
 *
 * A region is a body that is called once for each of some thread numbers. Numbers are places to write (sums, scratch),
 * not threads of the operating system: the caller takes number 0, whichever helper is awake takes the next, and the
 * caller takes what nobody took. So a region never waits for a thread that has not begun, and ends though all helpers
 * are busy, asleep or could not be made. It waits only for numbers that were begun.
 *
 * Results do not depend on how many numbers there are, so each region has as many as CPUs seem to be free (crowd.c).
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

/* context : what the region shares.   thread : 0 to n_threads - 1. */
typedef void (*region_body)(void *context, int thread, int n_threads);

/* Call the body once for each thread number, of which there are at most n_threads, and return when all calls did. Two
 * calls may run at once or one after the other, in any order: a body must not wait for another. A region within a
 * region, or beside one of another thread of the program, has one number. */
typedef void (*run_region)(region_body body, void *context, int n_threads);
void run_threads(region_body body, void *context, int n_threads);

/* What modules call in place of OpenMP's runtime (gomp.c) goes there. A module that was not told runs everything
 * alone. */
void use_threads(run_region run);

/* The settings that OpenMP has read from its environment variables; serial builds answer for one thread. */
void openmp_start(void); /* once, before the other functions are called */
void start_pool(void);   /* once, when the package is loaded */
bool openmp_enabled(void);
int openmp_max_threads(void);
int openmp_n_places(void); /* OMP_PLACES or OMP_PROC_BIND: sets of CPUs that threads are bound to; 0 for no binding */
int openmp_place_size(int place);
void openmp_place(int place, int *cpus);
void openmp_release(void); /* before a fork: give back threads that a child would wait for */

/* CPUs that the process may use: by the affinity of the calling thread, or by OpenMP where that binds threads. 0 if
 * unknown. */
int count_cpus(void);

/* Has this build a pool of its own (gcc on Linux), or OpenMP's? */
bool has_pool(void);

#ifdef FASTKMEANS_POOL
#include <pthread.h>

/* For the pool alone. */
typedef struct {
    uint64_t spin;   /* nanoseconds that a helper with nothing to do waits before it sleeps */
    bool holds_back; /* whether regions have fewer numbers while other programs use the CPUs */
} thread_settings;

thread_settings read_settings(void);

/* What a thread has had of the CPU since some moment. */
typedef struct {
    uint64_t wall, used; /* nanoseconds */
    long n_preempted;
} cpu_use;

uint64_t clock_now(void); /* nanoseconds of a clock that goes on */
cpu_use cpu_use_now(void);

/* Called by a helper now and then: takes note, and returns true, if the helper was ready to run and another had its
 * CPU. */
bool watch_cpu_use(cpu_use *since);

/* How many of n_threads the next region should have. One caller at a time.   n_own : threads of the pool, awake */
int threads_for_region(int n_threads, int n_own);

/* Bind a helper to a place of its own, if OpenMP's settings ask for it. */
void bind_helper(pthread_t thread, int helper);

/* After a fork: nothing is known. */
void forget_crowd(void);
#endif

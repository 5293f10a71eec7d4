/* THE contract of threads: who runs a parallel region, and how long anybody waits.
 *
 * A region is a body that is called once for each of some thread numbers. Numbers are places to write (sums, scratch),
 * not threads of the operating system: the caller takes number 0, helpers that are awake take the next ones, and the
 * caller takes what is left. So a region waits only for numbers that were begun. It ends even if all helpers are busy
 * or asleep, or could not be made.
 *
 * Results do not depend on how many numbers there are, so each region has as many as there seem to be free CPUs
 * (crowd.c).
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

/* context : what the region shares.   thread : 0 to n_threads - 1. */
typedef void (*region_body)(void *context, int thread, int n_threads);

/* Call the body once for each thread number, of which there are at most n_threads; return after the last call. Two
 * calls may run at once or one after the other, in any order, so a body must not wait for another. A region has one
 * number if it is called within a region, or while another thread of the program has one. */
typedef void (*run_region)(region_body body, void *context, int n_threads);
void run_threads(region_body body, void *context, int n_threads);

/* Run the parallel loops of this module by `run` (gomp.c). Before this call it runs them on the calling thread
 * alone. */
void use_threads(run_region run);

/* The settings that OpenMP has read from its environment variables; builds without OpenMP answer for one thread. */
void openmp_start(void); /* once, before the other functions are called */
void start_pool(void);   /* once, when the package is loaded */
bool openmp_enabled(void);
int openmp_max_threads(void);
int openmp_n_places(void); /* OMP_PLACES or OMP_PROC_BIND: sets of CPUs that threads are bound to; 0 for no binding */
int openmp_place_size(int place);
void openmp_place(int place, int *cpus);
void openmp_release(void); /* before a fork: give back threads that a child would wait for */

/* CPUs that the process may use: by OpenMP if that binds threads, else by the calling thread's affinity; 0 if
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

/* How long a thread has run, and how much of that it had a CPU, since some moment. */
typedef struct {
    uint64_t wall, used; /* nanoseconds */
    long n_preempted;
} cpu_use;

uint64_t clock_now(void); /* nanoseconds of a clock that never goes back */
cpu_use cpu_use_now(void);

/* A helper calls this now and then. Returns true, and takes note, if the helper was ready to run without getting a
 * CPU. */
bool watch_cpu_use(cpu_use *since);

/* How many of n_threads the next region should have. One caller at a time.   n_own : threads of the pool, awake */
int threads_for_region(int n_threads, int n_own);

/* Bind a helper to a place of its own, if OpenMP's settings ask for it. */
void bind_helper(pthread_t thread, int helper);

/* After a fork: nothing is known. */
void forget_crowd(void);
#endif

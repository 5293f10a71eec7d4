/* What OpenMP's library knows: settings of the environment. Builds without a pool of their own run regions there too. */
#define _GNU_SOURCE
#include "threads.h"

#ifdef __linux__
#include <sched.h>
#endif

int count_cpus(void)
{
    int n_cpus = 0;
    for (int place = openmp_n_places() - 1; place >= 0; place--)
        n_cpus += openmp_place_size(place);
    if (n_cpus > 0)
        return n_cpus < openmp_n_cpus() ? n_cpus : openmp_n_cpus();
#ifdef __linux__
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) /* else there are more CPUs than the set has bits for */
        return CPU_COUNT(&set);
#endif
    return 0;
}

#ifdef _OPENMP
#include <omp.h>

bool openmp_enabled(void) { return true; }
int openmp_max_threads(void) { return omp_get_max_threads(); }
int openmp_n_cpus(void) { return omp_get_num_procs(); }
int openmp_n_places(void) { return omp_get_proc_bind() == omp_proc_bind_false ? 0 : omp_get_num_places(); }
int openmp_place_size(int place) { return omp_get_place_num_procs(place); }
void openmp_place(int place, int *cpus) { omp_get_place_proc_ids(place, cpus); }

#ifndef FASTKMEANS_POOL
void openmp_release(void)
{
    /* libgomp's pool does not survive fork: a child's first parallel region would wait for threads that are gone. */
#ifdef HAVE_OMP_PAUSE
    omp_pause_resource_all(omp_pause_hard);
#endif
}

void run_threads(region_body body, void *context, int n_threads)
{
#pragma omp parallel num_threads(n_threads)
    body(context, omp_get_thread_num(), omp_get_num_threads());
}
#endif

#else
bool openmp_enabled(void) { return false; }
int openmp_max_threads(void) { return 1; }
int openmp_n_cpus(void) { return 0; }
int openmp_n_places(void) { return 0; }
int openmp_place_size(int place) { (void)place; return 0; }
void openmp_place(int place, int *cpus) { (void)place; (void)cpus; }
void openmp_release(void) {}
void run_threads(region_body body, void *context, int n_threads) { (void)n_threads; body(context, 0, 1); }
#endif

#ifdef FASTKMEANS_POOL
void openmp_release(void) {}
#else
bool has_pool(void) { return false; }
void use_threads(run_region run) { (void)run; }
#endif

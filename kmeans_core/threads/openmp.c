/* What OpenMP's library has read from the environment. Builds without a pool of their own also run regions by it. */
#define _GNU_SOURCE
#include "threads.h"

#ifdef __linux__
#include <dlfcn.h>
#include <link.h>
#include <sched.h>
#include <string.h>
#endif

#ifdef _OPENMP
#include <omp.h>

bool openmp_enabled(void) { return true; }

/* OpenMP binds the main thread when its library is loaded. Packages bring copies of the library. A copy that is loaded
 * after another finds the main thread bound to one CPU, and takes that for the only one: so the first copy is asked. */
typedef struct {
    int (*max_threads)(void);
    int (*n_cpus)(void);
    int (*n_places)(void);
    int (*place_size)(int);
    void (*place)(int, int *);
} openmp_library;

static openmp_library openmp = {omp_get_max_threads, omp_get_num_procs, omp_get_num_places, omp_get_place_num_procs,
                                omp_get_place_proc_ids};
static bool bound = false;

#ifdef __linux__
static int look_at_library(struct dl_phdr_info *info, size_t size, void *unused)
{
    (void)size;
    (void)unused;
    if (info->dlpi_name == NULL || strstr(info->dlpi_name, "libgomp") == NULL)
        return 0;
    void *library = dlopen(info->dlpi_name, RTLD_LAZY | RTLD_NOLOAD);
    if (library == NULL)
        return 0;
    const openmp_library other = {
        (int (*)(void))dlsym(library, "omp_get_max_threads"), (int (*)(void))dlsym(library, "omp_get_num_procs"),
        (int (*)(void))dlsym(library, "omp_get_num_places"), (int (*)(int))dlsym(library, "omp_get_place_num_procs"),
        (void (*)(int, int *))dlsym(library, "omp_get_place_proc_ids")};
    if (other.max_threads && other.n_cpus && other.n_places && other.place_size && other.place
        && other.n_cpus() > openmp.n_cpus())
        openmp = other;
    dlclose(library);
    return 0;
}
#endif

void openmp_start(void)
{
    bound = omp_get_proc_bind() != omp_proc_bind_false;
#ifdef __linux__
    if (bound)
        dl_iterate_phdr(look_at_library, NULL);
#endif
}

int openmp_max_threads(void) { return openmp.max_threads(); }
int openmp_n_places(void) { return bound ? openmp.n_places() : 0; }
int openmp_place_size(int place) { return openmp.place_size(place); }
void openmp_place(int place, int *cpus) { openmp.place(place, cpus); }

static int cpus_of_places(void)
{
    int n_cpus = 0, n_places = openmp_n_places();
    for (int place = 0; place < n_places; place++)
        n_cpus += openmp.place_size(place);
    return n_cpus < openmp.n_cpus() ? n_cpus : openmp.n_cpus(); /* places may overlap */
}

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
void openmp_start(void) {}
int openmp_n_places(void) { return 0; }
static int cpus_of_places(void) { return 0; }
void openmp_release(void) {}
void run_threads(region_body body, void *context, int n_threads)
{
    (void)n_threads;
    body(context, 0, 1);
}
#endif

int count_cpus(void)
{
    if (openmp_n_places() > 0)
        return cpus_of_places();
#ifdef __linux__
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) /* else there are more CPUs than the set has bits for */
        return CPU_COUNT(&set);
#endif
    return 0;
}

#ifdef FASTKMEANS_POOL
void openmp_release(void) {}
#else
bool has_pool(void) { return false; }
void start_pool(void) {}
#endif

/* What the environment says of threads: OpenMP's variables mean here what they mean there. */
#define _GNU_SOURCE
#include "threads.h"

#include <sched.h>
#include <stdlib.h>
#include <strings.h>

/* About as long as OpenMP's own library. With 1 or 3 ms helpers fall asleep within fits, while one thread works alone,
 * and fits of flights and digits take 3 to 5 % longer. */
#define DEFAULT_SPIN ((uint64_t)10000000)

static bool is(const char *variable, const char *value)
{
    const char *given = getenv(variable);
    return given != NULL && strcasecmp(given, value) == 0;
}

thread_settings read_settings(void)
{
    thread_settings settings = {.spin = DEFAULT_SPIN, .holds_back = !is("OMP_DYNAMIC", "false")};
    if (is("OMP_WAIT_POLICY", "passive"))
        settings.spin = 0;
    if (is("OMP_WAIT_POLICY", "active"))
        settings.spin = UINT64_MAX;
    const char *count = getenv("GOMP_SPINCOUNT");
    if (is("GOMP_SPINCOUNT", "infinite") || is("GOMP_SPINCOUNT", "infinity"))
        settings.spin = UINT64_MAX;
    else if (count != NULL && *count >= '0' && *count <= '9') {
        const uint64_t pauses = strtoull(count, NULL, 10); /* of some 10 ns or more */
        settings.spin = pauses < UINT64_MAX / 10 ? pauses * 10 : UINT64_MAX;
    }
    return settings;
}

void bind_helper(pthread_t thread, int helper)
{
    cpu_set_t set;
    int n_places = openmp_n_places();
    if (n_places == 0)
        return;
    int place = (helper + 1) % n_places, size = openmp_place_size(place), cpus[CPU_SETSIZE];
    if (size < 1 || size > CPU_SETSIZE)
        return;
    openmp_place(place, cpus);
    CPU_ZERO(&set);
    for (int i = 0; i < size; i++)
        CPU_SET(cpus[i], &set);
    pthread_setaffinity_np(thread, sizeof set, &set);
}

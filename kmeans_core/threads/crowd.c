/* How many CPUs are free: asked before a region, told by helpers that lost theirs.
 *
 * Two signs. The kernel's number of threads that run or would run, on the whole machine, sees a crowd before it hurts, but not
 * whether that crowd is on our CPUs (other programs may be bound to others, or have less right to them). That a helper was ready to run
 * and did not is sure, but costs a time slice. So the first sign is doubted from time to time, and the second is believed for longer
 * the more often it comes.
 */
#define _GNU_SOURCE
#include "threads.h"

#include <fcntl.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define MICROSECONDS ((uint64_t)1000)
#define MILLISECONDS ((uint64_t)1000000)

#define WATCH_EVERY (200 * MICROSECONDS)    /* between two looks at a helper's use of its CPU, 0.4 us each */
#define LOST (150 * MICROSECONDS)           /* more than interrupts and the kernel's own threads take */
#define LOOK_EVERY (5 * MILLISECONDS)       /* between two counts of the running threads, 2 us each */
#define LOOK_AGAIN (MILLISECONDS / 2)           /* the same while there are too many */
#define LEAST_ALONE (1 * MILLISECONDS)      /* after a helper lost its CPU; twice as long each time, up to the most: */
#define MOST_ALONE (128 * MILLISECONDS)
#define DOUBT_AFTER (100 * MILLISECONDS)    /* of too many running threads: then helpers are tried all the same */
#define TRUST (1000 * MILLISECONDS)         /* in helpers, if none of them loses its CPU */

static struct {
    _Atomic bool lost;
    uint64_t alone_until, alone;
    uint64_t look_at;            /* when to count again */
    uint64_t crowded_since;      /* by the last counts; 0 for not */
    uint64_t trusted_until;      /* till when counts are not believed */
    int n_free;
} crowd;

static uint64_t read_clock(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

uint64_t clock_now(void) { return read_clock(CLOCK_MONOTONIC); }

/* How often this thread lost its CPU while it could have gone on. */
static long count_preempted(void)
{
    struct rusage usage;
    getrusage(RUSAGE_THREAD, &usage);
    return usage.ru_nivcsw;
}

cpu_use cpu_use_now(void) { return (cpu_use){clock_now(), read_clock(CLOCK_THREAD_CPUTIME_ID), count_preempted()}; }

void watch_cpu_use(cpu_use *since)
{
    if (clock_now() - since->wall < WATCH_EVERY)
        return;
    cpu_use now = {clock_now(), read_clock(CLOCK_THREAD_CPUTIME_ID), since->n_preempted};
    if (now.wall - since->wall > now.used - since->used + LOST) {
        now.n_preempted = count_preempted(); /* or it waited for memory, or for Python's lock */
        if (now.n_preempted > since->n_preempted)
            atomic_store(&crowd.lost, true);
    }
    *since = now;
}

/* The threads that run or would run, on the whole machine; 0 if that can't be read. */
static int count_running(void)
{
    char text[64];
    int file = open("/proc/loadavg", O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return 0;
    ssize_t length = read(file, text, sizeof text - 1);
    close(file);
    if (length <= 0)
        return 0;
    text[length] = 0;
    char *slash = strchr(text, '/');
    if (slash == NULL)
        return 0;
    while (slash > text && slash[-1] != ' ')
        slash--;
    return atoi(slash);
}

/* CPUs that nobody else uses, if this process may run on all. */
static int count_free(int n_own)
{
    static long n_cpus = 0;
    if (n_cpus == 0)
        n_cpus = sysconf(_SC_NPROCESSORS_ONLN);
    int n_others = count_running() - n_own;
    return (int)n_cpus - (n_others > 0 ? n_others : 0);
}

static void hear_of_loss(uint64_t now)
{
    bool soon = now - crowd.alone_until < 8 * crowd.alone;
    crowd.alone = soon ? 2 * crowd.alone : LEAST_ALONE;
    if (crowd.alone > MOST_ALONE)
        crowd.alone = MOST_ALONE;
    crowd.alone_until = now + crowd.alone;
    crowd.trusted_until = 0;
    if (crowd.crowded_since != 0)
        crowd.crowded_since = now;
}

static void look(int n_threads, int n_own, uint64_t now)
{
    int n_free = count_free(n_own);
    bool crowded = n_free < n_threads, confirmed = crowded && crowd.crowded_since != 0;
    crowd.n_free = confirmed ? n_free : n_threads; /* what one count sees alone may be over by now */
    crowd.look_at = now + (crowded ? LOOK_AGAIN : LOOK_EVERY);
    if (!crowded)
        crowd.crowded_since = 0;
    else if (!confirmed)
        crowd.crowded_since = now;
    else if (now - crowd.crowded_since > DOUBT_AFTER) {
        crowd.crowded_since = now;
        crowd.trusted_until = now + TRUST;
    }
}

int threads_for_region(int n_threads, int n_own)
{
    uint64_t now = clock_now();
    if (atomic_load_explicit(&crowd.lost, memory_order_relaxed)) {
        atomic_store(&crowd.lost, false);
        hear_of_loss(now);
    }
    if (now < crowd.alone_until)
        return 1;
    if (now < crowd.trusted_until)
        return n_threads;
    if (now >= crowd.look_at)
        look(n_threads, n_own, now);
    if (now < crowd.trusted_until || crowd.n_free >= n_threads)
        return n_threads;
    return crowd.n_free > 1 ? crowd.n_free : 1;
}

void forget_crowd(void) { memset(&crowd, 0, sizeof crowd); }

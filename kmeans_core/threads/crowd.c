/* How many CPUs are free: asked before each region, and told by helpers that lost theirs.
 *
 * There are two signs. The first is the kernel's number of threads that run or would run, on the whole machine. It
 * shows a crowd before the crowd does harm, but not whether the crowd is on our CPUs: other programs may be bound to
 * other CPUs, or have a lower priority. The second is that a helper was ready to run and did not. It is sure, but costs
 * a time slice. So the first sign is doubted from time to time, and the second is believed for longer the more often it
 * comes.
 */
#define _GNU_SOURCE
#include "threads.h"

#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define MICROSECONDS ((uint64_t)1000)
#define MILLISECONDS ((uint64_t)1000000)

#define WATCH_EVERY (200 * MICROSECONDS) /* between two looks at a helper's use of its CPU, 0.4 us each */
#define LOST (150 * MICROSECONDS)        /* more than interrupts and the kernel's own threads take */
#define LOOK_EVERY (5 * MILLISECONDS)    /* between two counts of the running threads, 2 us each */
#define LOOK_AGAIN (MILLISECONDS / 2)    /* the same while there are too many */
#define SOON (20 * MILLISECONDS)         /* two losses within this time tell of a crowd: some time slices */
#define LEAST_ALONE (2 * MILLISECONDS)   /* how long regions have one number in a crowd; twice as long each time */
#define MOST_ALONE (128 * MILLISECONDS)
#define MOST_CROWDED 4
#define CROWDED 3                        /* counts; of a machine at rest one in six finds a thread too many */
#define DOUBT_AFTER (100 * MILLISECONDS) /* of too many running threads, after which helpers are tried all the same */
#define TRUST (1000 * MILLISECONDS)      /* how long, if no helper loses its CPU, counts are then not believed */

static struct {
    _Atomic bool lost;
    uint64_t lost_at;            /* when a helper last lost its CPU */
    uint64_t alone_until, alone; /* until when regions have one number, and for how long; 0 without a crowd */
    uint64_t look_at;            /* when to count again */
    int n_crowded;               /* counts that found too many, less those that did not */
    uint64_t held_since;         /* when n_crowded became large; 0 if it is not */
    uint64_t trusted_until;      /* till when counts are not believed */
    int n_free;                  /* CPUs by the last counts, INT_MAX for enough */
} crowd = {.n_free = INT_MAX};

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

bool watch_cpu_use(cpu_use *since)
{
    if (clock_now() - since->wall < WATCH_EVERY)
        return false;
    cpu_use now = {clock_now(), read_clock(CLOCK_THREAD_CPUTIME_ID), since->n_preempted};
    if (now.wall - since->wall > now.used - since->used + LOST)
        now.n_preempted = count_preempted(); /* if 0 times, it waited for memory or Python's lock */
    bool lost = now.n_preempted > since->n_preempted;
    if (lost)
        atomic_store(&crowd.lost, true);
    *since = now;
    return lost;
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

/* One loss may come from a program that runs for a moment. A second one soon after tells of a crowd. */
static void hear_of_loss(uint64_t now)
{
    uint64_t since = now - crowd.lost_at;
    crowd.lost_at = now;
    if (crowd.alone > 0 && now - crowd.alone_until < 8 * crowd.alone)
        crowd.alone = 2 * crowd.alone < MOST_ALONE ? 2 * crowd.alone : MOST_ALONE;
    else
        crowd.alone = since < SOON ? LEAST_ALONE : 0;
    crowd.alone_until = now + crowd.alone;
    if (crowd.alone > 0)
        crowd.trusted_until = 0;
    if (crowd.held_since > 0)
        crowd.held_since = now;
}

static void look(int n_threads, int n_own, uint64_t now)
{
    int n_free = count_free(n_own);
    bool crowded = n_free < n_threads;
    if (crowded)
        crowd.n_crowded += crowd.n_crowded < MOST_CROWDED;
    else
        crowd.n_crowded -= crowd.n_crowded > 0;
    bool held = crowd.n_crowded >= (crowd.held_since > 0 ? CROWDED - 1 : CROWDED);
    crowd.look_at = now + (crowded || held ? LOOK_AGAIN : LOOK_EVERY);
    if (!held) {
        crowd.n_free = INT_MAX;
        crowd.held_since = 0;
        return;
    }
    if (crowded)
        crowd.n_free = n_free;
    if (crowd.held_since == 0)
        crowd.held_since = now;
    else if (now - crowd.held_since > DOUBT_AFTER) {
        crowd.held_since = now;
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

void forget_crowd(void)
{
    memset(&crowd, 0, sizeof crowd);
    crowd.n_free = INT_MAX;
}

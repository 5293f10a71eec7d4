/* The pool: threads that help a caller with its regions.
 *
 * The caller publishes a ticket, from which thread numbers are taken one by one. The thread that takes a number runs
 * the body for it, and the caller returns when all numbers that were taken are done. Helpers that find no number stay
 * awake for a while, because the next region of a fit mostly begins within microseconds, and then sleep. One caller at
 * a time has the pool; others run their regions alone.
 */
#define _GNU_SOURCE
#include "threads.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    MAX_HELPERS = 1023,
    WAKE_AT_ONCE = 4, /* helpers that one thread wakes; these wake others */
    PAUSES = 32       /* between two looks at the clock, which takes as long as one or two */
};
#define CALLER_SPIN ((uint64_t)1000000) /* nanoseconds that a caller waits awake */
#define STACK_BYTES ((size_t)8 << 20)   /* of address space: NumPy runs on helpers too, see `both` of runtime.pyx */

typedef struct {
    _Alignas(64) atomic_int asleep; /* a futex */
    _Atomic pid_t id;               /* 0 until it runs, and where OpenMP's settings bind it to a place */
    int avoided;                    /* the CPU that it may not use, written by the thread that wakes it */
} helper;

static struct {
    /* region number << 32 | thread numbers of the region << 16 | next to be taken, which may pass the end */
    _Alignas(64) _Atomic uint64_t ticket;
    _Alignas(64) atomic_int n_left; /* calls that are not done: a futex, on which the caller sleeps */
    atomic_int caller_sleeps;
    _Alignas(64) atomic_int n_asleep;
    _Alignas(64) atomic_flag taken; /* the rest belongs to the caller that took the pool */
    region_body body;
    void *context;
    thread_settings settings;
    int most_helpers;
    atomic_int n_helpers;
} pool = {.taken = ATOMIC_FLAG_INIT, .most_helpers = MAX_HELPERS};

static helper helpers[MAX_HELPERS];

static void pause_cpu(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb");
#endif
}

static void sleep_on(atomic_int *word, int value)
{
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static void wake(atomic_int *word) { syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0); }

/* ---------------------------------------------------------------- tickets */

static int numbers_of(uint64_t ticket) { return (int)(ticket >> 16 & 0xffff); }

static bool has_numbers(void)
{
    uint64_t ticket = atomic_load(&pool.ticket);
    return (int)(ticket & 0xffff) < numbers_of(ticket);
}

/* Take a thread number of the region that is now published. Returns 0, the caller's number, if none is left. The caller
 * does not return while a number is taken and not done, so the body and its context stay what they are. */
static int take_number(int *n_threads)
{
    if (!has_numbers())
        return 0;
    uint64_t ticket = atomic_fetch_add(&pool.ticket, 1);
    *n_threads = numbers_of(ticket);
    int number = (int)(ticket & 0xffff);
    return number < *n_threads ? number : 0;
}

/* ---------------------------------------------------------------- helpers */

/* Keep a sleeping helper off the CPU of the thread that wakes it. The kernel often wakes it on that CPU, where it waits
 * a time slice for its turn: 100 000 x 64 samples and 64 clusters then took 85 ms in place of 55 (2 cores, Linux
 * 6.18). */
static void steer(helper *h)
{
    int cpu = sched_getcpu();
    pid_t id = atomic_load(&h->id);
    if (id == 0 || cpu < 0 || cpu >= CPU_SETSIZE || cpu == h->avoided)
        return;
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0) /* more CPUs than the set has bits for */
        return;
    CPU_CLR(cpu, &set);
    if (CPU_COUNT(&set) > 0 && sched_setaffinity(id, sizeof set, &set) == 0)
        h->avoided = cpu;
}

/* Wake sleeping helpers until as many are awake as the region has numbers for beside the caller's. */
static void wake_helpers(void)
{
    int n_helpers = atomic_load(&pool.n_helpers), n_wanted = numbers_of(atomic_load(&pool.ticket)) - 1;
    int n_missing = n_wanted - (n_helpers - atomic_load(&pool.n_asleep)), n_woken = 0;
    for (int h = 0; h < n_helpers && n_woken < n_missing && n_woken < WAKE_AT_ONCE; h++) {
        int asleep = 1;
        if (atomic_load(&helpers[h].asleep) && atomic_compare_exchange_strong(&helpers[h].asleep, &asleep, 0)) {
            atomic_fetch_sub(&pool.n_asleep, 1);
            steer(&helpers[h]);
            wake(&helpers[h].asleep);
            n_woken++;
        }
    }
}

/* Wait for a region with numbers left, as long as the settings say, or until another program wants the CPU. */
static bool wait_for_numbers(cpu_use *use)
{
    uint64_t begin = clock_now();
    do {
        for (int i = 0; i < PAUSES; i++) {
            if (has_numbers())
                return true;
            pause_cpu();
        }
    } while (!watch_cpu_use(use) && clock_now() - begin < pool.settings.spin);
    return false;
}

static void sleep_until_woken(helper *self)
{
    int asleep = 1;
    atomic_store(&self->asleep, 1);
    atomic_fetch_add(&pool.n_asleep, 1);
    /* A caller publishes its region and then looks who sleeps. Here the order is reversed, so one of them sees the
     * other. */
    if (has_numbers() && atomic_compare_exchange_strong(&self->asleep, &asleep, 0))
        atomic_fetch_sub(&pool.n_asleep, 1);
    while (atomic_load(&self->asleep))
        sleep_on(&self->asleep, 1);
}

static void finish_call(void)
{
    if (atomic_fetch_sub(&pool.n_left, 1) == 1 && atomic_load(&pool.caller_sleeps))
        wake(&pool.n_left);
}

static void *help(void *argument)
{
    helper *self = argument;
    cpu_use use = cpu_use_now();
    if (openmp_n_places() == 0)
        atomic_store(&self->id, gettid());
    for (;;) {
        int n_threads, number = take_number(&n_threads);
        if (number > 0) {
            pool.body(pool.context, number, n_threads);
            finish_call();
            watch_cpu_use(&use);
        } else if (!wait_for_numbers(&use)) {
            sleep_until_woken(self);
            wake_helpers();
            use = cpu_use_now();
        }
    }
    return NULL;
}

/* ---------------------------------------------------------------- callers */

static void forget_helpers(void)
{
    forget_crowd();
    atomic_store(&pool.ticket, 0);
    atomic_store(&pool.n_asleep, 0);
    atomic_store(&pool.n_helpers, 0);
    atomic_store(&pool.n_left, 1); /* this thread's own call, if it forked amid a region */
    atomic_store(&pool.caller_sleeps, 0);
    pool.most_helpers = MAX_HELPERS;
    atomic_flag_clear(&pool.taken);
}

void start_pool(void)
{
    pool.settings = read_settings();
    pthread_atfork(NULL, NULL, forget_helpers); /* a child has none of its parent's threads */
}

/* Make helpers until there are n. If one cannot be made, the pool does without and does not try again. */
static void make_helpers(int n)
{
    sigset_t all, before;
    pthread_attr_t attributes;
    pthread_t thread;
    int n_helpers = atomic_load(&pool.n_helpers);
    if (n > pool.most_helpers)
        n = pool.most_helpers;
    if (n_helpers >= n)
        return;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    sigfillset(&all); /* signals are for the program's own threads */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (n_helpers < n) {
        helpers[n_helpers].asleep = 0;
        helpers[n_helpers].id = 0;
        helpers[n_helpers].avoided = -1;
        if (pthread_create(&thread, &attributes, help, &helpers[n_helpers]) != 0) {
            pool.most_helpers = n_helpers;
            break;
        }
        bind_helper(thread, n_helpers);
        atomic_store(&pool.n_helpers, ++n_helpers);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
}

/* Wait until all calls of the region are done, at first awake and then asleep: a helper that lost its CPU runs sooner
 * if this one is free. */
static void wait_for_helpers(void)
{
    uint64_t begin = clock_now(), limit = pool.settings.spin < CALLER_SPIN ? pool.settings.spin : CALLER_SPIN;
    do {
        for (int i = 0; i < PAUSES; i++) {
            if (atomic_load(&pool.n_left) == 0)
                return;
            pause_cpu();
        }
    } while (clock_now() - begin < limit);
    atomic_store(&pool.caller_sleeps, 1);
    for (int n_left; (n_left = atomic_load(&pool.n_left)) > 0;)
        sleep_on(&pool.n_left, n_left);
    atomic_store(&pool.caller_sleeps, 0);
}

static void run_together(region_body body, void *context, int n_threads)
{
    make_helpers(n_threads - 1);
    pool.body = body;
    pool.context = context;
    atomic_store(&pool.n_left, n_threads);
    uint64_t region = (atomic_load(&pool.ticket) >> 32) + 1;
    atomic_store(&pool.ticket, region << 32 | (uint64_t)n_threads << 16 | 1);
    if (atomic_load(&pool.n_asleep) > 0)
        wake_helpers();
    int number = 0;
    do {
        body(context, number, n_threads);
        atomic_fetch_sub(&pool.n_left, 1);
    } while ((number = take_number(&n_threads)) > 0);
    if (atomic_load(&pool.n_left) > 0)
        wait_for_helpers();
}

void run_threads(region_body body, void *context, int n_threads)
{
    int n_used = 1;
    if (n_threads > 1 && !atomic_flag_test_and_set(&pool.taken)) {
        n_used = n_threads < MAX_HELPERS + 1 ? n_threads : MAX_HELPERS + 1;
        if (pool.settings.holds_back)
            n_used = threads_for_region(n_used, 1 + atomic_load(&pool.n_helpers) - atomic_load(&pool.n_asleep));
        if (n_used > 1)
            run_together(body, context, n_used);
        atomic_flag_clear(&pool.taken);
    }
    if (n_used == 1)
        body(context, 0, 1);
}

bool has_pool(void) { return true; }

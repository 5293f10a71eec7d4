/* Ctrl-C within a region that runs without Python's lock.
 *
 * Python only notes that a signal came; the signal's handler runs when the main thread asks for it. So the thread that
 * entered a region asks, by the clock, between two pieces of its work. If the handler raises, the exception stays set
 * in that thread, and `is_stopped` tells all threads of the region to leave their remaining work undone. After the
 * region the caller returns the error. What the region wrote is then a mixture of old and new, and must not be used.
 *
 * A piece must not last longer than about a tenth of a second. Asking costs 5 ns, and 50 ns when it is due. */
#ifndef FASTKMEANS_INTERRUPT_H
#define FASTKMEANS_INTERRUPT_H

#include <Python.h>
#include <stdint.h>
#include <time.h>
#if defined(__linux__)
#include <sys/syscall.h>
#endif
#if !defined(_WIN32)
#include <unistd.h>
#endif

#define ASK_AFTER 50000000 /* nanoseconds: so seldom that waiting for Python's lock costs next to nothing */

typedef struct {
    unsigned long caller; /* the thread that entered the region; 0 for a region that nothing interrupts */
    int64_t due;          /* when it asks again; read and written by this thread alone */
    char other_line[112]; /* so that what all threads read is on another cache line */
    int is_stopped;
} signal_watch;

static inline int64_t coarse_clock(void)
{
    struct timespec now;
#if defined(CLOCK_MONOTONIC_COARSE)
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
#else
    clock_gettime(CLOCK_MONOTONIC, &now);
#endif
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static inline long current_process(void)
{
#if defined(_WIN32)
    return 0;
#else
    return (long)getpid();
#endif
}

/* Begin to watch. The thread that enters the region calls this before it does. */
static inline void start_watch(signal_watch *watch)
{
    watch->caller = PyThread_get_thread_ident();
    watch->due = coarse_clock() + ASK_AFTER;
    watch->is_stopped = 0;
}

/* Python runs handlers in the main thread alone, so other threads need not wait for its lock. */
static inline int handles_signals(void)
{
#if defined(__linux__)
    return syscall(SYS_gettid) == getpid();
#else
    return 1;
#endif
}

static __attribute__((noinline)) void ask_python(signal_watch *watch)
{
    if (handles_signals()) {
        const PyGILState_STATE state = PyGILState_Ensure();
        const long process = current_process();
        int failed = PyErr_CheckSignals() != 0;
        if (!failed && current_process() != process) {
            PyErr_SetString(PyExc_RuntimeError,
                            "a signal's handler forked this process within a computation, whose threads "
                            "it does not have; leave such a child with os._exit or an exec function.");
            failed = 1;
        }
        if (failed)
            __atomic_store_n(&watch->is_stopped, 1, __ATOMIC_RELAXED);
        PyGILState_Release(state);
    }
    watch->due = coarse_clock() + ASK_AFTER;
}

/* Is the rest of the region to be left undone? Every thread asks before each piece of its work. */
static inline int interrupted(signal_watch *watch)
{
    if (!__atomic_load_n(&watch->is_stopped, __ATOMIC_RELAXED) && PyThread_get_thread_ident() == watch->caller
        && coarse_clock() >= watch->due)
        ask_python(watch);
    return __atomic_load_n(&watch->is_stopped, __ATOMIC_RELAXED);
}

#endif

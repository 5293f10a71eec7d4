/* A lock that is held for microseconds, by threads that seldom meet. */
#pragma once
#include <sched.h>
#include <stdint.h>

/* lock : 0 while nobody holds it.   A thread that waits long gives its CPU away: the holder may need it to go on. */
static inline void take_lock(uint8_t *lock)
{
    for (int turn = 0; __atomic_exchange_n(lock, 1, __ATOMIC_ACQUIRE); turn++)
        if (turn >= 64)
            sched_yield();
}

static inline void give_lock(uint8_t *lock) { __atomic_store_n(lock, 0, __ATOMIC_RELEASE); }

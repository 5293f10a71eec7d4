/* Divides one block of memory into arrays.
 *
 * A function takes each of its arrays in turn. Called with NULL, the function tells how many bytes the block must
 * have. Called with a block of so many bytes, it tells where each array lies. So no array is counted in one place and
 * laid out in another. */
#ifndef FASTKMEANS_ARENA_H
#define FASTKMEANS_ARENA_H

#include <stddef.h>
#include <stdint.h>

#define ARENA_LINE 128 /* bytes: two cache lines, which a CPU may fetch together */

typedef struct {
    char *start;  /* of the first array; NULL while bytes are counted */
    size_t taken; /* bytes so far */
} arena;

/* memory   IN any address, from which the first array is at most ARENA_LINE - 1 bytes away, or NULL to count bytes */
static inline arena arena_in(void *memory)
{
    const size_t beyond = (uintptr_t)memory % ARENA_LINE;
    arena parts = {memory && beyond ? (char *)memory + (ARENA_LINE - beyond) : (char *)memory, 0};
    return parts;
}

/* The next array, whose address is a multiple of ARENA_LINE; NULL while bytes are counted. */
static inline void *take(arena *parts, size_t bytes)
{
    void *taken = parts->start ? parts->start + parts->taken : NULL;
    parts->taken += (bytes + ARENA_LINE - 1) / ARENA_LINE * ARENA_LINE;
    return taken;
}

/* The bytes of a block that holds all arrays taken, wherever it lies. */
static inline size_t arena_bytes(const arena *parts) { return parts->taken + ARENA_LINE; }

#endif

/* Memory for what is kept of each sample. */
#ifndef FASTKMEANS_MEMORY_H
#define FASTKMEANS_MEMORY_H

#include <stddef.h>

/* malloc and calloc, in large pages if that pays; NULL if there is no memory. Give it back by free(). */
void *take_memory(size_t size);
void *take_zeros(size_t size);

/* Give the system what the heap keeps of freed arrays: glibc keeps up to 64 MiB. */
void give_memory_back(void);

#endif

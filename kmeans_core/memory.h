/* Memory for what is kept of each sample. */
#ifndef FASTKMEANS_MEMORY_H
#define FASTKMEANS_MEMORY_H

#include <stddef.h>

/* malloc and calloc, in large pages where that pays; NULL if there is no memory. For free(). */
void *take_memory(size_t size);
void *take_zeros(size_t size);

#endif

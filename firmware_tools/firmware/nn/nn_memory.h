/* The three functions that the kernels want from outside. A freestanding compiler has no <string.h> to declare them. */
#ifndef NN_MEMORY_H
#define NN_MEMORY_H

#include <stddef.h>

void *memcpy(void *to, const void *from, size_t bytes);
void *memmove(void *to, const void *from, size_t bytes);
void *memset(void *to, int value, size_t bytes);

#endif

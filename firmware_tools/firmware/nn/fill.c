/* One value everywhere. */
#include "move.h"
#include "nn_memory.h"

void nn_fill(const nn_fill_shape *s, uint8_t *output) { memset(output, (int)s->value, (size_t)s->bytes); }

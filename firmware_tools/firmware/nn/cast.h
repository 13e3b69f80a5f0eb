#ifndef NN_CAST_H
#define NN_CAST_H

#include <stdint.h>

/* Element types by the numbers that `from` and `to` hold. */
enum { NN_INT8, NN_UINT8, NN_INT16, NN_INT32, NN_BOOL, NN_FLOAT32 };

typedef struct {
    int32_t elements;
    int32_t from, to;
} nn_cast_shape;

/* CAST: every value in another type; integers lose their upper bits, floats what stands behind the point. */
void nn_cast(const nn_cast_shape *shape, const void *input, void *output);

#endif

#ifndef NN_COPY_H
#define NN_COPY_H

#include <stdint.h>

/* Rows of bytes from one place to another: source row i goes to destination + offset + i * step. */
typedef struct {
    int32_t rows, bytes;
    int32_t step, offset;
} nn_copy_shape;

/* One input's share of a CONCATENATION. */
void nn_copy(const nn_copy_shape *shape, const int8_t *input, int8_t *output);

typedef struct {
    int32_t size_0, size_1, size_2, size_3; /* of the input; size_3 in bytes */
    int32_t before_0, before_1, before_2, before_3;
    int32_t after_0, after_1, after_2, after_3;
    int32_t value;
} nn_pad_shape;

/* PAD and PADV2: the input within a margin of `value`. */
void nn_pad(const nn_pad_shape *shape, const int8_t *input, int8_t *output);

#endif

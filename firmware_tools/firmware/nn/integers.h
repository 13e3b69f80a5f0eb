#ifndef NN_INTEGERS_H
#define NN_INTEGERS_H

#include <stdint.h>

/* Two inputs broadcast over each other, as in nn_elementwise_shape. */
typedef struct {
    int32_t size_0, size_1, size_2, size_3;
    int32_t a_step_0, a_step_1, a_step_2, a_step_3;
    int32_t b_step_0, b_step_1, b_step_2, b_step_3;
} nn_integers_shape;

/* output = a + b (a - b, a * b) modulo 2^32, plain int32 without scales. In place too. */
void nn_add_32(const nn_integers_shape *shape, const int32_t *a, const int32_t *b, int32_t *output);
void nn_sub_32(const nn_integers_shape *shape, const int32_t *a, const int32_t *b, int32_t *output);
void nn_mul_32(const nn_integers_shape *shape, const int32_t *a, const int32_t *b, int32_t *output);

/* The larger or the smaller of two integers. */
void nn_maximum_32(const nn_integers_shape *shape, const int32_t *a, const int32_t *b, int32_t *output);
void nn_minimum_32(const nn_integers_shape *shape, const int32_t *a, const int32_t *b, int32_t *output);
void nn_maximum_16(const nn_integers_shape *shape, const int16_t *a, const int16_t *b, int16_t *output);
void nn_minimum_16(const nn_integers_shape *shape, const int16_t *a, const int16_t *b, int16_t *output);

#endif

#ifndef NN_ELEMENTWISE_16_H
#define NN_ELEMENTWISE_16_H

#include "elementwise.h"

/* As nn_add, nn_sub and nn_mul with 16-bit values and 15 bits more on the common scale. */
void nn_add_16(const nn_elementwise_shape *shape, const int16_t *a, const int16_t *b, int16_t *output);
void nn_sub_16(const nn_elementwise_shape *shape, const int16_t *a, const int16_t *b, int16_t *output);
void nn_mul_16(const nn_elementwise_shape *shape, const int16_t *a, const int16_t *b, int16_t *output);

#endif

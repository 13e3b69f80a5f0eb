#ifndef NN_POOL_2D_16_H
#define NN_POOL_2D_16_H

#include "pool_2d.h"

/* As nn_average_pool_2d and nn_max_pool_2d with 16-bit values. */
void nn_average_pool_2d_16(const nn_pool_2d_shape *shape, const int16_t *input, int16_t *output);
void nn_max_pool_2d_16(const nn_pool_2d_shape *shape, const int16_t *input, int16_t *output);

#endif

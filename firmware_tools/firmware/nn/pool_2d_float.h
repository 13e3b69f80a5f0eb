#ifndef NN_POOL_2D_FLOAT_H
#define NN_POOL_2D_FLOAT_H

#include "mean.h"
#include "pool_2d.h"

/* As nn_average_pool_2d and nn_max_pool_2d with real numbers, held within range[0] and range[1]. */
void nn_average_pool_2d_float(const nn_pool_2d_shape *shape, const float *input, const float *range, float *output);
void nn_max_pool_2d_float(const nn_pool_2d_shape *shape, const float *input, const float *range, float *output);

/* output = sum / divisor: MEAN, and SUM with a divisor of 1; the shape's scale is not used */
void nn_mean_float(const nn_mean_shape *shape, const float *input, const float *divisor, float *output);

/* output = the largest or smallest value over the reduced axes */
void nn_reduce_max_float(const nn_mean_shape *shape, const float *input, float *output);
void nn_reduce_min_float(const nn_mean_shape *shape, const float *input, float *output);

#endif

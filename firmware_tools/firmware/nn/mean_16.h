#ifndef NN_MEAN_16_H
#define NN_MEAN_16_H

#include "mean.h"

/* As nn_mean with 16-bit values, whose zero points are 0. */
void nn_mean_16(const nn_mean_shape *shape, const int16_t *input, int16_t *output);

#endif

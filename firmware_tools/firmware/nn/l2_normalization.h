#ifndef NN_L2_NORMALIZATION_H
#define NN_L2_NORMALIZATION_H

#include "nn_math.h"

typedef struct {
    int32_t rows, depth;
    int32_t input_zero_point;
} nn_l2_normalization_shape;

/* output[i] = x[i] / sqrt(sum over j of x[j]^2) for x = input - zero point, at scale 1/128 and zero point 0 */
void nn_l2_normalization(const nn_l2_normalization_shape *shape, const int8_t *input, int8_t *output);

#endif

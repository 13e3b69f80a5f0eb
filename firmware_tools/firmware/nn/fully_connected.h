#ifndef NN_FULLY_CONNECTED_H
#define NN_FULLY_CONNECTED_H

#include "nn_math.h"

typedef struct {
    int32_t batches;
    int32_t depth;   /* inputs of each unit */
    int32_t outputs; /* units */
    int32_t row;     /* bytes of one unit's weights: depth, rounded up to a multiple of 4 */
    int32_t weights_zero_point;
    int32_t output_zero_point;
    int32_t activation_min, activation_max;
    int32_t scale_step; /* 1: one scale for each unit, 0: one for all */
} nn_fully_connected_shape;

/*
 * output[u] = clamp(output_zero_point + scale[u] * (bias[u] + sum over i of input[i] * (weights[u, i] -
 * weights_zero_point)))
 *
 * `bias` has -input_zero_point * sum(weights[u] - weights_zero_point) added by the generator. `weights` hold four units
 * in turns, four bytes each, filled up with units of zeros. `column` is room for `row` bytes, unused where row = depth.
 */
void nn_fully_connected(const nn_fully_connected_shape *shape, const int8_t *input, const int8_t *weights,
                        const int32_t *bias, const nn_scale *scales, int8_t *column, int8_t *output);

#endif

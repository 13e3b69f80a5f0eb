#ifndef NN_FULLY_CONNECTED_H
#define NN_FULLY_CONNECTED_H

#include "nn_dot.h"
#include "nn_math.h"

typedef struct {
    int32_t batches;
    int32_t depth;   /* inputs of each unit */
    int32_t outputs; /* units */
    int32_t quads;   /* of one unit's weights: depth in fours, rounded up */
    int32_t weights_zero_point;
    int32_t output_zero_point;
    int32_t activation_min, activation_max;
    int32_t scale_step, quick; /* see nn_range */
} nn_fully_connected_shape;

/*
 * output[u] = clamp(output_zero_point + scale[u] * (bias[u] + sum over i of input[i] * (weights[u, i] -
 * weights_zero_point)))
 *
 * `bias` has -input_zero_point * sum(weights[u] - weights_zero_point) added by the generator. `weights` hold four units
 * in turns, four numbers each, filled up with units of zeros, as `bias` is. `column` is room for the widened input, eight bytes a quad,
 * at a multiple of 4. `nn_fully_connected` takes int8 weights, `nn_fully_connected_wide` int16 ones in nn_widen's order;
 * both are nn_fully_connected_by with their dot product.
 */
void nn_fully_connected(const nn_fully_connected_shape *shape, const int8_t *input, const int32_t *weights,
                        const int32_t *bias, const nn_scale *scales, int8_t *column, int8_t *output);
void nn_fully_connected_wide(const nn_fully_connected_shape *shape, const int8_t *input, const int32_t *weights,
                             const int32_t *bias, const nn_scale *scales, int8_t *column, int8_t *output);

/* `unit` is the size of one unit's weights, in words. */
void nn_fully_connected_by(nn_dot dot, int32_t unit, const nn_fully_connected_shape *shape, const int8_t *input,
                           const int32_t *weights, const int32_t *bias, const nn_scale *scales, int8_t *column,
                           int8_t *output);

#endif

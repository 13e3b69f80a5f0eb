#ifndef NN_DEPTHWISE_CONV_2D_H
#define NN_DEPTHWISE_CONV_2D_H

#include "nn_math.h"

typedef struct {
    int32_t batches;
    int32_t input_height, input_width, input_depth;
    int32_t output_height, output_width, output_depth; /* output_depth = input_depth * multiplier */
    int32_t filter_height, filter_width;
    int32_t stride_height, stride_width;
    int32_t dilation_height, dilation_width;
    int32_t pad_top, pad_left;
    int32_t multiplier; /* output channels of each input channel */
    int32_t input_zero_point, output_zero_point;
    int32_t activation_min, activation_max;
    int32_t scale_step, quick; /* see nn_range */
} nn_depthwise_conv_2d_shape;

/*
 * output[y, x, c] = clamp(output_zero_point + scale[c] * (bias[c] + sum over taps of input[.., c / multiplier] *
 * weights[tap, c]))
 *
 * `weights` lie as (filter_height, filter_width, output_depth). `bias` is folded as in nn_conv_2d. Four channels are
 * worked on at a time; `workspace`, at a multiple of 8, is room for their weights and
 * as many rows of the image as the filter covers, margins included, widened to int16, and a pointer for each filter row.
 */
void nn_depthwise_conv_2d(const nn_depthwise_conv_2d_shape *shape, const int8_t *input, const int8_t *weights,
                          const int32_t *bias, const nn_scale *scales, int8_t *workspace, int8_t *output);

#endif

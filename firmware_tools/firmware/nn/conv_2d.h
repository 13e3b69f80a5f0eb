#ifndef NN_CONV_2D_H
#define NN_CONV_2D_H

#include "nn_math.h"

typedef struct {
    int32_t batches;
    int32_t input_height, input_width, input_depth;
    int32_t output_height, output_width, output_depth;
    int32_t filter_height, filter_width;
    int32_t stride_height, stride_width;
    int32_t dilation_height, dilation_width;
    int32_t pad_top, pad_left;
    int32_t groups;
    int32_t row;    /* bytes of one channel's weights, a multiple of 4: filter height x width x depth, then zeros */
    int32_t direct; /* 1: a pixel of the input is a column as it lies there (1x1 filter, no padding) */
    int32_t input_zero_point, output_zero_point;
    int32_t activation_min, activation_max;
    int32_t scale_step; /* 1: one scale for each channel, 0: one for all */
} nn_conv_2d_shape;

/*
 * output[y, x, c] = clamp(output_zero_point + scale[c] * (bias[c] + sum over taps of input * weights[c]))
 *
 * `bias` has -input_zero_point * sum(weights[c]) added by the generator, so that input bytes count as they are; a tap
 * outside of the image counts as input_zero_point, which makes it zero. `weights` hold two channels in turns, four bytes
 * each; a group of an odd number of channels has a channel of zeros behind it. `columns` is room for two columns of
 * `row` bytes, unused where `direct` is set.
 */
void nn_conv_2d(const nn_conv_2d_shape *shape, const int8_t *input, const int8_t *weights, const int32_t *bias,
                const nn_scale *scales, int8_t *columns, int8_t *output);

#endif

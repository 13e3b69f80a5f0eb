/* Convolutions of 16-bit and of real numbers: one plain form for CONV_2D, DEPTHWISE_CONV_2D and FULLY_CONNECTED. */
#ifndef NN_CONV_PLAIN_H
#define NN_CONV_PLAIN_H

#include "nn_math.h"

/* A depthwise convolution is one of as many groups as input channels; a dense layer has one pixel and one tap. */
typedef struct {
    int32_t batches;
    int32_t input_height, input_width, input_depth;
    int32_t output_height, output_width, output_depth;
    int32_t filter_height, filter_width;
    int32_t stride_height, stride_width;
    int32_t dilation_height, dilation_width;
    int32_t pad_top, pad_left;
    int32_t groups;
    int32_t activation_min, activation_max; /* of 16-bit outputs */
    int32_t scale_step; /* 1: one scale for each channel, 0: one for all */
    int32_t wide;       /* 1: sums have 64 bits, 0: 32 */
} nn_conv_plain_shape;

/*
 * output[y, x, c] = clamp(scale[c] * (bias[c] + sum over taps of input * weights[c])), all zero points 0
 *
 * `weights` lie as (output channel, height, width, depth of its group).
 */
void nn_conv_16(const nn_conv_plain_shape *shape, const int16_t *input, const int8_t *weights, const int64_t *bias,
                const nn_scale *scales, int16_t *output);

/* output[y, x, c] = clamp(bias[c] + sum over taps of input * weights[c]) within range[0] and range[1] */
void nn_conv_float(const nn_conv_plain_shape *shape, const float *input, const float *weights, const float *bias,
                   const float *range, float *output);

#endif

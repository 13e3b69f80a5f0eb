#ifndef NN_DEPTHWISE_CONV_2D_H
#define NN_DEPTHWISE_CONV_2D_H

#include "nn_channel.h"

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

/*
 * The same for 3x3 filters with stride 1 or 2 along both axes, no dilation and multiplier 1, channels in the quick form
 * (nn_channel.h). Channel by channel: an image of one channel is laid out in `plane`, widened, with its border, so that
 * the output may lie over the input where both have one size.
 *
 * `weights` hold 12 bytes a channel, for each of three rows (w0, w1, w1, w2), which one instruction widens to the pair
 * (w0, w1) and another to (w1, w2). `plane` has room for (output_height - 1) * stride + 3 rows of nn_depthwise_pitch
 * int16.
 */
void nn_depthwise_3x3(const nn_depthwise_conv_2d_shape *shape, const int8_t *input, const int8_t *weights,
                      const nn_channel *channels, int16_t *plane, int8_t *output);

/* Values in a row of the plane: all that two outputs at a time read, an even number. */
static inline int32_t nn_depthwise_pitch(const nn_depthwise_conv_2d_shape *s)
{
    return s->stride_width == 1 ? (s->output_width + 1) / 2 * 2 + 2 : 2 * s->output_width + 2;
}

#endif

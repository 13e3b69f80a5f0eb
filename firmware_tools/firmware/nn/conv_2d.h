#ifndef NN_CONV_2D_H
#define NN_CONV_2D_H

#include "nn_channel.h"
#include "nn_dot_4x2.h"

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
    int32_t staged; /* 1: a group's depth is no multiple of 4, so that a column is collected before it is widened */
    int32_t input_zero_point, output_zero_point;
    int32_t activation_min, activation_max;
} nn_conv_2d_shape;

/*
 * output[y, x, c] = clamp(output_zero_point + scale[c] * (bias[c] + sum over taps of input * weights[c]))
 *
 * A channel's bias has -input_zero_point * sum(weights[c]) added by the generator, so that input bytes count as they
 * are; a tap outside of the image counts as input_zero_point, which makes it zero. `weights` hold two channels in turns
 * (nn_dot_4x2.h); a group of an odd number of channels has a channel of zeros behind it. `columns` is room for four
 * columns of `row` int16, and `row` bytes more where `staged` is set.
 *
 * nn_conv_2d_quick, nn_conv_2d_wide: the channels are in the quick form (nn_channel.h), and each group has an even
 * number of them; nn_conv_2d_wide takes weights widened to int16.
 */
void nn_conv_2d(const nn_conv_2d_shape *shape, const int8_t *input, const int8_t *weights, const nn_channel *channels,
                int16_t *columns, int8_t *output);
void nn_conv_2d_quick(const nn_conv_2d_shape *shape, const int8_t *input, const int8_t *weights,
                      const nn_channel *channels, int16_t *columns, int8_t *output);
void nn_conv_2d_wide(const nn_conv_2d_shape *shape, const int8_t *input, const int16_t *weights,
                     const nn_channel *channels, int16_t *columns, int8_t *output);

/* All channels of a group for four pixels. */
typedef void (*nn_finish_four)(const nn_conv_2d_shape *shape, const nn_four_pixels *four);

/* What the three share: columns of four pixels at a time. `weight` is the size of one weight in bytes. */
void nn_conv_2d_by(nn_finish_four finish, int32_t weight, const nn_conv_2d_shape *shape, const int8_t *input,
                   const void *weights, const nn_channel *channels, int16_t *columns, int8_t *output);

#endif

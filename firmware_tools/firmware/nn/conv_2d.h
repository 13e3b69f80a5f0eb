#ifndef NN_CONV_2D_H
#define NN_CONV_2D_H

#include "nn_dot.h"
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
    int32_t quads;  /* of one channel's weights: filter height x width x depth, then zeros, in fours */
    int32_t direct; /* 1: a pixel of the input is a column as it lies there (1x1 filter, no padding) */
    int32_t input_zero_point, output_zero_point;
    int32_t activation_min, activation_max;
    int32_t scale_step, quick; /* see nn_range */
} nn_conv_2d_shape;

/*
 * output[y, x, c] = clamp(output_zero_point + scale[c] * (bias[c] + sum over taps of input * weights[c]))
 *
 * `bias` has -input_zero_point * sum(weights[c]) added by the generator, so that input bytes count as they are; a tap
 * outside of the image counts as input_zero_point, which makes it zero. `weights` hold two channels in turns, four numbers
 * each; a group of an odd number of channels has a channel of zeros behind it, and a bias. `columns` is room for two widened columns
 * and, unless `direct` is set, one as bytes: 20 or 16 bytes a quad, at a multiple of 4. `nn_conv_2d` takes int8 weights,
 * `nn_conv_2d_wide` int16 ones in nn_widen's order; both are nn_conv_2d_by with their dot product.
 */
void nn_conv_2d(const nn_conv_2d_shape *shape, const int8_t *input, const int32_t *weights, const int32_t *bias,
                const nn_scale *scales, int8_t *columns, int8_t *output);
void nn_conv_2d_wide(const nn_conv_2d_shape *shape, const int8_t *input, const int32_t *weights, const int32_t *bias,
                     const nn_scale *scales, int8_t *columns, int8_t *output);

/* `channel` is the size of one channel's weights, in words. */
void nn_conv_2d_by(nn_dot dot, int32_t channel, const nn_conv_2d_shape *shape, const int8_t *input,
                   const int32_t *weights, const int32_t *bias, const nn_scale *scales, int8_t *columns, int8_t *output);

#endif

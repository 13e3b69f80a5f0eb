#ifndef NN_TRANSPOSE_CONV_H
#define NN_TRANSPOSE_CONV_H

#include "nn_math.h"

typedef struct {
    int32_t batches;
    int32_t input_height, input_width, input_depth;
    int32_t output_height, output_width, output_depth;
    int32_t filter_height, filter_width;
    int32_t stride_height, stride_width;
    int32_t pad_top, pad_left;
    int32_t input_zero_point, output_zero_point;
    int32_t activation_min, activation_max;
    int32_t scale_step; /* 1: one scale for each channel, 0: one for all */
} nn_transpose_conv_shape;

/*
 * output[y, x, c] = clamp(output_zero_point + scale[c] * (bias[c] + sum over taps and depth of
 * (input[(y + pad_top - tap_y) / stride_height, ...] - input_zero_point) * weights[c, tap_y, tap_x, ...]))
 *
 * Only taps whose place in the input is whole and inside of it count.
 */
void nn_transpose_conv(const nn_transpose_conv_shape *shape, const int8_t *input, const int8_t *weights,
                       const int32_t *bias, const nn_scale *scales, int8_t *output);

/* As above without zero points: sums of 64 bits, and real numbers held within range[0] and range[1]. */
void nn_transpose_conv_16(const nn_transpose_conv_shape *shape, const int16_t *input, const int8_t *weights,
                          const int64_t *bias, const nn_scale *scales, int16_t *output);
void nn_transpose_conv_float(const nn_transpose_conv_shape *shape, const float *input, const float *weights,
                             const float *bias, const float *range, float *output);

/* The input's place under a tap; -1 where there is none. */
static inline int32_t nn_scattered_from(int32_t position, int32_t stride, int32_t size)
{
    const int32_t at = position / stride;
    return position >= 0 && at * stride == position && at < size ? at : -1;
}

#endif

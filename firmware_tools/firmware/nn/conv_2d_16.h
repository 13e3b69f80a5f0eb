#ifndef NN_CONV_2D_16_H
#define NN_CONV_2D_16_H

#include "nn_math.h"
#include "conv_2d.h"

/*
 * As nn_conv_2d with 16-bit activations, whose zero points are 0: output[y, x, c] = clamp(scale[c] * (bias[c] + sum
 * over taps of input * weights[c])), the sum in 64 bits. `weights` lie as (output channel, height, width, depth of a
 * group). A depthwise convolution is one of as many groups as channels; a dense layer has one pixel.
 */
void nn_conv_2d_16(const nn_conv_2d_shape *shape, const int16_t *input, const int8_t *weights, const nn_wide *bias,
                   const nn_scale *scales, int16_t *output);

#endif

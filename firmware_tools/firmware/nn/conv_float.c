/* CONV_2D, DEPTHWISE_CONV_2D and FULLY_CONNECTED of real numbers. */
#include "conv_plain.h"
#include "nn_float.h"

/* One output value's sum; `input` is its group's first channel, `weights` its channel's. */
static float sum_of(const nn_conv_plain_shape *s, const float *input, const float *weights, int32_t y, int32_t x)
{
    const int32_t depth = s->input_depth / s->groups;
    float sum = 0.0f;
    for (int32_t i = 0; i < s->filter_height; i++) {
        const int32_t row = y + i * s->dilation_height;
        for (int32_t j = 0; j < s->filter_width; j++) {
            const int32_t column = x + j * s->dilation_width;
            if (row >= 0 && row < s->input_height && column >= 0 && column < s->input_width) {
                const float *pixel = input + (row * s->input_width + column) * s->input_depth;
                for (int32_t d = 0; d < depth; d++) {
                    const float product = pixel[d] * weights[d];
                    sum += product;
                }
            }
            weights += depth;
        }
    }
    return sum;
}

void nn_conv_float(const nn_conv_plain_shape *s, const float *input, const float *weights, const float *bias,
                   const float *range, float *output)
{
    const int32_t group_in = s->input_depth / s->groups, group_out = s->output_depth / s->groups;
    const int32_t taps = s->filter_height * s->filter_width * group_in;
    for (int32_t batch = 0; batch < s->batches; batch++) {
        for (int32_t y = 0; y < s->output_height; y++) {
            for (int32_t x = 0; x < s->output_width; x++) {
                for (int32_t c = 0; c < s->output_depth; c++) {
                    const float sum = sum_of(s, input + c / group_out * group_in, weights + c * taps,
                                             y * s->stride_height - s->pad_top, x * s->stride_width - s->pad_left);
                    *output++ = nn_hold(sum + bias[c], range[0], range[1]);
                }
            }
        }
        input += s->input_height * s->input_width * s->input_depth;
    }
}

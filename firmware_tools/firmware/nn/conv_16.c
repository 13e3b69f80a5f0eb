/* CONV_2D, DEPTHWISE_CONV_2D and FULLY_CONNECTED with 16-bit activations and 8-bit weights. */
#include "conv_plain.h"
#include "nn_wide.h"

/* One output value's sum; `input` is its group's first channel, `weights` its channel's. */
static int64_t sum_of(const nn_conv_plain_shape *s, const int16_t *input, const int8_t *weights, int32_t y, int32_t x)
{
    const int32_t depth = s->input_depth / s->groups;
    int64_t sum = 0;
    for (int32_t i = 0; i < s->filter_height; i++) {
        const int32_t row = y + i * s->dilation_height;
        for (int32_t j = 0; j < s->filter_width; j++) {
            const int32_t column = x + j * s->dilation_width;
            if (row >= 0 && row < s->input_height && column >= 0 && column < s->input_width) {
                const int16_t *pixel = input + (row * s->input_width + column) * s->input_depth;
                for (int32_t d = 0; d < depth; d++) {
                    sum += pixel[d] * weights[d];
                }
            }
            weights += depth;
        }
    }
    return sum;
}

static void one_pixel(const nn_conv_plain_shape *s, const int16_t *input, const int8_t *weights, const int64_t *bias,
                      const nn_scale *scales, int32_t y, int32_t x, int16_t *output)
{
    const int32_t group_in = s->input_depth / s->groups, group_out = s->output_depth / s->groups;
    const int32_t taps = s->filter_height * s->filter_width * group_in;
    for (int32_t c = 0; c < s->output_depth; c++) {
        const int64_t sum = sum_of(s, input + c / group_out * group_in, weights + c * taps, y, x) + bias[c];
        const nn_scale scale = scales[c * s->scale_step];
        const int32_t scaled = s->wide ? nn_requantize_wide(sum, scale) : nn_requantize((int32_t)sum, scale);
        output[c] = (int16_t)nn_min(nn_max(scaled, s->activation_min), s->activation_max);
    }
}

void nn_conv_16(const nn_conv_plain_shape *s, const int16_t *input, const int8_t *weights, const int64_t *bias,
                const nn_scale *scales, int16_t *output)
{
    for (int32_t batch = 0; batch < s->batches; batch++) {
        for (int32_t y = 0; y < s->output_height; y++) {
            for (int32_t x = 0; x < s->output_width; x++) {
                one_pixel(s, input, weights, bias, scales, y * s->stride_height - s->pad_top,
                          x * s->stride_width - s->pad_left, output);
                output += s->output_depth;
            }
        }
        input += s->input_height * s->input_width * s->input_depth;
    }
}

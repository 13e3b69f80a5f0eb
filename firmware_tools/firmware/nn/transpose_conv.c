/* TRANSPOSE_CONV, int8: each output pixel gathers what the input pixels would have scattered to it. */
#include "transpose_conv.h"

static uint32_t dot(const int8_t *input, const int8_t *weights, int32_t depth, int32_t zero_point)
{
    int32_t sum = 0;
    for (int32_t i = 0; i < depth; i++) {
        sum += (input[i] - zero_point) * weights[i];
    }
    return (uint32_t)sum;
}

/* Sum of one output value, modulo 2^32 as the reference's; `weights` are one channel's. */
static uint32_t sum_of(const nn_transpose_conv_shape *s, const int8_t *input, const int8_t *weights, int32_t y,
                       int32_t x)
{
    uint32_t sum = 0;
    for (int32_t tap_y = 0; tap_y < s->filter_height; tap_y++) {
        const int32_t row = nn_scattered_from(y + s->pad_top - tap_y, s->stride_height, s->input_height);
        if (row >= 0) {
            for (int32_t tap_x = 0; tap_x < s->filter_width; tap_x++) {
                const int32_t column = nn_scattered_from(x + s->pad_left - tap_x, s->stride_width, s->input_width);
                if (column >= 0) {
                    sum += dot(input + (row * s->input_width + column) * s->input_depth,
                               weights + (tap_y * s->filter_width + tap_x) * s->input_depth, s->input_depth,
                               s->input_zero_point);
                }
            }
        }
    }
    return sum;
}

static void one_image(const nn_transpose_conv_shape *s, const int8_t *input, const int8_t *weights,
                      const int32_t *bias, const nn_scale *scales, int8_t *output)
{
    const int32_t channel_bytes = s->filter_height * s->filter_width * s->input_depth;
    for (int32_t y = 0; y < s->output_height; y++) {
        for (int32_t x = 0; x < s->output_width; x++) {
            for (int32_t c = 0; c < s->output_depth; c++) {
                const uint32_t sum = sum_of(s, input, weights + c * channel_bytes, y, x);
                const int32_t value = nn_wrapping_add((int32_t)sum, bias[c]);
                const int32_t scaled = nn_requantize(value, scales[c * s->scale_step]);
                *output++ = nn_clamp(scaled + s->output_zero_point, s->activation_min, s->activation_max);
            }
        }
    }
}

void nn_transpose_conv(const nn_transpose_conv_shape *s, const int8_t *input, const int8_t *weights,
                       const int32_t *bias, const nn_scale *scales, int8_t *output)
{
    for (int32_t batch = 0; batch < s->batches; batch++) {
        one_image(s, input, weights, bias, scales, output);
        input += s->input_height * s->input_width * s->input_depth;
        output += s->output_height * s->output_width * s->output_depth;
    }
}

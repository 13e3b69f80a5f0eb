/* TRANSPOSE_CONV with 16-bit activations: each output pixel gathers what the input pixels would have scattered to it. */
#include "nn_wide.h"
#include "transpose_conv.h"

static int64_t sum_of(const nn_transpose_conv_shape *s, const int16_t *input, const int8_t *weights, int32_t y,
                      int32_t x)
{
    int64_t sum = 0;
    for (int32_t tap_y = 0; tap_y < s->filter_height; tap_y++) {
        const int32_t row = nn_scattered_from(y + s->pad_top - tap_y, s->stride_height, s->input_height);
        for (int32_t tap_x = 0; tap_x < s->filter_width; tap_x++) {
            const int32_t column = nn_scattered_from(x + s->pad_left - tap_x, s->stride_width, s->input_width);
            if (row >= 0 && column >= 0) {
                const int16_t *pixel = input + (row * s->input_width + column) * s->input_depth;
                const int8_t *tap = weights + (tap_y * s->filter_width + tap_x) * s->input_depth;
                for (int32_t d = 0; d < s->input_depth; d++) {
                    sum += pixel[d] * tap[d];
                }
            }
        }
    }
    return sum;
}

void nn_transpose_conv_16(const nn_transpose_conv_shape *s, const int16_t *input, const int8_t *weights,
                          const int64_t *bias, const nn_scale *scales, int16_t *output)
{
    const int32_t taps = s->filter_height * s->filter_width * s->input_depth;
    for (int32_t batch = 0; batch < s->batches; batch++) {
        for (int32_t y = 0; y < s->output_height; y++) {
            for (int32_t x = 0; x < s->output_width; x++) {
                for (int32_t c = 0; c < s->output_depth; c++) {
                    const int64_t sum = sum_of(s, input, weights + c * taps, y, x) + bias[c];
                    const int32_t scaled = nn_requantize_wide(sum, scales[c * s->scale_step]);
                    *output++ = (int16_t)nn_min(nn_max(scaled, s->activation_min), s->activation_max);
                }
            }
        }
        input += s->input_height * s->input_width * s->input_depth;
    }
}

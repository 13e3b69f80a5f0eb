/*
 * TRANSPOSE_CONV of real numbers. Taps are taken from the last to the first, which is the order in which the input's
 * pixels, from the first to the last, would have scattered to the output.
 */
#include "nn_float.h"
#include "transpose_conv.h"

static float sum_of(const nn_transpose_conv_shape *s, const float *input, const float *weights, int32_t y, int32_t x)
{
    float sum = 0.0f;
    for (int32_t tap_y = s->filter_height - 1; tap_y >= 0; tap_y--) {
        const int32_t row = nn_scattered_from(y + s->pad_top - tap_y, s->stride_height, s->input_height);
        for (int32_t tap_x = s->filter_width - 1; tap_x >= 0; tap_x--) {
            const int32_t column = nn_scattered_from(x + s->pad_left - tap_x, s->stride_width, s->input_width);
            if (row >= 0 && column >= 0) {
                const float *pixel = input + (row * s->input_width + column) * s->input_depth;
                const float *tap = weights + (tap_y * s->filter_width + tap_x) * s->input_depth;
                for (int32_t d = 0; d < s->input_depth; d++) {
                    const float product = pixel[d] * tap[d];
                    sum += product;
                }
            }
        }
    }
    return sum;
}

void nn_transpose_conv_float(const nn_transpose_conv_shape *s, const float *input, const float *weights,
                             const float *bias, const float *range, float *output)
{
    const int32_t taps = s->filter_height * s->filter_width * s->input_depth;
    for (int32_t batch = 0; batch < s->batches; batch++) {
        for (int32_t y = 0; y < s->output_height; y++) {
            for (int32_t x = 0; x < s->output_width; x++) {
                for (int32_t c = 0; c < s->output_depth; c++) {
                    *output++ = nn_hold(sum_of(s, input, weights + c * taps, y, x) + bias[c], range[0], range[1]);
                }
            }
        }
        input += s->input_height * s->input_width * s->input_depth;
    }
}

/* PRELU, int8, slopes broadcast. The output may lie over an input that is not broadcast. */
#include "nn_broadcast.h"

static void line(const nn_elementwise_shape *s, const int8_t *a, const int8_t *b, int8_t *output)
{
    const nn_scale above = {s->a_multiplier, s->a_shift}, below = {s->b_multiplier, s->b_shift};
    for (int32_t i = 0; i < s->size_3; i++) {
        const int32_t value = *a - s->a_zero_point, slope = *b - s->b_zero_point;
        const int32_t scaled = value >= 0 ? nn_requantize(value, above) : nn_requantize(value * slope, below);
        output[i] = nn_clamp(scaled + s->output_zero_point, INT8_MIN, INT8_MAX);
        a += s->a_step_3;
        b += s->b_step_3;
    }
}

void nn_prelu(const nn_elementwise_shape *s, const int8_t *input, const int8_t *slopes, int8_t *output)
{
    nn_for_each_line(s, input, slopes, line, output);
}

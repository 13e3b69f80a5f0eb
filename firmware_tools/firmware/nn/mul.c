/* MUL, int8, with broadcasting. The output may lie over an input that is not broadcast. */
#include "elementwise.h"

static void line(const nn_elementwise_shape *s, const int8_t *a, const int8_t *b, int8_t *output)
{
    const nn_scale scale = {s->output_multiplier, s->output_shift};
    for (int32_t i = 0; i < s->size_3; i++) {
        const int32_t product = (*a - s->a_zero_point) * (*b - s->b_zero_point);
        const int32_t scaled = nn_requantize(product, scale);
        output[i] = nn_clamp(scaled + s->output_zero_point, s->activation_min, s->activation_max);
        a += s->a_step_3;
        b += s->b_step_3;
    }
}

void nn_mul(const nn_elementwise_shape *s, const int8_t *a, const int8_t *b, int8_t *output)
{
    for (int32_t i = 0; i < s->size_0; i++) {
        for (int32_t j = 0; j < s->size_1; j++) {
            for (int32_t k = 0; k < s->size_2; k++) {
                line(s, a + i * s->a_step_0 + j * s->a_step_1 + k * s->a_step_2,
                     b + i * s->b_step_0 + j * s->b_step_1 + k * s->b_step_2, output);
                output += s->size_3;
            }
        }
    }
}

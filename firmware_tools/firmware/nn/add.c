/* ADD and SUB, int8, with broadcasting. The output may lie over an input that is not broadcast. */
#include "elementwise.h"

/* One value on the common scale: it fits into 2^28, so that the sum of two fits into 32 bits. */
static int32_t common(int32_t value, int32_t multiplier, int32_t shift)
{
    const nn_scale scale = {multiplier, shift};
    return nn_requantize(value * (1 << 20), scale);
}

static void line(const nn_elementwise_shape *s, const int8_t *a, const int8_t *b, int32_t sign, int8_t *output)
{
    const nn_scale scale = {s->output_multiplier, s->output_shift};
    for (int32_t i = 0; i < s->size_3; i++) {
        const int32_t left = common(*a - s->a_zero_point, s->a_multiplier, s->a_shift);
        const int32_t right = common(*b - s->b_zero_point, s->b_multiplier, s->b_shift);
        const int32_t sum = nn_requantize(left + sign * right, scale);
        output[i] = nn_clamp(sum + s->output_zero_point, s->activation_min, s->activation_max);
        a += s->a_step_3;
        b += s->b_step_3;
    }
}

static void add(const nn_elementwise_shape *s, const int8_t *a, const int8_t *b, int32_t sign, int8_t *output)
{
    for (int32_t i = 0; i < s->size_0; i++) {
        for (int32_t j = 0; j < s->size_1; j++) {
            for (int32_t k = 0; k < s->size_2; k++) {
                line(s, a + i * s->a_step_0 + j * s->a_step_1 + k * s->a_step_2,
                     b + i * s->b_step_0 + j * s->b_step_1 + k * s->b_step_2, sign, output);
                output += s->size_3;
            }
        }
    }
}

void nn_add(const nn_elementwise_shape *s, const int8_t *a, const int8_t *b, int8_t *output)
{
    add(s, a, b, 1, output);
}

void nn_sub(const nn_elementwise_shape *s, const int8_t *a, const int8_t *b, int8_t *output)
{
    add(s, a, b, -1, output);
}

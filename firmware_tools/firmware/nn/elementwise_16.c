/* ADD, SUB and MUL with 16-bit activations, whose zero points are 0. The output may lie over an input. */
#include "elementwise_16.h"

typedef int32_t (*nn_join)(const nn_elementwise_shape *shape, int32_t a, int32_t b);

/* One value on the common scale, with 15 bits more: the sum of two fits into 32 bits. */
static int32_t common(int32_t value, int32_t multiplier, int32_t shift)
{
    const nn_scale scale = {multiplier, shift};
    return nn_requantize(value * (1 << 15), scale);
}

static int32_t sum(const nn_elementwise_shape *s, int32_t a, int32_t b)
{
    return common(a, s->a_multiplier, s->a_shift) + common(b, s->b_multiplier, s->b_shift);
}

static int32_t difference(const nn_elementwise_shape *s, int32_t a, int32_t b)
{
    return common(a, s->a_multiplier, s->a_shift) - common(b, s->b_multiplier, s->b_shift);
}

static int32_t product(const nn_elementwise_shape *s, int32_t a, int32_t b)
{
    (void)s;
    return a * b;
}

static void line(const nn_elementwise_shape *s, const int16_t *a, const int16_t *b, nn_join join, int16_t *output)
{
    const nn_scale scale = {s->output_multiplier, s->output_shift};
    for (int32_t i = 0; i < s->size_3; i++) {
        const int32_t scaled = nn_requantize(join(s, *a, *b), scale);
        output[i] = (int16_t)nn_min(nn_max(scaled, s->activation_min), s->activation_max);
        a += s->a_step_3;
        b += s->b_step_3;
    }
}

static void each(const nn_elementwise_shape *s, const int16_t *a, const int16_t *b, nn_join join, int16_t *output)
{
    for (int32_t i = 0; i < s->size_0; i++) {
        for (int32_t j = 0; j < s->size_1; j++) {
            for (int32_t k = 0; k < s->size_2; k++) {
                line(s, a + i * s->a_step_0 + j * s->a_step_1 + k * s->a_step_2,
                     b + i * s->b_step_0 + j * s->b_step_1 + k * s->b_step_2, join, output);
                output += s->size_3;
            }
        }
    }
}

void nn_add_16(const nn_elementwise_shape *s, const int16_t *a, const int16_t *b, int16_t *output)
{
    each(s, a, b, sum, output);
}

void nn_sub_16(const nn_elementwise_shape *s, const int16_t *a, const int16_t *b, int16_t *output)
{
    each(s, a, b, difference, output);
}

void nn_mul_16(const nn_elementwise_shape *s, const int16_t *a, const int16_t *b, int16_t *output)
{
    each(s, a, b, product, output);
}

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

/*
 * The way to the common scale, for a factor below 1/2 (shift < 0) or of 1/2 itself, which is that of the input with the
 * larger scale: as in nn_scale_down, the value is doubled first, and the last bit falls out on its own. A half has no
 * second step; doubled once more, nothing is left for it to round.
 */
typedef struct {
    int32_t zero_point, up, multiplier, down;
} nn_term;

static int is_half(int32_t multiplier, int32_t shift) { return multiplier == INT32_C(1) << 30 && shift == 0; }

static nn_term term(int32_t zero_point, int32_t multiplier, int32_t shift)
{
    const int half = is_half(multiplier, shift);
    return (nn_term){zero_point, half ? 22 : 21, multiplier, half ? 0 : ~shift};
}

static inline int32_t rescaled(int32_t value, nn_term t)
{
    const int32_t wide = (int32_t)((uint32_t)(value - t.zero_point) << t.up);
    return ((nn_halves_down(nn_high_word(wide, t.multiplier)) >> t.down) + 1) >> 1;
}

static void quick_line(const nn_elementwise_shape *s, const int8_t *a, const int8_t *b, int32_t sign, int8_t *output)
{
    const nn_scale scale = {s->output_multiplier, s->output_shift};
    const nn_term left = term(s->a_zero_point, s->a_multiplier, s->a_shift);
    const nn_term right = term(s->b_zero_point, s->b_multiplier, s->b_shift);
    const int32_t odd = 2 * s->output_zero_point + 1, a_step = s->a_step_3, b_step = s->b_step_3;
    for (const int8_t *end = output + s->size_3; output != end; output++, a += a_step, b += b_step) {
        *output = nn_scale_down(rescaled(*a, left) + sign * rescaled(*b, right), scale, odd);
    }
}

static int is_quick(const nn_elementwise_shape *s)
{
    return (s->a_shift < 0 || is_half(s->a_multiplier, s->a_shift)) &&
           (s->b_shift < 0 || is_half(s->b_multiplier, s->b_shift)) && s->output_shift < 0 &&
           s->activation_min == INT8_MIN && s->activation_max == INT8_MAX;
}

static void add(const nn_elementwise_shape *s, const int8_t *a, const int8_t *b, int32_t sign, int8_t *output)
{
    const int quick = is_quick(s);
    for (int32_t i = 0; i < s->size_0; i++) {
        for (int32_t j = 0; j < s->size_1; j++) {
            for (int32_t k = 0; k < s->size_2; k++) {
                const int8_t *from_a = a + i * s->a_step_0 + j * s->a_step_1 + k * s->a_step_2;
                const int8_t *from_b = b + i * s->b_step_0 + j * s->b_step_1 + k * s->b_step_2;
                if (quick) {
                    quick_line(s, from_a, from_b, sign, output);
                } else {
                    line(s, from_a, from_b, sign, output);
                }
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

/* L2_NORMALIZATION, int8, without any float. */
#include "l2_normalization.h"
#include "nn_fixed.h"

enum { INTEGER_BITS = 3, OUTPUT_BITS = 7 };

static int32_t times(int32_t a, int32_t b) { return nn_doubling_high_multiply(a, b); }

/* 1 / sqrt(x) for x in [1/2, 2) in Q3.28, up to sqrt(1/2): five Newton-Raphson steps, x <- x * (3 - a * x^2) / 2. */
static int32_t newton_raphson(int32_t a)
{
    const int32_t half = nn_rounding_shift(a, 1), three_halves = (INT32_C(1) << 28) + (INT32_C(1) << 27);
    int32_t x = INT32_C(1) << 28;
    for (int i = 0; i < 5; i++) {
        const int32_t cube = nn_saturating_shift(times(times(x, x), x), 2 * INTEGER_BITS);
        x = nn_saturating_shift(times(three_halves, x) - times(half, cube), INTEGER_BITS);
    }
    return times(x, 1518500250); /* sqrt(1/2) */
}

/* The multiplier and shift that stand for 1 / sqrt(x); 0 is taken for 1. */
static nn_scale inverse_square_root(int32_t x)
{
    nn_scale scale = {INT32_MAX, 0};
    if (x <= 1) {
        return scale;
    }
    int32_t right = 11;
    for (; x >= INT32_C(1) << 29; x /= 4) {
        right++;
    }
    const int32_t pairs = (nn_leading_zeros((uint32_t)x) - 1) / 2 - 1;
    right -= pairs;
    x = (int32_t)((uint32_t)x << (2 * pairs));
    scale.multiplier = newton_raphson(x >> 1);
    if (right < 0) {
        scale.multiplier = (int32_t)((uint32_t)scale.multiplier << -right);
        right = 0;
    }
    scale.shift = -right;
    return scale;
}

static void one_row(const nn_l2_normalization_shape *s, const int8_t *input, int8_t *output)
{
    int32_t sum = 0;
    for (int32_t i = 0; i < s->depth; i++) {
        const int32_t x = input[i] - s->input_zero_point;
        sum += x * x;
    }
    nn_scale scale = inverse_square_root(sum);
    scale.shift += OUTPUT_BITS;
    for (int32_t i = 0; i < s->depth; i++) {
        output[i] = nn_clamp(nn_requantize(input[i] - s->input_zero_point, scale), INT8_MIN, INT8_MAX);
    }
}

void nn_l2_normalization(const nn_l2_normalization_shape *s, const int8_t *input, int8_t *output)
{
    for (int32_t row = 0; row < s->rows; row++) {
        one_row(s, input + row * s->depth, output + row * s->depth);
    }
}

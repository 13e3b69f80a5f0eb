/* SOFTMAX, int8, without any float: fixed point as in gemmlowp ("Qm.n": m integer bits, n fraction bits). */
#include "softmax.h"

static int32_t saturating_times_4(int32_t x)
{
    if (x > INT32_MAX / 4) {
        return INT32_MAX;
    }
    return x < INT32_MIN / 4 ? INT32_MIN : x * 4;
}

/* 1 / (1 + a) for a in [0, 1) in Q0.31, as Q0.31: three Newton-Raphson steps from 48/17 - 32/17 * (1 + a) / 2. */
static int32_t one_over_one_plus(int32_t a)
{
    const int32_t half_denominator = (int32_t)(((int64_t)a + INT32_MAX + 1) >> 1);
    int32_t x = 1515870810 + nn_doubling_high_multiply(half_denominator, -1010580540); /* Q2.29 */
    for (int i = 0; i < 3; i++) {
        const int32_t error = (INT32_C(1) << 29) - nn_doubling_high_multiply(half_denominator, x);
        x += saturating_times_4(nn_doubling_high_multiply(x, error));
    }
    return x > INT32_MAX / 2 ? INT32_MAX : x * 2;
}

static int32_t leading_zeros(uint32_t x)
{
    int32_t count = 0;
    for (; (x & UINT32_C(0x80000000)) == 0; x <<= 1) {
        count++;
    }
    return count;
}

static void one_row(const nn_softmax_shape *s, const int8_t *input, const int32_t *exponentials, int8_t *output)
{
    int32_t largest = INT8_MIN;
    for (int32_t i = 0; i < s->depth; i++) {
        largest = nn_max(largest, input[i]);
    }
    int32_t sum = 0; /* Q12.19 */
    for (int32_t i = 0; i < s->depth; i++) {
        const int32_t difference = largest - input[i];
        sum += difference < s->table ? nn_rounding_shift(exponentials[difference], 12) : 0;
    }
    const int32_t zeros = leading_zeros((uint32_t)sum);
    const int32_t reciprocal = one_over_one_plus((int32_t)(((uint32_t)sum << zeros) - (UINT32_C(1) << 31)));
    for (int32_t i = 0; i < s->depth; i++) {
        const int32_t difference = largest - input[i];
        int32_t value = 0;
        if (difference < s->table) {
            value = nn_rounding_shift(nn_doubling_high_multiply(reciprocal, exponentials[difference]), 35 - zeros);
        }
        output[i] = nn_clamp(value - 128, INT8_MIN, INT8_MAX);
    }
}

void nn_softmax(const nn_softmax_shape *s, const int8_t *input, const int32_t *exponentials, int8_t *output)
{
    for (int32_t row = 0; row < s->rows; row++) {
        one_row(s, input + row * s->depth, exponentials, output + row * s->depth);
    }
}

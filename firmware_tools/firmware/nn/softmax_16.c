/* SOFTMAX with 16-bit activations: exponentials and the reciprocal of their sum between the points of two tables. */
#include "curves_16.h"
#include "nn_fixed.h"

/* The table's curve at x, whose upper 9 bits choose the point and whose lower 7 lie between it and the next. */
static int32_t between(int32_t x, const int16_t *table)
{
    const int32_t i = 256 + (x >> 7), slope = (int16_t)(table[i + 1] - table[i]);
    return table[i] + ((slope * (x & 0x7f) + 64) >> 7);
}

static int32_t held(int32_t x) { return nn_min(nn_max(x, INT16_MIN), INT16_MAX); }

static void one_row(const nn_softmax_16_shape *s, const int16_t *input, const int16_t *exponentials,
                    const int16_t *reciprocals, int16_t *output)
{
    const nn_scale scale = {s->multiplier, s->shift};
    int32_t largest = INT16_MIN, sum = 0;
    for (int32_t i = 0; i < s->depth; i++) {
        largest = nn_max(largest, input[i]);
    }
    for (int32_t i = 0; i < s->depth; i++) {
        output[i] = (int16_t)between(held(nn_requantize(input[i] - largest, scale) + INT16_MAX), exponentials);
        sum += output[i];
    }
    const int32_t zeros = nn_leading_zeros((uint32_t)sum);
    const int32_t shifted = (int32_t)((((int64_t)sum << (zeros - 1)) + (1 << 13)) >> 14);
    const int32_t reciprocal = between(held(shifted - (1 << 15) - (1 << 16)), reciprocals);
    const int32_t right = 31 - zeros;
    const int64_t half = right > 0 ? INT64_C(1) << (right - 1) : 0;
    for (int32_t i = 0; i < s->depth; i++) {
        const int64_t value = (output[i] * (int64_t)reciprocal + half) >> right;
        output[i] = (int16_t)(value < 0 ? 0 : value > INT16_MAX ? INT16_MAX : value);
    }
}

void nn_softmax_16(const nn_softmax_16_shape *s, const int16_t *input, const int16_t *exponentials,
                   const int16_t *reciprocals, int16_t *output)
{
    for (int32_t row = 0; row < s->rows; row++) {
        one_row(s, input + row * s->depth, exponentials, reciprocals, output + row * s->depth);
    }
}

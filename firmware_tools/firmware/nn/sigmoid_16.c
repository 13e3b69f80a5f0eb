/* LOGISTIC and TANH with 16-bit activations: |x| picks two points of one table, for tanh(x) = 2 * logistic(2x) - 1. */
#include "curves_16.h"

/* logistic(|x|) in 16 + `bits` bits, its argument with `bits` bits behind the table's points */
static int32_t between(uint32_t magnitude, const uint16_t *table, int32_t bits)
{
    const uint32_t i = magnitude >> bits, rest = magnitude & ((UINT32_C(1) << bits) - 1);
    return (int32_t)(((uint32_t)table[i] << bits) + rest * (uint32_t)(table[i + 1] - table[i]));
}

static int32_t argument(const nn_sigmoid_16_shape *s, int32_t x)
{
    const int32_t round = s->shift > 0 ? 1 << (s->shift - 1) : 0;
    return (x * s->multiplier + round) >> s->shift;
}

static uint32_t magnitude_of(int32_t x) { return x < 0 ? 0U - (uint32_t)x : (uint32_t)x; }

void nn_logistic_16(const nn_sigmoid_16_shape *s, const int16_t *input, const uint16_t *table, int16_t *output)
{
    for (int32_t i = 0; i < s->elements; i++) {
        const int32_t x = argument(s, input[i]);
        const uint32_t magnitude = magnitude_of(x);
        const int32_t value = magnitude >> 9 >= 255 ? 0x7fff << 10 : between(magnitude, table, 9);
        const int32_t turned = x >= 0 ? value + (1 << 9) : (1 << 25) - value + (1 << 9) - 1;
        output[i] = (int16_t)(turned >> 10);
    }
}

void nn_tanh_16(const nn_sigmoid_16_shape *s, const int16_t *input, const uint16_t *table, int16_t *output)
{
    for (int32_t i = 0; i < s->elements; i++) {
        const int32_t x = argument(s, input[i]);
        const uint32_t magnitude = magnitude_of(x);
        const int32_t value = magnitude >> 8 >= 255 ? 0xffff << 8 : between(magnitude, table, 8);
        const int32_t turned = x >= 0 ? value - (1 << 23) + (1 << 7) : -value + (1 << 23) + (1 << 7) - 1;
        output[i] = (int16_t)(turned >> 8);
    }
}

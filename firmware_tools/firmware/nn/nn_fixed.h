/* Fixed point beyond rescaling, as gemmlowp does it ("Qm.n": m integer bits, n fraction bits, m + n = 31). */
#ifndef NN_FIXED_H
#define NN_FIXED_H

#include "nn_math.h"

/* x * 2^exponent, held within 32 bits */
static inline int32_t nn_saturating_shift(int32_t x, int32_t exponent)
{
    const int64_t shifted = (int64_t)x * ((int64_t)1 << exponent);
    if (shifted > INT32_MAX) {
        return INT32_MAX;
    }
    return shifted < INT32_MIN ? INT32_MIN : (int32_t)shifted;
}

static inline int32_t nn_leading_zeros(uint32_t x)
{
    int32_t count = 0;
    for (uint32_t bit = UINT32_C(0x80000000); bit != 0 && (x & bit) == 0; bit >>= 1) {
        count++;
    }
    return count;
}

/* 1 / (1 + a) for a in [0, 1) in Q0.31, as Q0.31: three Newton-Raphson steps from 48/17 - 32/17 * (1 + a) / 2. */
static inline int32_t nn_one_over_one_plus(int32_t a)
{
    const int32_t half_denominator = (int32_t)(((int64_t)a + INT32_MAX + 1) >> 1);
    int32_t x = 1515870810 + nn_doubling_high_multiply(half_denominator, -1010580540); /* Q2.29 */
    for (int i = 0; i < 3; i++) {
        const int32_t error = (INT32_C(1) << 29) - nn_doubling_high_multiply(half_denominator, x);
        x += nn_saturating_shift(nn_doubling_high_multiply(x, error), 2);
    }
    return nn_saturating_shift(x, 1);
}

#endif

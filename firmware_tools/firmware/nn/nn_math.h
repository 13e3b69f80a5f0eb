/*
 * The integer arithmetic that all int8 kernels share: real = scale * (integer - zero_point).
 *
 * Rescaling by a real factor multiplies by a 32-bit multiplier and shifts, with two roundings, as TensorFlow Lite
 * Micro does (gemmlowp's fixed point). The generator computes multiplier and shift; see codegen/numerics.py.
 */
#ifndef NN_MATH_H
#define NN_MATH_H

#include <stdint.h>

/* factor = multiplier * 2^(shift - 31); multiplier 0 or in [2^30, 2^31), shift in [-31, 30] */
typedef struct {
    int32_t multiplier;
    int32_t shift;
} nn_scale;

static inline int32_t nn_min(int32_t a, int32_t b) { return a < b ? a : b; }

static inline int32_t nn_max(int32_t a, int32_t b) { return a > b ? a : b; }

/* Addition modulo 2^32: a bias may take the sum over the edge, which wraps as the reference's does. */
static inline int32_t nn_wrapping_add(int32_t a, int32_t b) { return (int32_t)((uint32_t)a + (uint32_t)b); }

/*
 * round(a * b / 2^31), halves upward. The one product that would overflow, (-2^31)^2, does not come up: the only
 * multiplier that may be negative, LEAKY_RELU's below zero with 16 bits, meets numbers of fewer than 32.
 */
static inline int32_t nn_doubling_high_multiply(int32_t a, int32_t b)
{
    return (int32_t)(((int64_t)a * b + (INT64_C(1) << 30)) >> 31);
}

/*
 * round(x / 2^exponent), halves away from zero, for exponent >= 0 and x > INT32_MIN: one is taken from negative numbers,
 * so that their halves go down; then the highest bit that falls out is added. No step overflows.
 */
static inline int32_t nn_rounding_shift(int32_t x, int32_t exponent)
{
    if (exponent == 0) {
        return x;
    }
    const int32_t y = x + (x >> 31);
    return (y >> exponent) + ((y >> (exponent - 1)) & 1);
}

/* round(round(x * 2^max(shift, 0) * multiplier / 2^31) / 2^max(-shift, 0)) */
static inline int32_t nn_requantize(int32_t x, nn_scale scale)
{
    if (scale.shift >= 0) {
        return nn_doubling_high_multiply((int32_t)((uint32_t)x << scale.shift), scale.multiplier);
    }
    const int32_t high = nn_doubling_high_multiply(x, scale.multiplier);
    const int32_t y = high + (high >> 31);
    return (y >> -scale.shift) + ((y >> (-scale.shift - 1)) & 1); /* nn_rounding_shift without its branch */
}

/* x, held within int8. */
static inline int8_t nn_held(int32_t x) { return (int8_t)nn_max(nn_min(x, INT8_MAX), INT8_MIN); }

/* round(a * b / 2^32), halves upward: one instruction, SMMULR, where the core has it. */
static inline int32_t nn_high_word(int32_t a, int32_t b)
{
    int32_t high = (int32_t)(((int64_t)a * b + (INT64_C(1) << 31)) >> 32);
#ifdef __ARM_FEATURE_DSP
    __asm__("" : "+r"(high)); /* or LLVM multiplies a second time where a sum follows */
#endif
    return high;
}

/* One less if negative: then halves, rounded upward, go away from zero. */
static inline int32_t nn_halves_down(int32_t x) { return x + (x >> 31); }

/*
 * zero_point + scale * sum, held within int8, as nn_requantize and nn_clamp would give it, for what a convolution nearly
 * always has: a scale below 1/2 (shift < 0) and |sum| < 2^30. Then twice the sum fits into 32 bits, so that the product's
 * high word is the first step; and adding the zero point before the last bit falls out rounds as half of the second step
 * does: ((y >> (e - 1)) + 2 * zero_point + 1) >> 1 with e = -shift. `odd` is 2 * zero_point + 1.
 */
static inline int8_t nn_scale_down(int32_t sum, nn_scale scale, int32_t odd)
{
    const int32_t y = nn_halves_down(nn_high_word(sum * 2, scale.multiplier));
    return nn_held(((y >> ~scale.shift) + odd) >> 1); /* ~shift = -shift - 1 */
}

/* zero_point + x, held within [low, high], which lies within int8. */
static inline int8_t nn_clamp(int32_t x, int32_t low, int32_t high) { return (int8_t)nn_min(nn_max(x, low), high); }

#endif

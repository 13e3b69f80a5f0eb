/*
 * Dot products of int8 rows: the inner loop of convolutions and dense layers.
 *
 * Two pixels times two channels at a time, so that each byte that is loaded serves twice. On cores with the DSP
 * extension four products take two dual multiply-accumulates; the plain C twin beside it gives the same sums, since
 * sums of int8 products (at most 131,071 of them) are exact in 32 bits.
 */
#ifndef NN_DOT_H
#define NN_DOT_H

#include <stdint.h>
#include "nn_memory.h"

#if defined(__ARM_FEATURE_DSP) && defined(__ARM_FEATURE_UNALIGNED) && !defined(NN_PLAIN_C)
#include <arm_acle.h>
#define NN_DUAL_MAC 1
#endif

#ifdef NN_DUAL_MAC

static inline uint32_t nn_load_word(const int8_t *bytes)
{
    uint32_t word;
    __builtin_memcpy(&word, bytes, sizeof word); /* one load; a freestanding compiler would call plain memcpy */
    return word;
}

/* Bytes 0 and 2 of a word as two int16; bytes 1 and 3. */
static inline int16x2_t nn_even(uint32_t word) { return __sxtb16((int8x4_t)word); }

static inline int16x2_t nn_odd(uint32_t word) { return __sxtb16((int8x4_t)__ror(word, 8)); }

#endif

/* sums[2 * p + c] = sum over i < n of pixel p's byte i times channel c's byte i */
static inline void nn_dot_2x2(const int8_t *pixel0, const int8_t *pixel1, const int8_t *channel0,
                              const int8_t *channel1, int32_t n, int32_t sums[4])
{
    int32_t s00 = 0, s01 = 0, s10 = 0, s11 = 0;
    int32_t i = 0;
#ifdef NN_DUAL_MAC
    for (; i + 4 <= n; i += 4) {
        const uint32_t a = nn_load_word(channel0 + i), b = nn_load_word(channel1 + i);
        const int16x2_t a_even = nn_even(a), a_odd = nn_odd(a), b_even = nn_even(b), b_odd = nn_odd(b);
        const uint32_t x = nn_load_word(pixel0 + i);
        const int16x2_t x_even = nn_even(x), x_odd = nn_odd(x);
        s00 = __smlad(x_odd, a_odd, __smlad(x_even, a_even, s00));
        s01 = __smlad(x_odd, b_odd, __smlad(x_even, b_even, s01));
        const uint32_t y = nn_load_word(pixel1 + i);
        const int16x2_t y_even = nn_even(y), y_odd = nn_odd(y);
        s10 = __smlad(y_odd, a_odd, __smlad(y_even, a_even, s10));
        s11 = __smlad(y_odd, b_odd, __smlad(y_even, b_even, s11));
    }
#endif
    for (; i < n; i++) {
        s00 += pixel0[i] * channel0[i];
        s01 += pixel0[i] * channel1[i];
        s10 += pixel1[i] * channel0[i];
        s11 += pixel1[i] * channel1[i];
    }
    sums[0] = s00;
    sums[1] = s01;
    sums[2] = s10;
    sums[3] = s11;
}

/* sums[c] = sum over i < n of the pixel's byte i times byte i of channel c, whose rows lie `row` bytes apart */
static inline void nn_dot_1x4(const int8_t *pixel, const int8_t *channels, int32_t row, int32_t n, int32_t sums[4])
{
    const int8_t *w0 = channels, *w1 = w0 + row, *w2 = w1 + row, *w3 = w2 + row;
    int32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    int32_t i = 0;
#ifdef NN_DUAL_MAC
    for (; i + 4 <= n; i += 4) {
        const uint32_t x = nn_load_word(pixel + i);
        const int16x2_t even = nn_even(x), odd = nn_odd(x);
        const uint32_t a = nn_load_word(w0 + i), b = nn_load_word(w1 + i);
        s0 = __smlad(odd, nn_odd(a), __smlad(even, nn_even(a), s0));
        s1 = __smlad(odd, nn_odd(b), __smlad(even, nn_even(b), s1));
        const uint32_t c = nn_load_word(w2 + i), d = nn_load_word(w3 + i);
        s2 = __smlad(odd, nn_odd(c), __smlad(even, nn_even(c), s2));
        s3 = __smlad(odd, nn_odd(d), __smlad(even, nn_even(d), s3));
    }
#endif
    for (; i < n; i++) {
        s0 += pixel[i] * w0[i];
        s1 += pixel[i] * w1[i];
        s2 += pixel[i] * w2[i];
        s3 += pixel[i] * w3[i];
    }
    sums[0] = s0;
    sums[1] = s1;
    sums[2] = s2;
    sums[3] = s3;
}

/* The sum over i < n of the products. */
static inline int32_t nn_dot(const int8_t *pixel, const int8_t *channel, int32_t n)
{
    int32_t sum = 0;
    for (int32_t i = 0; i < n; i++) {
        sum += pixel[i] * channel[i];
    }
    return sum;
}

#endif

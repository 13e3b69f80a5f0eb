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

#if defined(__ARM_FEATURE_DSP) && defined(__ARM_FEATURE_UNALIGNED) && !defined(NN_PLAIN_C)
#include <arm_acle.h>
#define NN_DUAL_MAC 1
/* These loops use every register of the core: inside of another function, some would go to the stack in each round. */
#define NN_OWN_REGISTERS __attribute__((noinline, unused))
#else
#define NN_OWN_REGISTERS
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

/*
 * sums[2 * p + c] = sum over i < n of pixel p's byte i times channel c's byte i
 *
 * `channels` holds two channels in turns, four bytes each; n is a multiple of 4.
 */
NN_OWN_REGISTERS static inline void nn_dot_2x2(const int8_t *pixel0, const int8_t *pixel1, const int8_t *channels,
                                               int32_t n, int32_t sums[4])
{
    int32_t s00 = 0, s01 = 0, s10 = 0, s11 = 0;
    for (const int8_t *end = pixel0 + n; pixel0 != end; pixel0 += 4, pixel1 += 4, channels += 8) {
#ifdef NN_DUAL_MAC
        const uint32_t a = nn_load_word(channels), b = nn_load_word(channels + 4);
        const int16x2_t a_even = nn_even(a), a_odd = nn_odd(a), b_even = nn_even(b), b_odd = nn_odd(b);
        const uint32_t x = nn_load_word(pixel0);
        const int16x2_t x_even = nn_even(x), x_odd = nn_odd(x);
        s00 = __smlad(x_odd, a_odd, __smlad(x_even, a_even, s00));
        s01 = __smlad(x_odd, b_odd, __smlad(x_even, b_even, s01));
        const uint32_t y = nn_load_word(pixel1);
        const int16x2_t y_even = nn_even(y), y_odd = nn_odd(y);
        s10 = __smlad(y_odd, a_odd, __smlad(y_even, a_even, s10));
        s11 = __smlad(y_odd, b_odd, __smlad(y_even, b_even, s11));
#else
        for (int i = 0; i < 4; i++) {
            s00 += pixel0[i] * channels[i];
            s01 += pixel0[i] * channels[4 + i];
            s10 += pixel1[i] * channels[i];
            s11 += pixel1[i] * channels[4 + i];
        }
#endif
    }
    sums[0] = s00;
    sums[1] = s01;
    sums[2] = s10;
    sums[3] = s11;
}

/* sums[c] likewise for one pixel and four channels in turns, four bytes each; n is a multiple of 4. */
NN_OWN_REGISTERS static inline void nn_dot_1x4(const int8_t *pixel, const int8_t *channels, int32_t n,
                                               int32_t sums[4])
{
    int32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    for (const int8_t *end = pixel + n; pixel != end; pixel += 4, channels += 16) {
#ifdef NN_DUAL_MAC
        const uint32_t x = nn_load_word(pixel);
        const int16x2_t even = nn_even(x), odd = nn_odd(x);
        const uint32_t a = nn_load_word(channels), b = nn_load_word(channels + 4);
        s0 = __smlad(odd, nn_odd(a), __smlad(even, nn_even(a), s0));
        s1 = __smlad(odd, nn_odd(b), __smlad(even, nn_even(b), s1));
        const uint32_t c = nn_load_word(channels + 8), d = nn_load_word(channels + 12);
        s2 = __smlad(odd, nn_odd(c), __smlad(even, nn_even(c), s2));
        s3 = __smlad(odd, nn_odd(d), __smlad(even, nn_even(d), s3));
#else
        for (int i = 0; i < 4; i++) {
            s0 += pixel[i] * channels[i];
            s1 += pixel[i] * channels[4 + i];
            s2 += pixel[i] * channels[8 + i];
            s3 += pixel[i] * channels[12 + i];
        }
#endif
    }
    sums[0] = s0;
    sums[1] = s1;
    sums[2] = s2;
    sums[3] = s3;
}

#endif

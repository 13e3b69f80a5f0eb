/*
 * Dot products of int8 rows, four products at a time: the inner loops of dense layers.
 *
 * Activations are widened to int16 before, once for all channels that read them, in the order of the cores' dual
 * multiplier: of each four bytes t0 t1 t2 t3 the pair (t0, t2), then the pair (t1, t3), which is what SXTB16 makes of a
 * word and of the word turned by a byte. Weights are widened in the loop (`nn_dot_*`), or were at generation time
 * (`nn_dot_*_wide`, twice the flash). Sums of int8 products (at most 131,071 of them) are exact in 32 bits, so that all
 * forms give the same; the C twin beside each instruction sequence says what it computes.
 *
 * A sum begins at its channel's bias; both wrap modulo 2^32. `quads` counts four products, `channels` at most NN_BLOCK
 * sums of a pixel, for which whole turns are computed: there is room for one turn more.
 */
#ifndef NN_DOT_H
#define NN_DOT_H

#include <stdint.h>

#if defined(__ARM_FEATURE_DSP) && defined(__ARM_FEATURE_UNALIGNED) && !defined(NN_PLAIN_C)
#define NN_DUAL_MAC 1
#endif

typedef void (*nn_dot)(const int16_t *activations, const void *weights, int32_t quads, const int32_t *bias,
                       int32_t channels, int32_t *sums);

/* Sums that a kernel holds before it turns them into bytes. */
enum { NN_BLOCK = 32 };

/* sums[c] = bias[c] + the one pixel times channel c; the weights of four channels each lie in turns. */
void nn_dot_1x4(const int16_t *activations, const void *weights, int32_t quads, const int32_t *bias, int32_t channels,
                int32_t *sums);
void nn_dot_1x4_wide(const int16_t *activations, const void *weights, int32_t quads, const int32_t *bias,
                     int32_t channels, int32_t *sums);

/* `quads` times four bytes as int16 in the order above, one quad every `step` elements. */
void nn_widen(const int8_t *from, int32_t quads, int16_t *to, int32_t step);

#endif

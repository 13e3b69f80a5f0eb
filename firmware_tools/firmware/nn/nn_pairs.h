/*
 * int8 values as pairs of int16, in the order in which one instruction widens them: of four bytes, 0 and 2 first, then 1
 * and 3. The pairs of four pixels are interleaved: the first of each, then the second of each.
 */
#ifndef NN_PAIRS_H
#define NN_PAIRS_H

#include <stdint.h>

#include "nn_dsp.h"

/* int16 values from one pair of a pixel to its next. */
enum { NN_PAIR_STEP = 8 };

/* Four bytes; where the next pair goes. */
static inline int16_t *nn_pair_quad(const int8_t *from, int16_t *to)
{
#ifdef NN_DSP
    uint32_t word;
    __asm__ volatile("ldr %[word], [%[from]]\n\t"
                     "sxtb16 r12, %[word]\n\t"
                     "sxtb16 %[word], %[word], ror #8\n\t"
                     "str r12, [%[to]], #16\n\t"
                     "str %[word], [%[to]], #16"
                     : [to] "+r"(to), [word] "=&r"(word)
                     : [from] "r"(from)
                     : "r12", "memory");
    return to;
#else
    to[0] = from[0];
    to[1] = from[2];
    to[NN_PAIR_STEP] = from[1];
    to[NN_PAIR_STEP + 1] = from[3];
    return to + 2 * NN_PAIR_STEP;
#endif
}

/* `bytes`, a multiple of 4, from `from`. */
static inline int16_t *nn_pairs(const int8_t *from, int32_t bytes, int16_t *to)
{
    const int8_t *end = from + bytes;
    if (bytes & 4) {
        to = nn_pair_quad(from, to);
        from += 4;
    }
    for (; from != end; from += 8) {
        to = nn_pair_quad(from, to);
        to = nn_pair_quad(from + 4, to);
    }
    return to;
}

/* `bytes` times the same value. */
static inline int16_t *nn_pairs_of(int32_t value, int32_t bytes, int16_t *to)
{
    for (int32_t i = 0; i < bytes; i += 2, to += NN_PAIR_STEP) {
        to[0] = to[1] = (int16_t)value;
    }
    return to;
}

#endif

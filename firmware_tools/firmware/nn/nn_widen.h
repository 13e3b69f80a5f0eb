#ifndef NN_WIDEN_H
#define NN_WIDEN_H

#include "nn_dot.h"

/* Four bytes t0 t1 t2 t3 as int16 in the order t0 t2 t1 t3. */
static inline void nn_widen_quad(const int8_t *from, int16_t *to)
{
#ifdef NN_DUAL_MAC
    uint32_t even, odd;
    __asm__ volatile("ldr %[odd], [%[from]]\n\t"
                     "sxtb16 %[even], %[odd]\n\t"
                     "sxtb16 %[odd], %[odd], ror #8\n\t"
                     "strd %[even], %[odd], [%[to]]"
                     : [even] "=&r"(even), [odd] "=&r"(odd)
                     : [from] "r"(from), [to] "r"(to)
                     : "memory");
#else
    to[0] = from[0];
    to[1] = from[2];
    to[2] = from[1];
    to[3] = from[3];
#endif
}

#endif

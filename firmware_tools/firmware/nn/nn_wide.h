/* Rescaling of 64-bit sums, as TensorFlow Lite Micro does it for 16-bit activations. */
#ifndef NN_WIDE_H
#define NN_WIDE_H

#include "nn_math.h"

/* round(x * multiplier * 2^(shift - 31)), the multiplier rounded to 15 bits first; |x| < 2^47 */
static inline int32_t nn_requantize_wide(int64_t x, nn_scale scale)
{
    const int32_t multiplier = scale.multiplier < 0x7fff0000 ? (scale.multiplier + (1 << 15)) >> 16 : 0x7fff;
    const int32_t shift = 15 - scale.shift;
    return (int32_t)((x * multiplier + (INT64_C(1) << (shift - 1))) >> shift);
}

#endif

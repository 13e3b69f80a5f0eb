/* What the generator knows of one output channel of a convolution, and how a sum becomes a byte by it. */
#ifndef NN_CHANNEL_H
#define NN_CHANNEL_H

#include "nn_math.h"

/*
 * Two forms, one for all channels of an op. `bias` is where a channel's sum begins.
 *
 * general: output = clamp(zero_point + nn_requantize(sum, {multiplier, shift})); `round` is not used
 *
 * quick: `shift` counts to the right and is at least 1, `round` is (zero_point << shift) + 2^(shift - 1), the clamp is
 * int8's own, and |sum| stays below 2^30 whatever the input. Then the second rounding, halves away from zero, is one
 * subtraction where the sum is negative, and rounding and zero point are one addition, exactly.
 *
 * The layout is known to the assembly.
 */
typedef struct {
    int32_t bias, multiplier, round, shift;
} nn_channel;

/* One value in the quick form. */
static inline int8_t nn_finish_quick(int32_t sum, const nn_channel *channel)
{
    const int32_t high = nn_doubling_high_multiply(sum, channel->multiplier) + channel->round;
    return nn_clamp((high + (sum >> 31)) >> channel->shift, INT8_MIN, INT8_MAX);
}

#endif

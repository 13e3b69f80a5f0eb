#ifndef NN_FINISH_H
#define NN_FINISH_H

#include "nn_math.h"

/* Sums that a kernel holds before it turns them into bytes. */
enum { NN_BLOCK = 16 };

typedef struct {
    int32_t zero_point;
    int32_t low, high;
} nn_range;

/*
 * output[i] = clamp(zero_point + scale[i] * (bias[i] + sums[i])) for i < n: how every convolution and dense layer ends.
 *
 * `scale_step` is 1 where each output has its own scale, 0 where all share one. Sum and bias wrap modulo 2^32.
 */
void nn_finish(const int32_t *sums, int32_t n, const int32_t *bias, const nn_scale *scales, int32_t scale_step,
               const nn_range *range, int8_t *output);

#endif

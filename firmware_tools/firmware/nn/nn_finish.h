#ifndef NN_FINISH_H
#define NN_FINISH_H

#include "nn_math.h"

/* How a kernel's sums become bytes; fields of its shape. */
typedef struct {
    int32_t zero_point;
    int32_t low, high;
    int32_t scale_step; /* 1: one scale for each output, 0: one for all */
    int32_t quick;      /* 1: nn_scale_down is right for every output, and low and high are int8's own */
} nn_range;

/*
 * output[i] = clamp(zero_point + scale[i] * sums[i]) for i < n: how every convolution and dense layer ends.
 */
void nn_finish(const int32_t *sums, int32_t n, const nn_scale *scales, const nn_range *range, int8_t *output);

#endif

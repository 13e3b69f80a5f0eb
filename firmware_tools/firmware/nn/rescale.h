#ifndef NN_RESCALE_H
#define NN_RESCALE_H

#include "nn_math.h"

/* The numbers that the generator gives for types: codegen/ops/rescale.py. */
enum { NN_RESCALE_INT8, NN_RESCALE_INT16, NN_RESCALE_INT32 };

typedef struct {
    int32_t elements;
    int32_t from, to;
    int32_t input_zero_point, output_zero_point;
    int32_t multiplier, shift;             /* for x >= 0 */
    int32_t below_multiplier, below_shift; /* for x < 0: another slope in LEAKY_RELU */
    int32_t low, high;
} nn_rescale_shape;

/*
 * output = clamp(output_zero_point + scale * x) for x = input - input_zero_point, integers of any size to any size:
 * QUANTIZE, and RELU, RELU6 and LEAKY_RELU with 16-bit activations. In place too where the sizes are equal.
 */
void nn_rescale(const nn_rescale_shape *shape, const void *input, void *output);

#endif

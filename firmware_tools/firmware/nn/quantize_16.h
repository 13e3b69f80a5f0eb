#ifndef NN_QUANTIZE_16_H
#define NN_QUANTIZE_16_H

#include "nn_math.h"
#include "quantize.h"

/* As nn_quantize and nn_dequantize with 16-bit values. */
void nn_quantize_16(const nn_quantize_shape *shape, const float *input, const float *scale, int16_t *output);
void nn_dequantize_16(const nn_quantize_shape *shape, const int16_t *input, const float *scale, float *output);

typedef struct {
    int32_t elements;
    int32_t multiplier, shift;
} nn_rescale_16_shape;

/* output = clamp(scale * input): QUANTIZE from 16 bits to 16 bits of another scale. In place too. */
void nn_rescale_16(const nn_rescale_16_shape *shape, const int16_t *input, int16_t *output);

#endif

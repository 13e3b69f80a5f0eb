#ifndef NN_QUANTIZE_16_H
#define NN_QUANTIZE_16_H

#include "quantize.h"

/* As nn_quantize and nn_dequantize with 16-bit values. */
void nn_quantize_16(const nn_quantize_shape *shape, const float *input, const float *scale, int16_t *output);
void nn_dequantize_16(const nn_quantize_shape *shape, const int16_t *input, const float *scale, float *output);

#endif

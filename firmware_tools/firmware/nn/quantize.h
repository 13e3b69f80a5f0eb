#ifndef NN_QUANTIZE_H
#define NN_QUANTIZE_H

#include <stdint.h>

typedef struct {
    int32_t elements;
    int32_t zero_point;
} nn_quantize_shape;

/* output = clamp(zero_point + round(input / scale)), halves away from zero */
void nn_quantize(const nn_quantize_shape *shape, const float *input, const float *scale, int8_t *output);

/* output = scale * (input - zero_point) */
void nn_dequantize(const nn_quantize_shape *shape, const int8_t *input, const float *scale, float *output);

#endif

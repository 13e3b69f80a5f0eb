/* DEQUANTIZE, int8 to float32: the door of a model whose outputs are real numbers. */
#include "quantize.h"

void nn_dequantize(const nn_quantize_shape *s, const int8_t *input, const float *scale, float *output)
{
    for (int32_t i = 0; i < s->elements; i++) {
        output[i] = *scale * (float)(input[i] - s->zero_point);
    }
}

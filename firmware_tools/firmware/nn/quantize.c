/* QUANTIZE, float32 to int8: the door of a model whose inputs are real numbers. */
#include "quantize.h"

#include "nn_math.h"

/* round(x), halves away from zero, for |x| < 2^31; the rest x - truncated is exact. */
static int32_t round_to_int(float x)
{
    const int32_t truncated = (int32_t)x;
    const float rest = x - (float)truncated;
    if (rest >= 0.5f) {
        return truncated + 1;
    }
    return rest <= -0.5f ? truncated - 1 : truncated;
}

void nn_quantize(const nn_quantize_shape *s, const float *input, const float *scale, int8_t *output)
{
    for (int32_t i = 0; i < s->elements; i++) {
        float x = input[i] / *scale;
        x = x < -512.0f ? -512.0f : x; /* beyond int8 for every zero point */
        x = x > 512.0f ? 512.0f : x;
        output[i] = nn_clamp(round_to_int(x) + s->zero_point, INT8_MIN, INT8_MAX);
    }
}

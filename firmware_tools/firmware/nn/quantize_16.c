/* QUANTIZE and DEQUANTIZE between float32 and 16 bits. */
#include "quantize_16.h"

#include "nn_math.h"

static int16_t held(int32_t x) { return (int16_t)nn_min(nn_max(x, INT16_MIN), INT16_MAX); }

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

void nn_quantize_16(const nn_quantize_shape *s, const float *input, const float *scale, int16_t *output)
{
    for (int32_t i = 0; i < s->elements; i++) {
        float x = input[i] / *scale;
        x = x < -131072.0f ? -131072.0f : x; /* beyond 16 bits for every zero point */
        x = x > 131072.0f ? 131072.0f : x;
        output[i] = held(round_to_int(x) + s->zero_point);
    }
}

void nn_dequantize_16(const nn_quantize_shape *s, const int16_t *input, const float *scale, float *output)
{
    for (int32_t i = 0; i < s->elements; i++) {
        output[i] = *scale * (float)(input[i] - s->zero_point);
    }
}

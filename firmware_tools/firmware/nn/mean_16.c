/* MEAN and SUM over any axes, with 16-bit activations. */
#include "mean_16.h"

static int32_t sum_of(const nn_mean_shape *s, const int16_t *input)
{
    uint32_t sum = 0; /* wraps as the reference's */
    for (int32_t i = 0; i < s->reduced_0; i++) {
        for (int32_t j = 0; j < s->reduced_1; j++) {
            for (int32_t k = 0; k < s->reduced_2; k++) {
                const int32_t value = input[i * s->reduced_step_0 + j * s->reduced_step_1 + k * s->reduced_step_2];
                sum += (uint32_t)value;
            }
        }
    }
    return (int32_t)sum;
}

void nn_mean_16(const nn_mean_shape *s, const int16_t *input, int16_t *output)
{
    const nn_scale scale = {s->multiplier, s->shift};
    for (int32_t i = 0; i < s->kept_0; i++) {
        for (int32_t j = 0; j < s->kept_1; j++) {
            for (int32_t k = 0; k < s->kept_2; k++) {
                const int16_t *first = input + i * s->kept_step_0 + j * s->kept_step_1 + k * s->kept_step_2;
                const int32_t scaled = nn_requantize(sum_of(s, first), scale);
                *output++ = (int16_t)nn_min(nn_max(scaled, INT16_MIN), INT16_MAX);
            }
        }
    }
}

/* MEAN and SUM over any axes, int8. */
#include "mean.h"

static int32_t sum_of(const nn_mean_shape *s, const int8_t *input)
{
    int32_t sum = 0;
    for (int32_t i = 0; i < s->reduced_0; i++) {
        for (int32_t j = 0; j < s->reduced_1; j++) {
            const int8_t *value = input + i * s->reduced_step_0 + j * s->reduced_step_1;
            for (int32_t k = 0; k < s->reduced_2; k++) {
                sum += *value;
                value += s->reduced_step_2;
            }
        }
    }
    return sum;
}

void nn_mean(const nn_mean_shape *s, const int8_t *input, int8_t *output)
{
    const nn_scale scale = {s->multiplier, s->shift};
    for (int32_t i = 0; i < s->kept_0; i++) {
        for (int32_t j = 0; j < s->kept_1; j++) {
            const int8_t *line = input + i * s->kept_step_0 + j * s->kept_step_1;
            for (int32_t k = 0; k < s->kept_2; k++) {
                const int32_t scaled = nn_requantize(sum_of(s, line + k * s->kept_step_2) - s->offset, scale);
                *output++ = nn_clamp(scaled + s->output_zero_point, INT8_MIN, INT8_MAX);
            }
        }
    }
}

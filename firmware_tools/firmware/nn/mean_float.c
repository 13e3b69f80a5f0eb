/* MEAN and SUM of real numbers over any axes. */
#include "nn_float.h"
#include "pool_2d_float.h"

static float sum_of(const nn_mean_shape *s, const float *input)
{
    float sum = 0.0f;
    for (int32_t i = 0; i < s->reduced_0; i++) {
        for (int32_t j = 0; j < s->reduced_1; j++) {
            for (int32_t k = 0; k < s->reduced_2; k++) {
                sum += input[i * s->reduced_step_0 + j * s->reduced_step_1 + k * s->reduced_step_2];
            }
        }
    }
    return sum;
}

void nn_mean_float(const nn_mean_shape *s, const float *input, const float *divisor, float *output)
{
    for (int32_t i = 0; i < s->kept_0; i++) {
        for (int32_t j = 0; j < s->kept_1; j++) {
            for (int32_t k = 0; k < s->kept_2; k++) {
                const float *first = input + i * s->kept_step_0 + j * s->kept_step_1 + k * s->kept_step_2;
                *output++ = sum_of(s, first) / *divisor;
            }
        }
    }
}

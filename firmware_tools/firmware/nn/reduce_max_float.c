/* REDUCE_MAX and REDUCE_MIN of real numbers over any axes. */
#include "pool_2d_float.h"

static float extreme_of(const nn_mean_shape *s, const float *input, int smallest)
{
    float extreme = *input;
    for (int32_t i = 0; i < s->reduced_0; i++) {
        for (int32_t j = 0; j < s->reduced_1; j++) {
            for (int32_t k = 0; k < s->reduced_2; k++) {
                const float value = input[i * s->reduced_step_0 + j * s->reduced_step_1 + k * s->reduced_step_2];
                extreme = (smallest ? value < extreme : value > extreme) ? value : extreme;
            }
        }
    }
    return extreme;
}

static void reduce(const nn_mean_shape *s, const float *input, int smallest, float *output)
{
    for (int32_t i = 0; i < s->kept_0; i++) {
        for (int32_t j = 0; j < s->kept_1; j++) {
            for (int32_t k = 0; k < s->kept_2; k++) {
                const float *first = input + i * s->kept_step_0 + j * s->kept_step_1 + k * s->kept_step_2;
                *output++ = extreme_of(s, first, smallest);
            }
        }
    }
}

void nn_reduce_max_float(const nn_mean_shape *s, const float *input, float *output) { reduce(s, input, 0, output); }

void nn_reduce_min_float(const nn_mean_shape *s, const float *input, float *output) { reduce(s, input, 1, output); }

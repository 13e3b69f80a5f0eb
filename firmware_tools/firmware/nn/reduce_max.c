/* REDUCE_MAX and REDUCE_MIN over any axes, int8. `turn` is 0, or -1 to look for the smallest: ~x falls as x rises. */
#include "mean.h"

static int32_t largest_of(const nn_mean_shape *s, const int8_t *input, int32_t turn)
{
    int32_t largest = INT8_MIN;
    for (int32_t i = 0; i < s->reduced_0; i++) {
        for (int32_t j = 0; j < s->reduced_1; j++) {
            const int8_t *value = input + i * s->reduced_step_0 + j * s->reduced_step_1;
            for (int32_t k = 0; k < s->reduced_2; k++) {
                largest = nn_max(largest, *value ^ turn);
                value += s->reduced_step_2;
            }
        }
    }
    return largest;
}

static void reduce(const nn_mean_shape *s, const int8_t *input, int32_t turn, int8_t *output)
{
    for (int32_t i = 0; i < s->kept_0; i++) {
        for (int32_t j = 0; j < s->kept_1; j++) {
            const int8_t *line = input + i * s->kept_step_0 + j * s->kept_step_1;
            for (int32_t k = 0; k < s->kept_2; k++) {
                *output++ = (int8_t)(largest_of(s, line + k * s->kept_step_2, turn) ^ turn);
            }
        }
    }
}

void nn_reduce_max(const nn_mean_shape *s, const int8_t *input, int8_t *output) { reduce(s, input, 0, output); }

void nn_reduce_min(const nn_mean_shape *s, const int8_t *input, int8_t *output) { reduce(s, input, -1, output); }

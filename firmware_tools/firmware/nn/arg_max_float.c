/* ARG_MAX and ARG_MIN of real numbers. */
#include "arg_max.h"

static void arg(const nn_arg_max_shape *s, const float *input, int smallest, int32_t *output)
{
    for (int32_t o = 0; o < s->outer; o++) {
        for (int32_t i = 0; i < s->inner; i++) {
            int32_t best = 0;
            for (int32_t d = 1; d < s->depth; d++) {
                const float value = input[d * s->inner + i], so_far = input[best * s->inner + i];
                if (smallest ? value < so_far : value > so_far) {
                    best = d;
                }
            }
            *output++ = best;
        }
        input += s->depth * s->inner;
    }
}

void nn_arg_max_float(const nn_arg_max_shape *s, const float *input, int32_t *output) { arg(s, input, 0, output); }

void nn_arg_min_float(const nn_arg_max_shape *s, const float *input, int32_t *output) { arg(s, input, 1, output); }

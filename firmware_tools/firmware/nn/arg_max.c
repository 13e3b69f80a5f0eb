/* ARG_MAX and ARG_MIN, int8. `turn` is 0, or -1 to look for the smallest: ~x falls as x rises. */
#include "arg_max.h"

static int32_t first_largest(const nn_arg_max_shape *s, const int8_t *input, int32_t turn)
{
    int32_t best = 0, largest = *input ^ turn;
    for (int32_t d = 1; d < s->depth; d++) {
        input += s->inner;
        const int32_t value = *input ^ turn;
        if (value > largest) {
            largest = value;
            best = d;
        }
    }
    return best;
}

static void arg(const nn_arg_max_shape *s, const int8_t *input, int32_t turn, int32_t *output)
{
    for (int32_t o = 0; o < s->outer; o++) {
        for (int32_t i = 0; i < s->inner; i++) {
            *output++ = first_largest(s, input + i, turn);
        }
        input += s->depth * s->inner;
    }
}

void nn_arg_max(const nn_arg_max_shape *s, const int8_t *input, int32_t *output) { arg(s, input, 0, output); }

void nn_arg_min(const nn_arg_max_shape *s, const int8_t *input, int32_t *output) { arg(s, input, -1, output); }

/* MAXIMUM and MINIMUM, int8, with broadcasting. The output may lie over an input that is not broadcast. */
#include "nn_broadcast.h"

static void larger(const nn_elementwise_shape *s, const int8_t *a, const int8_t *b, int8_t *output)
{
    for (int32_t i = 0; i < s->size_3; i++) {
        output[i] = *a > *b ? *a : *b;
        a += s->a_step_3;
        b += s->b_step_3;
    }
}

static void smaller(const nn_elementwise_shape *s, const int8_t *a, const int8_t *b, int8_t *output)
{
    for (int32_t i = 0; i < s->size_3; i++) {
        output[i] = *a < *b ? *a : *b;
        a += s->a_step_3;
        b += s->b_step_3;
    }
}

void nn_maximum(const nn_elementwise_shape *s, const int8_t *a, const int8_t *b, int8_t *output)
{
    nn_for_each_line(s, a, b, larger, output);
}

void nn_minimum(const nn_elementwise_shape *s, const int8_t *a, const int8_t *b, int8_t *output)
{
    nn_for_each_line(s, a, b, smaller, output);
}

/* Functions of one real number, element by element. */
#include "curves_float.h"
#include "nn_float.h"

void nn_hold_float(const nn_curve_float_shape *s, const float *input, const float *range, float *output)
{
    for (int32_t i = 0; i < s->elements; i++) {
        output[i] = nn_hold(input[i], range[0], range[1]);
    }
}

void nn_leaky_relu_float(const nn_curve_float_shape *s, const float *input, const float *alpha, float *output)
{
    for (int32_t i = 0; i < s->elements; i++) {
        output[i] = input[i] > 0.0f ? input[i] : input[i] * *alpha;
    }
}

void nn_hard_swish_float(const nn_curve_float_shape *s, const float *input, float *output)
{
    for (int32_t i = 0; i < s->elements; i++) {
        output[i] = input[i] * nn_hold(input[i] + 3.0f, 0.0f, 6.0f) / 6.0f;
    }
}

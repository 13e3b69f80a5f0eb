/* LOGISTIC, TANH, ELU and SOFTMAX of real numbers. */
#include "curves_float.h"
#include "nn_float.h"

/* Far out, where the sum would round to one of its terms, TensorFlow Lite Micro takes that term: so do we. */
static float logistic(float x)
{
    if (x > 16.619047f) {
        return 1.0f;
    }
    return x < -9.0f ? nn_exp(x) : 1.0f / (1.0f + nn_exp(-x));
}

void nn_logistic_float(const nn_curve_float_shape *s, const float *input, float *output)
{
    for (int32_t i = 0; i < s->elements; i++) {
        output[i] = logistic(input[i]);
    }
}

void nn_tanh_float(const nn_curve_float_shape *s, const float *input, float *output)
{
    for (int32_t i = 0; i < s->elements; i++) {
        output[i] = nn_tanh(input[i]);
    }
}

void nn_elu_float(const nn_curve_float_shape *s, const float *input, float *output)
{
    for (int32_t i = 0; i < s->elements; i++) {
        output[i] = input[i] < 0.0f ? nn_exp_minus_1(input[i]) : input[i];
    }
}

void nn_softmax_float(const nn_softmax_float_shape *s, const float *input, const float *beta, float *output)
{
    for (int32_t row = 0; row < s->rows; row++) {
        float largest = *input, sum = 0.0f;
        for (int32_t i = 1; i < s->depth; i++) {
            largest = input[i] > largest ? input[i] : largest;
        }
        for (int32_t i = 0; i < s->depth; i++) {
            output[i] = nn_exp((input[i] - largest) * *beta);
            sum += output[i];
        }
        for (int32_t i = 0; i < s->depth; i++) {
            output[i] /= sum;
        }
        input += s->depth;
        output += s->depth;
    }
}

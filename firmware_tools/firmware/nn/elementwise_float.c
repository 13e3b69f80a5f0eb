/* ADD, SUB, MUL, MAXIMUM, MINIMUM and PRELU of real numbers, with broadcasting. */
#include "elementwise_float.h"
#include "nn_float.h"

typedef float (*nn_join)(float a, float b);

static float sum(float a, float b) { return a + b; }

static float difference(float a, float b) { return a - b; }

static float product(float a, float b) { return a * b; }

static float larger(float a, float b) { return a > b ? a : b; }

static float smaller(float a, float b) { return a < b ? a : b; }

static float sloped(float a, float b) { return a >= 0.0f ? a : a * b; }

static void each(const nn_elementwise_float_shape *s, const float *a, const float *b, const float *range,
                 nn_join join, float *output)
{
    for (int32_t i = 0; i < s->size_0; i++) {
        for (int32_t j = 0; j < s->size_1; j++) {
            for (int32_t k = 0; k < s->size_2; k++) {
                const float *left = a + i * s->a_step_0 + j * s->a_step_1 + k * s->a_step_2;
                const float *right = b + i * s->b_step_0 + j * s->b_step_1 + k * s->b_step_2;
                for (int32_t l = 0; l < s->size_3; l++) {
                    *output++ = nn_hold(join(left[l * s->a_step_3], right[l * s->b_step_3]), range[0], range[1]);
                }
            }
        }
    }
}

void nn_add_float(const nn_elementwise_float_shape *s, const float *a, const float *b, const float *range,
                  float *output)
{
    each(s, a, b, range, sum, output);
}

void nn_sub_float(const nn_elementwise_float_shape *s, const float *a, const float *b, const float *range,
                  float *output)
{
    each(s, a, b, range, difference, output);
}

void nn_mul_float(const nn_elementwise_float_shape *s, const float *a, const float *b, const float *range,
                  float *output)
{
    each(s, a, b, range, product, output);
}

void nn_maximum_float(const nn_elementwise_float_shape *s, const float *a, const float *b, const float *range,
                      float *output)
{
    each(s, a, b, range, larger, output);
}

void nn_minimum_float(const nn_elementwise_float_shape *s, const float *a, const float *b, const float *range,
                      float *output)
{
    each(s, a, b, range, smaller, output);
}

void nn_prelu_float(const nn_elementwise_float_shape *s, const float *a, const float *b, const float *range,
                    float *output)
{
    each(s, a, b, range, sloped, output);
}

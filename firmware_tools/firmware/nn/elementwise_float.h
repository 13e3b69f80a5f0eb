#ifndef NN_ELEMENTWISE_FLOAT_H
#define NN_ELEMENTWISE_FLOAT_H

#include <stdint.h>

/* Two inputs broadcast over each other, as in nn_elementwise_shape. */
typedef struct {
    int32_t size_0, size_1, size_2, size_3;
    int32_t a_step_0, a_step_1, a_step_2, a_step_3;
    int32_t b_step_0, b_step_1, b_step_2, b_step_3;
} nn_elementwise_float_shape;

/* output = a + b (a - b, a * b, the larger, the smaller), held within range[0] and range[1]. In place too. */
void nn_add_float(const nn_elementwise_float_shape *shape, const float *a, const float *b, const float *range,
                  float *output);
void nn_sub_float(const nn_elementwise_float_shape *shape, const float *a, const float *b, const float *range,
                  float *output);
void nn_mul_float(const nn_elementwise_float_shape *shape, const float *a, const float *b, const float *range,
                  float *output);
void nn_maximum_float(const nn_elementwise_float_shape *shape, const float *a, const float *b, const float *range,
                      float *output);
void nn_minimum_float(const nn_elementwise_float_shape *shape, const float *a, const float *b, const float *range,
                      float *output);

/* output = a for a >= 0, else a * b */
void nn_prelu_float(const nn_elementwise_float_shape *shape, const float *a, const float *b, const float *range,
                    float *output);

#endif

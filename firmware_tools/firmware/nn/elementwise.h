#ifndef NN_ELEMENTWISE_H
#define NN_ELEMENTWISE_H

#include "nn_math.h"

/*
 * Two inputs that are broadcast over each other, as four nested loops: element (i, j, k, l) of input a lies at
 * i * a_step_0 + j * a_step_1 + k * a_step_2 + l * a_step_3; a step of 0 repeats. The output is dense.
 */
typedef struct {
    int32_t size_0, size_1, size_2, size_3;
    int32_t a_step_0, a_step_1, a_step_2, a_step_3;
    int32_t b_step_0, b_step_1, b_step_2, b_step_3;
    int32_t a_zero_point, b_zero_point, output_zero_point;
    int32_t a_multiplier, a_shift; /* ADD and SUB: to the common scale; unused by MUL */
    int32_t b_multiplier, b_shift;
    int32_t output_multiplier, output_shift;
    int32_t activation_min, activation_max;
} nn_elementwise_shape;

/*
 * output = clamp(output_zero_point + output_scale * (a_scale * (a - a_zero_point) * 2^20 +- b_scale * (b -
 * b_zero_point) * 2^20)), every product rescaled with two roundings. SUB is ADD with the second term's sign turned.
 */
void nn_add(const nn_elementwise_shape *shape, const int8_t *a, const int8_t *b, int8_t *output);
void nn_sub(const nn_elementwise_shape *shape, const int8_t *a, const int8_t *b, int8_t *output);

/* output = clamp(output_zero_point + output_scale * (a - a_zero_point) * (b - b_zero_point)) */
void nn_mul(const nn_elementwise_shape *shape, const int8_t *a, const int8_t *b, int8_t *output);

/* The larger or the smaller of two integers, whatever their scales, as TensorFlow Lite Micro takes it. */
void nn_maximum(const nn_elementwise_shape *shape, const int8_t *a, const int8_t *b, int8_t *output);
void nn_minimum(const nn_elementwise_shape *shape, const int8_t *a, const int8_t *b, int8_t *output);

/*
 * output = clamp(output_zero_point + a_scale * x) for x = input - a_zero_point >= 0, else
 * clamp(output_zero_point + b_scale * x * (slope - b_zero_point)); the output's multiplier and range are not used
 */
void nn_prelu(const nn_elementwise_shape *shape, const int8_t *input, const int8_t *slopes, int8_t *output);

#endif

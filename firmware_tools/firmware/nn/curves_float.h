/* Functions of one real number. */
#ifndef NN_CURVES_FLOAT_H
#define NN_CURVES_FLOAT_H

#include <stdint.h>

typedef struct {
    int32_t elements;
} nn_curve_float_shape;

/* RELU and its kin: x held within range[0] and range[1]. All of them in place too. */
void nn_hold_float(const nn_curve_float_shape *shape, const float *input, const float *range, float *output);

/* x for x > 0, else alpha * x */
void nn_leaky_relu_float(const nn_curve_float_shape *shape, const float *input, const float *alpha, float *output);

/* 1 / (1 + exp(-x)) */
void nn_logistic_float(const nn_curve_float_shape *shape, const float *input, float *output);
void nn_tanh_float(const nn_curve_float_shape *shape, const float *input, float *output);

/* x for x >= 0, else exp(x) - 1 */
void nn_elu_float(const nn_curve_float_shape *shape, const float *input, float *output);

/* x * min(max(x + 3, 0), 6) / 6 */
void nn_hard_swish_float(const nn_curve_float_shape *shape, const float *input, float *output);

typedef struct {
    int32_t rows, depth;
} nn_softmax_float_shape;

/* output[i] = exp(beta * (x[i] - max)) / sum over j of exp(beta * (x[j] - max)) */
void nn_softmax_float(const nn_softmax_float_shape *shape, const float *input, const float *beta, float *output);

#endif

/* Functions of one 16-bit value, between the points of a table. */
#ifndef NN_CURVES_16_H
#define NN_CURVES_16_H

#include "nn_math.h"

typedef struct {
    int32_t elements;
    int32_t multiplier, shift; /* from the input's scale to 1 / (3 * 4096), shift to the right */
} nn_sigmoid_16_shape;

/* 1 / (1 + exp(-x)) and tanh(x), at scale 1/32768; table[i] = 1 / (1 + exp(-i / 24)) in 16 bits, 256 of them */
void nn_logistic_16(const nn_sigmoid_16_shape *shape, const int16_t *input, const uint16_t *table, int16_t *output);
void nn_tanh_16(const nn_sigmoid_16_shape *shape, const int16_t *input, const uint16_t *table, int16_t *output);

typedef struct {
    int32_t rows, depth;
    int32_t multiplier, shift; /* from a difference of inputs to 10 / 65535 */
} nn_softmax_16_shape;

/*
 * exp(x[i]) / sum over j of exp(x[j]), at scale 1/32768
 *
 * `exponentials` are exp(x) from -10 to 0, `reciprocals` 1 / (1 + x) from 0 to 1: 513 points each, by the generator.
 */
void nn_softmax_16(const nn_softmax_16_shape *shape, const int16_t *input, const int16_t *exponentials,
                   const int16_t *reciprocals, int16_t *output);

#endif

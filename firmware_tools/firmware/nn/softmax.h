#ifndef NN_SOFTMAX_H
#define NN_SOFTMAX_H

#include "nn_math.h"

typedef struct {
    int32_t rows, depth;
    int32_t table; /* entries of `exponentials`: differences of `table` and more count as exp = 0 */
} nn_softmax_shape;

/*
 * output[i] = exp(beta * scale * (input[i] - max)) / sum over j of exp(..[j]), at scale 1/256 and zero point -128
 *
 * exponentials[d] = exp(-beta * scale * d) in Q0.31, from the generator: a row's values differ by at most 255.
 */
void nn_softmax(const nn_softmax_shape *shape, const int8_t *input, const int32_t *exponentials, int8_t *output);

#endif

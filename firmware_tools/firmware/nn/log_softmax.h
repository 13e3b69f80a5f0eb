#ifndef NN_LOG_SOFTMAX_H
#define NN_LOG_SOFTMAX_H

#include "nn_math.h"

typedef struct {
    int32_t rows, depth;
    int32_t table; /* entries of `exponentials`: differences of `table` and more count as exp = 0 */
    int32_t multiplier, shift; /* from a difference of inputs to Q5.26 */
    int32_t back_multiplier, back_shift; /* and back */
    int32_t smallest; /* differences down to this one give the smallest output */
} nn_log_softmax_shape;

/*
 * output[i] = x[i] - max - log(sum over j of exp(x[j] - max)) for x = scale * input, at scale 1/16 and zero point 127
 *
 * exponentials[d] = exp(-scale * d) in Q0.31, from the generator, as for SOFTMAX.
 */
void nn_log_softmax(const nn_log_softmax_shape *shape, const int8_t *input, const int32_t *exponentials,
                    int8_t *output);

#endif

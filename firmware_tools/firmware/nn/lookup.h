#ifndef NN_LOOKUP_H
#define NN_LOOKUP_H

#include <stdint.h>

typedef struct {
    int32_t elements;
} nn_lookup_shape;

/* output[i] = table[input[i]]: every op of one 8-bit value (RELU, LOGISTIC, ...) has only 256 answers. In place too. */
void nn_lookup(const nn_lookup_shape *shape, const uint8_t *input, const uint8_t *table, uint8_t *output);

#endif

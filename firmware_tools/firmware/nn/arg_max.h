#ifndef NN_ARG_MAX_H
#define NN_ARG_MAX_H

#include <stdint.h>

typedef struct {
    int32_t outer; /* product of the sizes before the axis */
    int32_t depth; /* the axis */
    int32_t inner; /* product of the sizes behind it */
} nn_arg_max_shape;

/* output[o, i] = the first d at which input[o, d, i] is largest (smallest) */
void nn_arg_max(const nn_arg_max_shape *shape, const int8_t *input, int32_t *output);
void nn_arg_min(const nn_arg_max_shape *shape, const int8_t *input, int32_t *output);
void nn_arg_max_float(const nn_arg_max_shape *shape, const float *input, int32_t *output);
void nn_arg_min_float(const nn_arg_max_shape *shape, const float *input, int32_t *output);

#endif

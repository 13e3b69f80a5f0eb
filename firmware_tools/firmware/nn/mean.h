#ifndef NN_MEAN_H
#define NN_MEAN_H

#include "nn_math.h"

/* Kept axes as up to three nested loops over the output, reduced axes as up to three over what is summed. */
typedef struct {
    int32_t kept_0, kept_1, kept_2;
    int32_t kept_step_0, kept_step_1, kept_step_2; /* in the input */
    int32_t reduced_0, reduced_1, reduced_2;
    int32_t reduced_step_0, reduced_step_1, reduced_step_2;
    int32_t offset; /* input_zero_point * number of summed values, subtracted from each sum */
    int32_t multiplier, shift; /* of MEAN: the scales' ratio divided by the number of values */
    int32_t output_zero_point;
} nn_mean_shape;

/* output = clamp(output_zero_point + scale * (sum - offset)): MEAN and SUM, which differ in the scale alone */
void nn_mean(const nn_mean_shape *shape, const int8_t *input, int8_t *output);

/* output = the largest or smallest value: REDUCE_MAX and REDUCE_MIN, which rescale nothing */
void nn_reduce_max(const nn_mean_shape *shape, const int8_t *input, int8_t *output);
void nn_reduce_min(const nn_mean_shape *shape, const int8_t *input, int8_t *output);

#endif

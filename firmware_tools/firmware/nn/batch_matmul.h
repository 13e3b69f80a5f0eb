#ifndef NN_BATCH_MATMUL_H
#define NN_BATCH_MATMUL_H

#include "nn_math.h"

/* Batches as three nested loops whose steps are 0 where a matrix is used again; steps within a matrix in bytes. */
typedef struct {
    int32_t batch_0, batch_1, batch_2;
    int32_t a_step_0, a_step_1, a_step_2;
    int32_t b_step_0, b_step_1, b_step_2;
    int32_t rows, columns, depth;
    int32_t a_row_step, a_depth_step;
    int32_t b_depth_step, b_column_step;
    int32_t a_zero_point, b_zero_point, output_zero_point;
    int32_t multiplier, shift;
} nn_batch_matmul_shape;

/* output[r, c] = clamp(output_zero_point + scale * sum over d of (a[r, d] - a_zero_point) * (b[d, c] - b_zero_point)) */
void nn_batch_matmul(const nn_batch_matmul_shape *shape, const int8_t *a, const int8_t *b, int8_t *output);

#endif

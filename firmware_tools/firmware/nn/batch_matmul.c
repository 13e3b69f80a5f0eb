/* BATCH_MATMUL, int8: products of two activations. */
#include "batch_matmul.h"

static int32_t sum_of(const nn_batch_matmul_shape *s, const int8_t *a, const int8_t *b)
{
    int32_t sum = 0;
    for (int32_t d = 0; d < s->depth; d++) {
        sum += (*a - s->a_zero_point) * (*b - s->b_zero_point);
        a += s->a_depth_step;
        b += s->b_depth_step;
    }
    return sum;
}

static void one_matrix(const nn_batch_matmul_shape *s, const int8_t *a, const int8_t *b, int8_t *output)
{
    const nn_scale scale = {s->multiplier, s->shift};
    for (int32_t r = 0; r < s->rows; r++) {
        for (int32_t c = 0; c < s->columns; c++) {
            const int32_t scaled = nn_requantize(sum_of(s, a + r * s->a_row_step, b + c * s->b_column_step), scale);
            *output++ = nn_clamp(scaled + s->output_zero_point, INT8_MIN, INT8_MAX);
        }
    }
}

void nn_batch_matmul(const nn_batch_matmul_shape *s, const int8_t *a, const int8_t *b, int8_t *output)
{
    for (int32_t i = 0; i < s->batch_0; i++) {
        for (int32_t j = 0; j < s->batch_1; j++) {
            for (int32_t k = 0; k < s->batch_2; k++) {
                one_matrix(s, a + i * s->a_step_0 + j * s->a_step_1 + k * s->a_step_2,
                           b + i * s->b_step_0 + j * s->b_step_1 + k * s->b_step_2, output);
                output += s->rows * s->columns;
            }
        }
    }
}

/* FULLY_CONNECTED, int8: one dot product a unit, four units at a time. */
#include "fully_connected.h"
#include "nn_dot.h"
#include "nn_finish.h"
#include "nn_memory.h"

/* What the weights' zero point adds to every unit's sum. */
static int32_t offset_of(const nn_fully_connected_shape *s, const int8_t *input)
{
    int32_t sum = 0;
    if (s->weights_zero_point != 0) {
        for (int32_t i = 0; i < s->depth; i++) {
            sum += input[i];
        }
    }
    return (int32_t)(0U - (uint32_t)s->weights_zero_point * (uint32_t)sum);
}

void nn_fully_connected(const nn_fully_connected_shape *s, const int8_t *input, const int8_t *weights,
                        const int32_t *bias, const nn_scale *scales, int8_t *column, int8_t *output)
{
    const nn_range range = {s->output_zero_point, s->activation_min, s->activation_max};
    const int32_t step = s->scale_step;
    for (int32_t batch = 0; batch < s->batches; batch++) {
        const int8_t *pixel = input;
        const int8_t *quad = weights;
        const int32_t offset = offset_of(s, input);
        if (s->row != s->depth) {
            memset(column + s->row - 4, 0, 4); /* the bytes behind the last input meet zero weights */
            memcpy(column, input, (size_t)s->depth);
            pixel = column;
        }
        for (int32_t u = 0; u < s->outputs; u += NN_BLOCK) {
            int32_t sums[NN_BLOCK];
            const int32_t n = nn_min(NN_BLOCK, s->outputs - u);
            for (int32_t i = 0; i < n; i += 4) {
                nn_dot_1x4(pixel, quad, s->row, sums + i);
                quad += 4 * s->row;
            }
            for (int32_t i = 0; offset != 0 && i < n; i++) {
                sums[i] = nn_wrapping_add(sums[i], offset);
            }
            nn_finish(sums, n, bias + u, scales + u * step, step, &range, output + u);
        }
        input += s->depth;
        output += s->outputs;
    }
}

/* FULLY_CONNECTED, int8: one dot product a unit, four units at a time. */
#include "fully_connected.h"
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

/* Nothing behind the input is read: its last quad may be cut short. */
static void widen(const nn_fully_connected_shape *s, const int8_t *input, int16_t *column)
{
    const int32_t whole = s->depth / 4, rest = s->depth - 4 * whole;
    nn_widen(input, whole, column, 4);
    if (rest != 0) {
        int8_t last[4] = {0, 0, 0, 0};
        memcpy(last, input + 4 * whole, (size_t)rest);
        nn_widen(last, 1, column + 4 * whole, 4);
    }
}

void nn_fully_connected_by(nn_dot dot, int32_t unit, const nn_fully_connected_shape *s, const int8_t *input,
                           const int32_t *weights, const int32_t *bias, const nn_scale *scales, int8_t *column,
                           int8_t *output)
{
    const nn_range range = {s->output_zero_point, s->activation_min, s->activation_max, s->scale_step,
                            s->quick};
    const int32_t outputs = s->outputs;
    int16_t *widened = (int16_t *)(void *)column;
    for (int32_t batch = 0; batch < s->batches; batch++) {
        const int32_t offset = offset_of(s, input);
        widen(s, input, widened);
        for (int32_t u = 0; u < outputs; u += NN_BLOCK) {
            int32_t sums[NN_BLOCK];
            const int32_t n = nn_min(NN_BLOCK, outputs - u);
            dot(widened, weights + u * unit, s->quads, bias + u, n, sums);
            for (int32_t i = 0; offset != 0 && i < n; i++) {
                sums[i] = nn_wrapping_add(sums[i], offset);
            }
            nn_finish(sums, n, scales + u * s->scale_step, &range, output + u);
        }
        input += s->depth;
        output += outputs;
    }
}

/* FULLY_CONNECTED, int8: one dot product a unit, four units at a time. */
#include "fully_connected.h"

#include "nn_dot.h"

static int8_t finish(const nn_fully_connected_shape *s, int32_t sum, int32_t bias, nn_scale scale)
{
    const int32_t scaled = nn_requantize(nn_wrapping_add(sum, bias), scale);
    return nn_clamp(scaled + s->output_zero_point, s->activation_min, s->activation_max);
}

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
                        const int32_t *bias, const nn_scale *scales, int8_t *output)
{
    const int32_t step = s->scale_step;
    for (int32_t batch = 0; batch < s->batches; batch++) {
        const int32_t offset = offset_of(s, input);
        int32_t u = 0;
        int32_t sums[4];
        for (; u + 4 <= s->outputs; u += 4) {
            nn_dot_1x4(input, weights + u * s->row, s->row, s->depth, sums);
            for (int32_t i = 0; i < 4; i++) {
                const int32_t sum = nn_wrapping_add(sums[i], offset);
                output[u + i] = finish(s, sum, bias[u + i], scales[(u + i) * step]);
            }
        }
        for (; u < s->outputs; u++) {
            const int32_t sum = nn_wrapping_add(nn_dot(input, weights + u * s->row, s->depth), offset);
            output[u] = finish(s, sum, bias[u], scales[u * step]);
        }
        input += s->depth;
        output += s->outputs;
    }
}

/* FULLY_CONNECTED, int8, with int8 weights in flash. */
#include "fully_connected.h"

void nn_fully_connected(const nn_fully_connected_shape *s, const int8_t *input, const int32_t *weights,
                        const int32_t *bias, const nn_scale *scales, int8_t *column, int8_t *output)
{
    nn_fully_connected_by(nn_dot_1x4, s->quads, s, input, weights, bias, scales, column, output);
}

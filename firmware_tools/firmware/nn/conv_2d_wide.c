/* CONV_2D, int8, with weights widened to int16 in flash. */
#include "conv_2d.h"

void nn_conv_2d_wide(const nn_conv_2d_shape *s, const int8_t *input, const int32_t *weights, const int32_t *bias,
                     const nn_scale *scales, int8_t *columns, int8_t *output)
{
    nn_conv_2d_by(nn_dot_2x2_wide, 2 * s->quads, s, input, weights, bias, scales, columns, output);
}

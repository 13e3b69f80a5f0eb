/* CONV_2D, int8, with channels in the quick form and weights widened in flash. */
#include "conv_2d.h"

static void finish(const nn_conv_2d_shape *s, const nn_four_pixels *four)
{
    (void)s;
    nn_four_pixels_wide(four);
}

void nn_conv_2d_wide(const nn_conv_2d_shape *s, const int8_t *input, const int16_t *weights,
                     const nn_channel *channels, int16_t *columns, int8_t *output)
{
    nn_conv_2d_by(finish, 2, s, input, weights, channels, columns, output);
}

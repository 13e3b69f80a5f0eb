/* CONV_2D, int8, whatever the channels' scales, and however many there are. */
#include "conv_2d.h"

/* sums[2 * pixel + channel] of one pair of channels; where its weights end. */
static const int8_t *dot_4x2(const nn_four_pixels *four, const int8_t *weights, uint32_t sums[8])
{
    for (const int16_t *column = four->columns; column != four->end; column += 8, weights += 4) {
        for (int i = 0; i < 4; i++) {
            const int32_t x0 = column[2 * i], x1 = column[2 * i + 1];
            sums[2 * i] += (uint32_t)(x0 * weights[0] + x1 * weights[2]);
            sums[2 * i + 1] += (uint32_t)(x0 * weights[1] + x1 * weights[3]);
        }
    }
    return weights;
}

static void finish(const nn_conv_2d_shape *s, const nn_four_pixels *four)
{
    const int32_t pixels[4] = {0, four->pixel_1, four->pixel_2, four->pixel_3};
    const int32_t zero_point = s->output_zero_point, low = s->activation_min, high = s->activation_max;
    const int8_t *weights = four->weights;
    const nn_channel *channel = four->channels;
    for (int8_t *output = four->output; output < four->output_end; output += 2, channel += 2) {
        uint32_t sums[8];
        for (int i = 0; i < 8; i++) {
            sums[i] = (uint32_t)channel[i & 1].bias; /* bias and sums wrap modulo 2^32 */
        }
        weights = dot_4x2(four, weights, sums);
        const int alone = four->output_end - output == 1; /* the last of an odd number of channels */
        for (int i = 7; i >= 0; i--) { /* the first pixel last: it is written over one that is not there */
            const nn_channel *c = &channel[i & 1];
            if (!alone || (i & 1) == 0) {
                const int32_t scaled = nn_requantize((int32_t)sums[i], (nn_scale){c->multiplier, c->shift});
                output[pixels[i >> 1] + (i & 1)] = nn_clamp(scaled + zero_point, low, high);
            }
        }
    }
}

void nn_conv_2d(const nn_conv_2d_shape *s, const int8_t *input, const int8_t *weights, const nn_channel *channels,
                int16_t *columns, int8_t *output)
{
    nn_conv_2d_by(finish, 1, s, input, weights, channels, columns, output);
}

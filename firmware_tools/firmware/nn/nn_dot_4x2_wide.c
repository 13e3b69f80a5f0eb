/* All channels of four pixels, int16 weights: for cores with dual multiply-accumulates by hand, and its C twin. */
#include "nn_dot_4x2.h"
#include "nn_dsp.h"

#ifdef NN_DSP
#include "nn_dot_4x2_assembly.h"

#define NN_PAIR                                                                                                        \
    "ldrd r10, r11, [lr], #8\n"                                                                                        \
    NN_PRODUCTS

NN_ASSEMBLY void nn_four_pixels_wide(const nn_four_pixels *four __attribute__((unused)))
{
    __asm__(NN_FOUR_PIXELS(NN_PAIR));
}

#else

void nn_four_pixels_wide(const nn_four_pixels *four)
{
    const int32_t pixels[4] = {0, four->pixel_1, four->pixel_2, four->pixel_3};
    const int16_t *weights = four->weights;
    const nn_channel *channel = four->channels;
    for (int8_t *output = four->output; output != four->output_end; output += 2, channel += 2) {
        int32_t sums[8];
        for (int i = 0; i < 8; i++) {
            sums[i] = channel[i & 1].bias;
        }
        for (const int16_t *column = four->columns; column != four->end; column += 8, weights += 4) {
            for (int i = 0; i < 4; i++) {
                const int32_t x0 = column[2 * i], x1 = column[2 * i + 1];
                sums[2 * i] += x0 * weights[0] + x1 * weights[1];
                sums[2 * i + 1] += x0 * weights[2] + x1 * weights[3];
            }
        }
        for (int i = 3; i >= 0; i--) { /* the first last: it is written over one that is not there */
            output[pixels[i]] = nn_finish_quick(sums[2 * i], &channel[0]);
            output[pixels[i] + 1] = nn_finish_quick(sums[2 * i + 1], &channel[1]);
        }
    }
}

#endif

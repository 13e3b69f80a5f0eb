/* Four pixels times two channels at a time: the inner loops of CONV_2D. */
#ifndef NN_DOT_4X2_H
#define NN_DOT_4X2_H

#include "nn_channel.h"

/*
 * Columns of four pixels lie widened and interleaved (nn_pairs.h). Weights lie two channels in turns: as int8, the bytes
 * of a pair alternate between the channels, channel 0's first; as int16, channel 0's pair, then channel 1's. The layout
 * of the struct is known to the assembly.
 */
typedef struct {
    const int16_t *columns, *end;
    const nn_channel *channels;
    int8_t *output, *output_end; /* of the first pixel */
    int32_t odd;                 /* 1: the number of quadruples of bytes in a column is odd */
    int32_t pixel_1, pixel_2, pixel_3; /* where the other pixels' outputs lie, from the first's; 0 for none */
    const void *weights;
} nn_four_pixels;

/* All channels, an even number, of four pixels, finished in the quick form; with int8 weights, with int16 ones. */
void nn_four_pixels_quick(const nn_four_pixels *four);
void nn_four_pixels_wide(const nn_four_pixels *four);

#endif

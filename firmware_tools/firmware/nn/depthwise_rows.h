/* One channel of a 3x3 DEPTHWISE_CONV_2D: from a widened plane to the channel's outputs. */
#ifndef NN_DEPTHWISE_ROWS_H
#define NN_DEPTHWISE_ROWS_H

#include "nn_channel.h"

/* The layout is known to the assembly. */
typedef struct {
    const int16_t *row_0, *row_1, *row_2; /* of the plane, under the first outputs */
    const int16_t *row_end;               /* where row_0 stands when a row of outputs is done */
    int32_t next_row;                     /* bytes from there to where the next row of outputs begins */
    int32_t row_step;                     /* bytes from one row_end to the next */
    int32_t depth;                        /* bytes from one output of the channel to the next */
    int32_t odd;                          /* 1: an odd number of outputs in a row */
    int8_t *output;
    int32_t rows;                         /* of outputs */
    nn_channel channel;
    const int8_t *weights;
} nn_plane;

/* All outputs of one channel, stride 1 or stride 2; `plane` is used up. */
void nn_plane_stride_1(nn_plane *plane);
void nn_plane_stride_2(nn_plane *plane);

#endif

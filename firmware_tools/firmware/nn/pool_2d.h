#ifndef NN_POOL_2D_H
#define NN_POOL_2D_H

#include "nn_math.h"

typedef struct {
    int32_t batches;
    int32_t input_height, input_width, depth;
    int32_t output_height, output_width;
    int32_t filter_height, filter_width;
    int32_t stride_height, stride_width;
    int32_t pad_top, pad_left;
    int32_t activation_min, activation_max;
} nn_pool_2d_shape;

/* output[y, x, c] = clamp(mean over the window's taps inside of the image, rounded, halves away from zero) */
void nn_average_pool_2d(const nn_pool_2d_shape *shape, const int8_t *input, int8_t *output);

/* output[y, x, c] = clamp(largest value of the window's taps inside of the image) */
void nn_max_pool_2d(const nn_pool_2d_shape *shape, const int8_t *input, int8_t *output);

#endif

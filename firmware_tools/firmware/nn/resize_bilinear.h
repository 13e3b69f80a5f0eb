#ifndef NN_RESIZE_BILINEAR_H
#define NN_RESIZE_BILINEAR_H

#include <stdint.h>

typedef struct {
    int32_t batches;
    int32_t input_bytes; /* of one image */
    int32_t depth;
    int32_t output_height, output_width;
} nn_resize_bilinear_shape;

/* Between which two lines a line of the output lies: their offsets in bytes, and the share of the second in 1/1024. */
typedef struct {
    int32_t first, second, weight;
} nn_between;

/*
 * output[y, x, c] = round(sum over the four neighbours of value * weight_y * weight_x / 2^20), halves away from zero
 *
 * `rows` and `columns` come from the generator: places and weights of each output row and column.
 */
void nn_resize_bilinear(const nn_resize_bilinear_shape *shape, const int8_t *input, const int32_t *rows,
                        const int32_t *columns, int8_t *output);

/* The same in real numbers: two offsets a line in `rows` and `columns`, and the second's share in the weights. */
void nn_resize_bilinear_float(const nn_resize_bilinear_shape *shape, const float *input, const int32_t *rows,
                              const int32_t *columns, const float *row_weights, const float *column_weights,
                              float *output);

#endif

/* RESIZE_BILINEAR of real numbers: places and weights of each row and column come in tables. */
#include "resize_bilinear.h"

void nn_resize_bilinear_float(const nn_resize_bilinear_shape *s, const float *input, const int32_t *rows,
                              const int32_t *columns, const float *row_weights, const float *column_weights,
                              float *output)
{
    for (int32_t batch = 0; batch < s->batches; batch++) {
        for (int32_t y = 0; y < s->output_height; y++) {
            const float *top = input + rows[2 * y], *bottom = input + rows[2 * y + 1];
            const float down = row_weights[y], up = 1.0f - down;
            for (int32_t x = 0; x < s->output_width; x++) {
                const int32_t left = columns[2 * x], right = columns[2 * x + 1];
                const float far = column_weights[x], near = 1.0f - far;
                for (int32_t c = 0; c < s->depth; c++) {
                    /* Each product and sum rounded by itself, in this order. */
                    const float a = top[left + c] * up * near, b = bottom[left + c] * down * near;
                    const float d = top[right + c] * up * far, e = bottom[right + c] * down * far;
                    const float ab = a + b, abd = ab + d;
                    *output++ = abd + e;
                }
            }
        }
        input += s->input_bytes / (int32_t)sizeof(float);
    }
}

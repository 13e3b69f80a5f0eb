/* RESIZE_BILINEAR, int8: places and weights of each row and column come in tables. */
#include "resize_bilinear.h"

static nn_between between(const int32_t *table, int32_t i)
{
    const nn_between found = {table[3 * i], table[3 * i + 1], table[3 * i + 2]};
    return found;
}

/* |sum| stays below 2^29, though weights may be as far out as -512 and 1536: half-pixel centres beyond the edge. */
static void one_pixel(const int8_t *input, int32_t depth, nn_between y, nn_between x, int8_t *output)
{
    const int8_t *top = input + y.first, *bottom = input + y.second;
    for (int32_t c = 0; c < depth; c++) {
        const int32_t upper = top[x.first + c] * (1024 - x.weight) + top[x.second + c] * x.weight;
        const int32_t lower = bottom[x.first + c] * (1024 - x.weight) + bottom[x.second + c] * x.weight;
        const int32_t sum = upper * (1024 - y.weight) + lower * y.weight;
        output[c] = (int8_t)((sum + (sum > 0 ? 1 << 19 : -(1 << 19))) / (1 << 20)); /* C divides towards zero */
    }
}

void nn_resize_bilinear(const nn_resize_bilinear_shape *s, const int8_t *input, const int32_t *rows,
                        const int32_t *columns, int8_t *output)
{
    for (int32_t batch = 0; batch < s->batches; batch++) {
        for (int32_t y = 0; y < s->output_height; y++) {
            for (int32_t x = 0; x < s->output_width; x++) {
                one_pixel(input, s->depth, between(rows, y), between(columns, x), output);
                output += s->depth;
            }
        }
        input += s->input_bytes;
    }
}

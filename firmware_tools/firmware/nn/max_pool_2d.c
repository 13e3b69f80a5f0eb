/* MAX_POOL_2D, int8. Scale and zero point of input and output are the same. */
#include "nn_memory.h"
#include "nn_window.h"

static void one_pixel(const nn_pool_2d_shape *s, const int8_t *input, nn_window window, int8_t *output)
{
    const int8_t *line = input + (window.top * s->input_width + window.left) * s->depth;
    memcpy(output, line, (size_t)s->depth);
    for (int32_t y = 0; y < window.height; y++) {
        const int8_t *tap = line;
        for (int32_t x = 0; x < window.width; x++) {
            for (int32_t c = 0; c < s->depth; c++) {
                output[c] = (int8_t)nn_max(output[c], tap[c]);
            }
            tap += s->depth;
        }
        line += s->input_width * s->depth;
    }
    for (int32_t c = 0; c < s->depth; c++) {
        output[c] = nn_clamp(output[c], s->activation_min, s->activation_max);
    }
}

void nn_max_pool_2d(const nn_pool_2d_shape *s, const int8_t *input, int8_t *output)
{
    for (int32_t batch = 0; batch < s->batches; batch++) {
        for (int32_t y = 0; y < s->output_height; y++) {
            for (int32_t x = 0; x < s->output_width; x++) {
                one_pixel(s, input, nn_window_at(s, y, x), output);
                output += s->depth;
            }
        }
        input += s->input_height * s->input_width * s->depth;
    }
}

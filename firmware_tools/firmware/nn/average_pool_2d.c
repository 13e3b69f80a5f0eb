/* AVERAGE_POOL_2D, int8. Scale and zero point of input and output are the same. */
#include "nn_window.h"

static int32_t sum_of(const nn_pool_2d_shape *s, const int8_t *first, nn_window window)
{
    int32_t sum = 0;
    for (int32_t y = 0; y < window.height; y++) {
        const int8_t *tap = first + y * s->input_width * s->depth;
        for (int32_t x = 0; x < window.width; x++) {
            sum += *tap;
            tap += s->depth;
        }
    }
    return sum;
}

static void one_pixel(const nn_pool_2d_shape *s, const int8_t *input, nn_window window, int8_t *output)
{
    const int32_t count = window.height * window.width, half = count / 2;
    const int8_t *first = input + (window.top * s->input_width + window.left) * s->depth;
    for (int32_t c = 0; c < s->depth; c++) {
        const int32_t sum = sum_of(s, first + c, window);
        const int32_t mean = (sum > 0 ? sum + half : sum - half) / count; /* C divides towards zero */
        output[c] = nn_clamp(mean, s->activation_min, s->activation_max);
    }
}

void nn_average_pool_2d(const nn_pool_2d_shape *s, const int8_t *input, int8_t *output)
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

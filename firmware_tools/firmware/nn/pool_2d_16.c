/* AVERAGE_POOL_2D and MAX_POOL_2D with 16-bit activations. Input and output have the same scale. */
#include "pool_2d_16.h"

#include "nn_window.h"

static int32_t mean_of(const nn_pool_2d_shape *s, const int16_t *first, nn_window window)
{
    const int32_t count = window.height * window.width;
    int32_t sum = 0;
    for (int32_t y = 0; y < window.height; y++) {
        for (int32_t x = 0; x < window.width; x++) {
            sum += first[(y * s->input_width + x) * s->depth];
        }
    }
    return (sum > 0 ? sum + count / 2 : sum - count / 2) / count; /* C divides towards zero */
}

static int32_t largest_of(const nn_pool_2d_shape *s, const int16_t *first, nn_window window)
{
    int32_t largest = INT16_MIN;
    for (int32_t y = 0; y < window.height; y++) {
        for (int32_t x = 0; x < window.width; x++) {
            largest = nn_max(largest, first[(y * s->input_width + x) * s->depth]);
        }
    }
    return largest;
}

typedef int32_t (*nn_take)(const nn_pool_2d_shape *shape, const int16_t *first, nn_window window);

static void pool(const nn_pool_2d_shape *s, const int16_t *input, nn_take take, int16_t *output)
{
    for (int32_t batch = 0; batch < s->batches; batch++) {
        for (int32_t y = 0; y < s->output_height; y++) {
            for (int32_t x = 0; x < s->output_width; x++) {
                const nn_window window = nn_window_at(s, y, x);
                const int16_t *first = input + (window.top * s->input_width + window.left) * s->depth;
                for (int32_t c = 0; c < s->depth; c++) {
                    const int32_t value = take(s, first + c, window);
                    *output++ = (int16_t)nn_min(nn_max(value, s->activation_min), s->activation_max);
                }
            }
        }
        input += s->input_height * s->input_width * s->depth;
    }
}

void nn_average_pool_2d_16(const nn_pool_2d_shape *s, const int16_t *input, int16_t *output)
{
    pool(s, input, mean_of, output);
}

void nn_max_pool_2d_16(const nn_pool_2d_shape *s, const int16_t *input, int16_t *output)
{
    pool(s, input, largest_of, output);
}

/* AVERAGE_POOL_2D and MAX_POOL_2D of real numbers. */
#include "pool_2d_float.h"

#include "nn_float.h"
#include "nn_window.h"

static float mean_of(const nn_pool_2d_shape *s, const float *first, nn_window window)
{
    float sum = 0.0f;
    for (int32_t y = 0; y < window.height; y++) {
        for (int32_t x = 0; x < window.width; x++) {
            sum += first[(y * s->input_width + x) * s->depth];
        }
    }
    return sum / (float)(window.height * window.width);
}

static float largest_of(const nn_pool_2d_shape *s, const float *first, nn_window window)
{
    float largest = *first;
    for (int32_t y = 0; y < window.height; y++) {
        for (int32_t x = 0; x < window.width; x++) {
            const float value = first[(y * s->input_width + x) * s->depth];
            largest = value > largest ? value : largest;
        }
    }
    return largest;
}

typedef float (*nn_take)(const nn_pool_2d_shape *shape, const float *first, nn_window window);

static void pool(const nn_pool_2d_shape *s, const float *input, const float *range, nn_take take, float *output)
{
    for (int32_t batch = 0; batch < s->batches; batch++) {
        for (int32_t y = 0; y < s->output_height; y++) {
            for (int32_t x = 0; x < s->output_width; x++) {
                const nn_window window = nn_window_at(s, y, x);
                const float *first = input + (window.top * s->input_width + window.left) * s->depth;
                for (int32_t c = 0; c < s->depth; c++) {
                    *output++ = nn_hold(take(s, first + c, window), range[0], range[1]);
                }
            }
        }
        input += s->input_height * s->input_width * s->depth;
    }
}

void nn_average_pool_2d_float(const nn_pool_2d_shape *s, const float *input, const float *range, float *output)
{
    pool(s, input, range, mean_of, output);
}

void nn_max_pool_2d_float(const nn_pool_2d_shape *s, const float *input, const float *range, float *output)
{
    pool(s, input, range, largest_of, output);
}

/* The part of a pooling window that lies inside of the image. */
#ifndef NN_WINDOW_H
#define NN_WINDOW_H

#include "pool_2d.h"

typedef struct {
    int32_t top, left, height, width;
} nn_window;

static inline nn_window nn_window_at(const nn_pool_2d_shape *s, int32_t y, int32_t x)
{
    const int32_t top = y * s->stride_height - s->pad_top, left = x * s->stride_width - s->pad_left;
    nn_window window;
    window.top = nn_max(top, 0);
    window.left = nn_max(left, 0);
    window.height = nn_min(top + s->filter_height, s->input_height) - window.top;
    window.width = nn_min(left + s->filter_width, s->input_width) - window.left;
    return window;
}

#endif

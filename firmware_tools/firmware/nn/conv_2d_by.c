/*
 * CONV_2D, int8: the receptive fields of four output pixels are laid out as columns and widened once, then multiplied by
 * all channels.
 */
#include "conv_2d.h"
#include "nn_memory.h"
#include "nn_pairs.h"

/* A column that is being filled: as bytes where it is staged, else widened, four pixels interleaved. */
typedef struct {
    int8_t *bytes;
    int16_t *pairs;
} filling;

static int8_t *copied(const int8_t *from, int32_t bytes, int8_t value, int8_t *to)
{
    if (from == NULL) {
        for (; bytes > 0; bytes--) {
            *to++ = value;
        }
        return to;
    }
    for (; bytes >= 4; bytes -= 4, from += 4, to += 4) {
        __builtin_memcpy(to, from, 4); /* a word where the core may load it from anywhere */
    }
    for (; bytes > 0; bytes--) {
        *to++ = *from++;
    }
    return to;
}

/* Appends bytes of the image, or as many times the zero point. */
static void put(const nn_conv_2d_shape *s, filling *to, const int8_t *from, int32_t bytes)
{
    if (s->staged) {
        to->bytes = copied(from, bytes, (int8_t)s->input_zero_point, to->bytes);
    } else if (from == NULL) {
        to->pairs = nn_pairs_of(s->input_zero_point, bytes, to->pairs);
    } else {
        to->pairs = nn_pairs(from, bytes, to->pairs);
    }
}

/* One row of the filter, which reaches over the image's edge: taps beside each other, of `depth` bytes. */
static void put_edge(const nn_conv_2d_shape *s, filling *to, const int8_t *image, int32_t x, int32_t depth)
{
    const int32_t taps = s->filter_width;
    const int32_t before = nn_min(nn_max(-x, 0), taps);
    const int32_t behind = nn_min(nn_max(x + taps - s->input_width, 0), taps - before);
    put(s, to, NULL, before * depth);
    if (before + behind != taps) {
        put(s, to, image + (x + before) * depth, (taps - before - behind) * depth);
    }
    put(s, to, NULL, behind * depth);
}

/* One row of the filter: `width` taps of `depth` bytes, from image row `image` at pixel x. */
static void put_row(const nn_conv_2d_shape *s, filling *to, const int8_t *image, int32_t x, int32_t depth)
{
    const int32_t taps = s->filter_width, width = s->input_width;
    if (s->dilation_width != 1 || s->groups != 1) {
        for (int32_t tap = 0; tap < taps; tap++, x += s->dilation_width) {
            put(s, to, x >= 0 && x < width ? image + x * s->input_depth : NULL, depth);
        }
    } else if (x >= 0 && x + taps <= width) {
        put(s, to, image + x * depth, taps * depth);
    } else {
        put_edge(s, to, image, x, depth);
    }
}

/* The receptive field at (y, x) of the image, channels of one group only. */
static void fill_column(const nn_conv_2d_shape *s, const int8_t *input, int32_t y, int32_t x, int16_t *column,
                        int8_t *stage)
{
    const int32_t depth = s->groups == 1 ? s->input_depth : s->input_depth / s->groups;
    filling to = {stage, column};
    for (int32_t tap = 0; tap < s->filter_height; tap++) {
        if (y >= 0 && y < s->input_height) {
            put_row(s, &to, input + y * s->input_width * s->input_depth, x, depth);
        } else {
            put(s, &to, NULL, s->filter_width * depth);
        }
        y += s->dilation_height;
    }
    if (s->staged) {
        nn_pairs(stage, s->row, column);
    }
}

/* One group of one image: four pixels at a time. */
static void one_group(nn_finish_four finish, const nn_conv_2d_shape *s, const int8_t *input, const void *weights,
                      const nn_channel *channels, int16_t *columns, int8_t *output)
{
    int8_t *stage = (int8_t *)(columns + 4 * s->row);
    const int32_t pixels = s->output_height * s->output_width;
    int32_t y = -s->pad_top, x = -s->pad_left, left = s->output_width;
    for (int32_t pixel = 0; pixel < pixels; pixel += 4) {
        const int32_t count = nn_min(4, pixels - pixel), depth = s->output_depth;
        for (int32_t i = 0; i < count; i++) {
            fill_column(s, input, y, x, columns + 2 * i, stage);
            x += s->stride_width;
            if (--left == 0) {
                left = s->output_width;
                x = -s->pad_left;
                y += s->stride_height;
            }
        }
        const nn_four_pixels four = {
            .columns = columns,
            .end = columns + 4 * s->row,
            .channels = channels,
            .output = output,
            .output_end = output + (s->groups == 1 ? depth : depth / s->groups),
            .odd = (s->row >> 2) & 1,
            .pixel_1 = count > 1 ? depth : 0,
            .pixel_2 = count > 2 ? 2 * depth : 0,
            .pixel_3 = count > 3 ? 3 * depth : 0,
            .weights = weights,
        };
        finish(s, &four);
        output += 4 * depth;
    }
}

void nn_conv_2d_by(nn_finish_four finish, int32_t weight, const nn_conv_2d_shape *s, const int8_t *input,
                   const void *weights, const nn_channel *channels, int16_t *columns, int8_t *output)
{
    const int32_t input_group = s->input_depth / s->groups, output_group = s->output_depth / s->groups;
    const int32_t padded_group = (output_group + 1) / 2 * 2;
    memset(columns, 0, (size_t)(s->row * (s->staged ? 9 : 8))); /* bytes behind the last tap meet zero weights */
    for (int32_t batch = 0; batch < s->batches; batch++) {
        for (int32_t group = 0; group < s->groups; group++) {
            one_group(finish, s, input + group * input_group,
                      (const int8_t *)weights + group * padded_group * s->row * weight, channels + group * padded_group,
                      columns, output + group * output_group);
        }
        input += s->input_height * s->input_width * s->input_depth;
        output += s->output_height * s->output_width * s->output_depth;
    }
}


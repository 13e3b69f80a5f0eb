/* CONV_2D, int8: each output pixel's receptive field is laid out as one column, then multiplied by all channels. */
#include "conv_2d.h"
#include "nn_finish.h"
#include "nn_memory.h"

static inline int8_t *copied(const int8_t *from, int32_t n, int8_t *to)
{
    for (; n >= 4; n -= 4, from += 4, to += 4) {
        __builtin_memcpy(to, from, 4); /* a word where the core may load it from anywhere */
    }
    for (; n > 0; n--) {
        *to++ = *from++;
    }
    return to;
}

static inline int8_t *filled(int32_t value, int32_t n, int8_t *to)
{
    for (; n > 0; n--) {
        *to++ = (int8_t)value;
    }
    return to;
}

/* One row of the filter: its taps of `depth` bytes from image row `row`, the first at pixel x. */
__attribute__((noinline)) static int8_t *fill_row(const nn_conv_2d_shape *s, const int8_t *row, int32_t x, int32_t depth,
                                                  int8_t *to)
{
    for (int32_t tap = s->filter_width; tap > 0; tap--, x += s->dilation_width) {
        if (x >= 0 && x < s->input_width) {
            to = copied(row + x * s->input_depth, depth, to);
        } else {
            to = filled(s->input_zero_point, depth, to);
        }
    }
    return to;
}

/* The receptive field of output pixel (y, x), channels of one group only. */
static void fill_column(const nn_conv_2d_shape *s, const int8_t *input, int32_t y, int32_t x, int8_t *column)
{
    const int32_t depth = s->input_depth / s->groups, row = s->input_width * s->input_depth;
    const int32_t image_x = x * s->stride_width - s->pad_left, value = s->input_zero_point;
    /* Bytes of a row of the filter, before, in and behind the image, for taps beside each other. */
    const int32_t all = s->filter_width * depth;
    const int32_t before = nn_min(nn_max(-image_x * depth, 0), all);
    const int32_t behind = nn_min(nn_max((image_x - s->input_width) * depth + all, 0), all - before);
    const int32_t inside = all - before - behind, from = image_x * depth + before;
    const int beside = s->dilation_width == 1 && s->groups == 1;
    int32_t at = y * s->stride_height - s->pad_top;
    for (int32_t tap = s->filter_height; tap > 0; tap--, at += s->dilation_height) {
        if (at < 0 || at >= s->input_height) {
            column = filled(value, all, column);
        } else if (inside == all && beside) {
            column = copied(input + at * row + from, all, column);
        } else if (beside) {
            column = filled(value, before, column);
            column = copied(input + at * row + from, inside, column);
            column = filled(value, behind, column);
        } else {
            column = fill_row(s, input + at * row, image_x, depth, column);
        }
    }
}

/* Widen the column of one output pixel into its places among those of two. */
static void column_of(const nn_conv_2d_shape *s, const int8_t *input, int32_t pixel, int8_t *bytes, int16_t *column)
{
    const int32_t y = pixel / s->output_width;
    const int32_t x = pixel - y * s->output_width;
    const int8_t *from = bytes;
    if (s->direct) {
        from = input + (y * s->stride_height * s->input_width + x * s->stride_width) * s->input_depth;
    } else {
        fill_column(s, input, y, x, bytes);
    }
    nn_widen(from, s->quads, column, 8);
}

/* The weights of a group and how its sums become bytes. */
typedef struct {
    nn_dot dot;
    int32_t quads, channel, channels;
    nn_range range;
} nn_group;

/* All channels of a group for two output pixels; the second may be the first once more. */
static void two_pixels(const nn_group *g, const int16_t *columns, const int32_t *weights, const int32_t *bias,
                       const nn_scale *scales, int8_t *output0, int8_t *output1)
{
    for (int32_t first = 0; first < g->channels; first += NN_BLOCK) {
        int32_t sums[2 * NN_BLOCK];
        const int32_t n = nn_min(NN_BLOCK, g->channels - first);
        g->dot(columns, weights, g->quads, bias, n, sums);
        nn_finish_two(sums, n, scales, &g->range, output0 + first, output1 + first);
        weights += n * g->channel;
        bias += n;
        scales += n * g->range.scale_step;
    }
}

/* One group of one image: two pixels at a time. */
static void one_group(const nn_conv_2d_shape *s, const nn_group *g, const int8_t *input, const int32_t *weights,
                      const int32_t *bias, const nn_scale *scales, int8_t *workspace, int8_t *output)
{
    int16_t *columns = (int16_t *)(void *)workspace;
    int8_t *bytes = workspace + 16 * s->quads;
    const int32_t pixels = s->output_height * s->output_width;
    for (int32_t pixel = 0; pixel < pixels; pixel += 2) {
        const int32_t count = nn_min(2, pixels - pixel);
        column_of(s, input, pixel, bytes, columns);
        column_of(s, input, pixel + count - 1, bytes, columns + 4);
        two_pixels(g, columns, weights, bias, scales, output, output + (count - 1) * s->output_depth);
        output += 2 * s->output_depth;
    }
}

void nn_conv_2d_by(nn_dot dot, int32_t channel, const nn_conv_2d_shape *s, const int8_t *input,
                   const int32_t *weights, const int32_t *bias, const nn_scale *scales, int8_t *columns, int8_t *output)
{
    const int32_t input_group = s->input_depth / s->groups, output_group = s->output_depth / s->groups;
    const int32_t pairs = (output_group + 1) / 2;
    const nn_group g = {
        dot, s->quads, channel, output_group,
        {s->output_zero_point, s->activation_min, s->activation_max, s->scale_step, s->quick},
    };
    if (!s->direct) {
        memset(columns + 16 * s->quads, 0, (size_t)(4 * s->quads)); /* behind the last tap: they meet zero weights */
    }
    for (int32_t batch = 0; batch < s->batches; batch++) {
        for (int32_t group = 0; group < s->groups; group++) {
            const int32_t first = group * output_group;
            one_group(s, &g, input + group * input_group, weights + group * pairs * 2 * channel, bias + group * pairs * 2,
                      scales + first * s->scale_step, columns, output + first);
        }
        input += s->input_height * s->input_width * s->input_depth;
        output += s->output_height * s->output_width * s->output_depth;
    }
}

/* CONV_2D, int8: each output pixel's receptive field is laid out as one column, then multiplied by all channels. */
#include "conv_2d.h"
#include "nn_dot.h"
#include "nn_memory.h"

/* One row of the filter: `width` taps of `depth` bytes, `step` pixels apart, from image row `image` at pixel x. */
static int8_t *fill_row(const nn_conv_2d_shape *s, const int8_t *image, int32_t x, int32_t depth, int8_t *to)
{
    const int32_t last = x + (s->filter_width - 1) * s->dilation_width;
    if (s->dilation_width == 1 && s->groups == 1 && x >= 0 && last < s->input_width) {
        memcpy(to, image + x * depth, (size_t)(s->filter_width * depth));
        return to + s->filter_width * depth;
    }
    for (int32_t tap = 0; tap < s->filter_width; tap++) {
        if (x >= 0 && x < s->input_width) {
            memcpy(to, image + x * s->input_depth, (size_t)depth);
        } else {
            memset(to, (int)s->input_zero_point, (size_t)depth);
        }
        to += depth;
        x += s->dilation_width;
    }
    return to;
}

/* The receptive field of output pixel (y, x), channels of one group only. */
static void fill_column(const nn_conv_2d_shape *s, const int8_t *input, int32_t y, int32_t x, int8_t *column)
{
    const int32_t depth = s->input_depth / s->groups;
    const int32_t image_x = x * s->stride_width - s->pad_left;
    int32_t image_y = y * s->stride_height - s->pad_top;
    for (int32_t tap = 0; tap < s->filter_height; tap++) {
        if (image_y >= 0 && image_y < s->input_height) {
            column = fill_row(s, input + image_y * s->input_width * s->input_depth, image_x, depth, column);
        } else {
            memset(column, (int)s->input_zero_point, (size_t)(s->filter_width * depth));
            column += s->filter_width * depth;
        }
        image_y += s->dilation_height;
    }
}

static const int8_t *column_of(const nn_conv_2d_shape *s, const int8_t *input, int32_t pixel, int8_t *column)
{
    const int32_t y = pixel / s->output_width;
    const int32_t x = pixel - y * s->output_width;
    if (s->direct) {
        return input + (y * s->stride_height * s->input_width + x * s->stride_width) * s->input_depth;
    }
    fill_column(s, input, y, x, column);
    return column;
}

static int8_t finish(const nn_conv_2d_shape *s, int32_t sum, int32_t bias, nn_scale scale)
{
    const int32_t scaled = nn_requantize(nn_wrapping_add(sum, bias), scale);
    return nn_clamp(scaled + s->output_zero_point, s->activation_min, s->activation_max);
}

/* Channels [first, end) of two output pixels, which lie output_depth bytes apart. */
static void two_pixels(const nn_conv_2d_shape *s, const int8_t *pixel0, const int8_t *pixel1, const int8_t *weights,
                       const int32_t *bias, const nn_scale *scales, int32_t first, int32_t end, int8_t *output)
{
    const int32_t row = s->row, step = s->scale_step;
    int8_t *output1 = output + s->output_depth;
    int32_t sums[4];
    int32_t c = first;
    for (; c + 2 <= end; c += 2) {
        nn_dot_2x2(pixel0, pixel1, weights + c * row, weights + (c + 1) * row, row, sums);
        output[c] = finish(s, sums[0], bias[c], scales[c * step]);
        output[c + 1] = finish(s, sums[1], bias[c + 1], scales[(c + 1) * step]);
        output1[c] = finish(s, sums[2], bias[c], scales[c * step]);
        output1[c + 1] = finish(s, sums[3], bias[c + 1], scales[(c + 1) * step]);
    }
    if (c < end) {
        output[c] = finish(s, nn_dot(pixel0, weights + c * row, row), bias[c], scales[c * step]);
        output1[c] = finish(s, nn_dot(pixel1, weights + c * row, row), bias[c], scales[c * step]);
    }
}

static void one_pixel(const nn_conv_2d_shape *s, const int8_t *pixel, const int8_t *weights, const int32_t *bias,
                      const nn_scale *scales, int32_t first, int32_t end, int8_t *output)
{
    const int32_t row = s->row, step = s->scale_step;
    int32_t sums[4];
    int32_t c = first;
    for (; c + 4 <= end; c += 4) {
        nn_dot_1x4(pixel, weights + c * row, row, row, sums);
        for (int32_t i = 0; i < 4; i++) {
            output[c + i] = finish(s, sums[i], bias[c + i], scales[(c + i) * step]);
        }
    }
    for (; c < end; c++) {
        output[c] = finish(s, nn_dot(pixel, weights + c * row, row), bias[c], scales[c * step]);
    }
}

void nn_conv_2d(const nn_conv_2d_shape *s, const int8_t *input, const int8_t *weights, const int32_t *bias,
                const nn_scale *scales, int8_t *columns, int8_t *output)
{
    const int32_t pixels = s->output_height * s->output_width;
    const int32_t input_group = s->input_depth / s->groups, output_group = s->output_depth / s->groups;
    if (!s->direct) {
        memset(columns, 0, (size_t)(2 * s->row)); /* the bytes behind the last tap meet zero weights */
    }
    for (int32_t batch = 0; batch < s->batches; batch++) {
        for (int32_t group = 0; group < s->groups; group++) {
            const int8_t *image = input + group * input_group;
            const int32_t first = group * output_group, end = first + output_group;
            int8_t *out = output;
            int32_t pixel = 0;
            for (; pixel + 2 <= pixels; pixel += 2) {
                const int8_t *pixel0 = column_of(s, image, pixel, columns);
                const int8_t *pixel1 = column_of(s, image, pixel + 1, columns + s->row);
                two_pixels(s, pixel0, pixel1, weights, bias, scales, first, end, out);
                out += 2 * s->output_depth;
            }
            if (pixel < pixels) {
                one_pixel(s, column_of(s, image, pixel, columns), weights, bias, scales, first, end, out);
            }
        }
        input += s->input_height * s->input_width * s->input_depth;
        output += pixels * s->output_depth;
    }
}

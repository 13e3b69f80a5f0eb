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

/* All channels of a group for two output pixels; the second may be the first once more. */
static void two_pixels(const nn_conv_2d_shape *s, const int8_t *pixel0, const int8_t *pixel1, const int8_t *weights,
                       const int32_t *bias, const nn_scale *scales, int8_t *output0, int8_t *output1)
{
    /* A byte that is stored might be the shape's, for all that the compiler knows: so it is read once, before. */
    const int32_t row = s->row, step = s->scale_step, channels = s->output_depth / s->groups;
    const int32_t zero_point = s->output_zero_point, low = s->activation_min, high = s->activation_max;
    for (int32_t c = 0; c < channels; c += 2) {
        int32_t sums[4];
        nn_dot_2x2(pixel0, pixel1, weights, row, sums);
        weights += 2 * row;
        const int32_t last = nn_min(c + 1, channels - 1);
        for (int32_t i = c; i <= last; i++) {
            const int32_t from_0 = nn_requantize(nn_wrapping_add(sums[i - c], bias[i]), *scales);
            const int32_t from_1 = nn_requantize(nn_wrapping_add(sums[i - c + 2], bias[i]), *scales);
            scales += step;
            *output0++ = nn_clamp(from_0 + zero_point, low, high);
            *output1++ = nn_clamp(from_1 + zero_point, low, high);
        }
    }
}

/* One group of one image: two pixels at a time. */
static void one_group(const nn_conv_2d_shape *s, const int8_t *input, const int8_t *weights, const int32_t *bias,
                      const nn_scale *scales, int8_t *columns, int8_t *output)
{
    const int32_t pixels = s->output_height * s->output_width;
    for (int32_t pixel = 0; pixel < pixels; pixel += 2) {
        const int32_t count = nn_min(2, pixels - pixel);
        const int8_t *pixel0 = column_of(s, input, pixel, columns);
        const int8_t *pixel1 = count == 2 ? column_of(s, input, pixel + 1, columns + s->row) : pixel0;
        int8_t *output1 = output + (count - 1) * s->output_depth;
        two_pixels(s, pixel0, pixel1, weights, bias, scales, output, output1);
        output += 2 * s->output_depth;
    }
}

void nn_conv_2d(const nn_conv_2d_shape *s, const int8_t *input, const int8_t *weights, const int32_t *bias,
                const nn_scale *scales, int8_t *columns, int8_t *output)
{
    const int32_t input_group = s->input_depth / s->groups, output_group = s->output_depth / s->groups;
    const int32_t pairs = (output_group + 1) / 2;
    if (!s->direct) {
        memset(columns, 0, (size_t)(2 * s->row)); /* the bytes behind the last tap meet zero weights */
    }
    for (int32_t batch = 0; batch < s->batches; batch++) {
        for (int32_t group = 0; group < s->groups; group++) {
            const int32_t first = group * output_group;
            one_group(s, input + group * input_group, weights + group * pairs * 2 * s->row, bias + first,
                      scales + first * s->scale_step, columns, output + first);
        }
        input += s->input_height * s->input_width * s->input_depth;
        output += s->output_height * s->output_width * s->output_depth;
    }
}

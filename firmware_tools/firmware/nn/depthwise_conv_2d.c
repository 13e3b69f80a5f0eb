/* DEPTHWISE_CONV_2D, int8: each channel has a filter of its own; four channels at a time. */
#include "depthwise_conv_2d.h"
#include "nn_memory.h"

static int8_t finish(const nn_depthwise_conv_2d_shape *s, int32_t sum, int32_t bias, nn_scale scale)
{
    const int32_t scaled = nn_requantize(nn_wrapping_add(sum, bias), scale);
    return nn_clamp(scaled + s->output_zero_point, s->activation_min, s->activation_max);
}

/* Four neighbouring channels of a pixel whose filter lies inside the image; `input` points at its first tap. */
static void four_inside(const nn_depthwise_conv_2d_shape *s, const int8_t *input, const int8_t *weights,
                        int32_t sums[4])
{
    const int32_t tap_step = s->dilation_width * s->input_depth;
    const int32_t row_step = s->dilation_height * s->input_width * s->input_depth - s->filter_width * tap_step;
    int32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    for (int32_t row = s->filter_height; row > 0; row--) {
        for (int32_t tap = s->filter_width; tap > 0; tap--) {
            s0 += input[0] * weights[0];
            s1 += input[1] * weights[1];
            s2 += input[2] * weights[2];
            s3 += input[3] * weights[3];
            input += tap_step;
            weights += s->output_depth;
        }
        input += row_step;
    }
    sums[0] = s0;
    sums[1] = s1;
    sums[2] = s2;
    sums[3] = s3;
}

/* One channel of any pixel: taps outside of the image count as the zero point. `image` points at the channel. */
static int32_t one_anywhere(const nn_depthwise_conv_2d_shape *s, const int8_t *image, int32_t y, int32_t x,
                            const int8_t *weights)
{
    int32_t sum = 0;
    for (int32_t fy = 0; fy < s->filter_height; fy++) {
        const int32_t image_y = y + fy * s->dilation_height;
        const int8_t *line = image + image_y * s->input_width * s->input_depth;
        for (int32_t fx = 0; fx < s->filter_width; fx++) {
            const int32_t image_x = x + fx * s->dilation_width;
            const int inside = image_y >= 0 && image_y < s->input_height && image_x >= 0 && image_x < s->input_width;
            sum += (inside ? line[image_x * s->input_depth] : s->input_zero_point) * *weights;
            weights += s->output_depth;
        }
    }
    return sum;
}

static void one_pixel(const nn_depthwise_conv_2d_shape *s, const int8_t *image, int32_t y, int32_t x,
                      const int8_t *weights, const int32_t *bias, const nn_scale *scales, int8_t *output)
{
    const int inside = y >= 0 && y + (s->filter_height - 1) * s->dilation_height < s->input_height && x >= 0 &&
                       x + (s->filter_width - 1) * s->dilation_width < s->input_width;
    const int32_t step = s->scale_step;
    int32_t c = 0;
    if (inside && s->multiplier == 1) {
        const int8_t *first = image + (y * s->input_width + x) * s->input_depth;
        int32_t sums[4];
        for (; c + 4 <= s->output_depth; c += 4) {
            four_inside(s, first + c, weights + c, sums);
            for (int32_t i = 0; i < 4; i++) {
                output[c + i] = finish(s, sums[i], bias[c + i], scales[(c + i) * step]);
            }
        }
    }
    int32_t channel = c / s->multiplier; /* c is 0 where the multiplier is not 1 */
    int32_t copies = s->multiplier;
    for (; c < s->output_depth; c++) {
        const int32_t sum = one_anywhere(s, image + channel, y, x, weights + c);
        output[c] = finish(s, sum, bias[c], scales[c * step]);
        if (--copies == 0) {
            copies = s->multiplier;
            channel++;
        }
    }
}

void nn_depthwise_conv_2d(const nn_depthwise_conv_2d_shape *s, const int8_t *input, const int8_t *weights,
                          const int32_t *bias, const nn_scale *scales, int8_t *output)
{
    for (int32_t batch = 0; batch < s->batches; batch++) {
        for (int32_t y = 0; y < s->output_height; y++) {
            for (int32_t x = 0; x < s->output_width; x++) {
                one_pixel(s, input, y * s->stride_height - s->pad_top, x * s->stride_width - s->pad_left, weights,
                          bias, scales, output);
                output += s->output_depth;
            }
        }
        input += s->input_height * s->input_width * s->input_depth;
    }
}

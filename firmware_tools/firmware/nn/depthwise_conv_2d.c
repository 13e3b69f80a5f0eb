/* DEPTHWISE_CONV_2D, int8: each channel has a filter of its own; four channels at a time. */
#include "depthwise_conv_2d.h"
#include "nn_dot.h"
#include "nn_finish.h"
#include "nn_memory.h"

/* Where each tap of the filter at (y, x) lies in the image; a tap outside of it lies at `outside`, a pixel of zeros. */
static void find_taps(const nn_depthwise_conv_2d_shape *s, int32_t y, int32_t x, int32_t outside, int32_t *taps)
{
    for (int32_t fy = 0; fy < s->filter_height; fy++) {
        const int32_t image_y = y + fy * s->dilation_height;
        for (int32_t fx = 0; fx < s->filter_width; fx++) {
            const int32_t image_x = x + fx * s->dilation_width;
            const int inside = image_y >= 0 && image_y < s->input_height && image_x >= 0 && image_x < s->input_width;
            *taps++ = inside ? (image_y * s->input_width + image_x) * s->input_depth : outside;
        }
    }
}

static int32_t one_channel(const int8_t *image, const int32_t *taps, int32_t n_taps, const int8_t *weights,
                           int32_t depth)
{
    int32_t sum = 0;
    for (int32_t t = 0; t < n_taps; t++) {
        sum += image[taps[t]] * weights[t * depth];
    }
    return sum;
}

/* Four neighbouring channels, multiplier 1. */
NN_OWN_REGISTERS static void four_channels(const int8_t *image, const int32_t *taps, int32_t n_taps,
                                           const int8_t *weights, int32_t depth, int32_t sums[4])
{
    int32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    for (const int32_t *end = taps + n_taps; taps != end; taps++, weights += depth) {
        const int8_t *pixel = image + *taps;
#ifdef NN_DUAL_MAC
        const uint32_t x = nn_load_word(pixel), w = nn_load_word(weights);
        const int16x2_t x_even = nn_even(x), x_odd = nn_odd(x), w_even = nn_even(w), w_odd = nn_odd(w);
        s0 = __smlabb(x_even, w_even, s0);
        s1 = __smlabb(x_odd, w_odd, s1);
        s2 = __smlatt(x_even, w_even, s2);
        s3 = __smlatt(x_odd, w_odd, s3);
#else
        s0 += pixel[0] * weights[0];
        s1 += pixel[1] * weights[1];
        s2 += pixel[2] * weights[2];
        s3 += pixel[3] * weights[3];
#endif
    }
    sums[0] = s0;
    sums[1] = s1;
    sums[2] = s2;
    sums[3] = s3;
}

/* Sums of channels [c, c + n) of a pixel. */
static void sum_channels(const nn_depthwise_conv_2d_shape *s, const int8_t *image, const int32_t *taps,
                         const int8_t *weights, int32_t c, int32_t n, int32_t *sums)
{
    const int32_t n_taps = s->filter_height * s->filter_width, depth = s->output_depth;
    int32_t i = 0;
    if (s->multiplier == 1) {
        for (; i + 4 <= n; i += 4) {
            four_channels(image + c + i, taps, n_taps, weights + c + i, depth, sums + i);
        }
    }
    for (; i < n; i++) {
        sums[i] = one_channel(image + (c + i) / s->multiplier, taps, n_taps, weights + c + i, depth);
    }
}

static void one_pixel(const nn_depthwise_conv_2d_shape *s, const int8_t *image, const int32_t *taps,
                      const int8_t *weights, const int32_t *bias, const nn_scale *scales, int8_t *output)
{
    const nn_range range = {s->output_zero_point, s->activation_min, s->activation_max};
    const int32_t step = s->scale_step;
    for (int32_t c = 0; c < s->output_depth; c += NN_BLOCK) {
        int32_t sums[NN_BLOCK];
        const int32_t n = nn_min(NN_BLOCK, s->output_depth - c);
        sum_channels(s, image, taps, weights, c, n, sums);
        nn_finish(sums, n, bias + c, scales + c * step, step, &range, output + c);
    }
}

void nn_depthwise_conv_2d(const nn_depthwise_conv_2d_shape *s, const int8_t *input, const int8_t *weights,
                          const int32_t *bias, const nn_scale *scales, int8_t *workspace, int8_t *output)
{
    int32_t *taps = (int32_t *)(void *)workspace;
    int8_t *zeros = workspace + 4 * s->filter_height * s->filter_width;
    memset(zeros, (int)s->input_zero_point, (size_t)s->input_depth);
    for (int32_t batch = 0; batch < s->batches; batch++) {
        const int32_t outside = (int32_t)(zeros - input); /* both lie in the arena */
        for (int32_t y = 0; y < s->output_height; y++) {
            for (int32_t x = 0; x < s->output_width; x++) {
                find_taps(s, y * s->stride_height - s->pad_top, x * s->stride_width - s->pad_left, outside, taps);
                one_pixel(s, input, taps, weights, bias, scales, output);
                output += s->output_depth;
            }
        }
        input += s->input_height * s->input_width * s->input_depth;
    }
}

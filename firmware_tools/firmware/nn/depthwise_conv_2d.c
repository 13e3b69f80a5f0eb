/*
 * DEPTHWISE_CONV_2D, int8: each channel has a filter of its own.
 *
 * Four channels at a time: their weights are widened to int16 once, and the rows of the image that the filter covers
 * pass through a ring of rows, widened once too and with their margins laid out, so that the inner loop knows no border.
 * Both hold four numbers a place in the order of nn_widen: channels 0, 2, 1, 3.
 */
#include "depthwise_conv_2d.h"
#include "nn_dot.h"
#include "nn_finish.h"
#include "nn_widen.h"

enum { LANES = 4 };

/* Where the workspace has what, and the four channels at work. */
typedef struct {
    const nn_depthwise_conv_2d_shape *s;
    int16_t *weights;     /* of each tap */
    int16_t *ring;        /* `covered` rows of `width` places */
    const int16_t **rows; /* of the filter, in the ring */
    int32_t covered, width, left, inside; /* of the ring: rows, places of a row, left margin, places of the image */
    int32_t height, taps, apart; /* of the filter: rows, taps of a row, numbers between them */
    int32_t stride;              /* numbers from one place to the next */
    int nine;                    /* the filter is one for row_of_nine */
    int32_t channel, lanes; /* the first, and how many there are: fewer than four at the end */
    nn_range range;
} nn_depthwise;

/* The four numbers of one place, of the channels there are. */
static void gather(const nn_depthwise *d, const int8_t *pixel, int16_t *to)
{
    static const uint8_t places[LANES] = {0, 2, 1, 3};
    for (int32_t i = 0; i < d->lanes; i++) {
        to[places[i]] = pixel[(d->channel + i) / d->s->multiplier];
    }
}

static void widen_weights(const nn_depthwise *d, const int8_t *weights)
{
    static const uint8_t places[LANES] = {0, 2, 1, 3};
    const int32_t taps = d->s->filter_height * d->s->filter_width;
    int16_t *to = d->weights;
    for (int32_t t = 0; t < taps; t++, weights += d->s->output_depth, to += LANES) {
        for (int32_t i = 0; i < LANES; i++) {
            to[places[i]] = i < d->lanes ? weights[d->channel + i] : 0;
        }
    }
}

static void fill(int16_t *to, int32_t places, int32_t value)
{
    for (const int16_t *end = to + LANES * places; to != end; to++) {
        *to = (int16_t)value;
    }
}

/* One row of the image between its margins, or one outside of it. */
static void fill_row(const nn_depthwise *d, const int8_t *image, int32_t y, int16_t *to)
{
    const nn_depthwise_conv_2d_shape *s = d->s;
    to += LANES * d->left;
    if (y < 0 || y >= s->input_height) {
        fill(to, d->inside, s->input_zero_point);
        return;
    }
    const int8_t *pixel = image + y * s->input_width * s->input_depth;
    const int32_t depth = s->input_depth;
    const int16_t *end = to + LANES * d->inside;
    if (s->multiplier == 1 && d->lanes == LANES) {
        for (pixel += d->channel; to != end; pixel += depth, to += LANES) {
            nn_widen_quad(pixel, to);
        }
    } else {
        for (; to != end; pixel += depth, to += LANES) {
            gather(d, pixel, to);
        }
    }
}

/* The sums of four channels, and where the next tap's numbers lie. */
typedef struct {
    const int16_t *x, *w;
    uint32_t s0, s1, s2, s3;
} nn_lanes;

static inline __attribute__((always_inline)) void one_tap(nn_lanes *l)
{
#ifdef NN_DUAL_MAC
    uint32_t x0, x1, w0, w1;
    __asm__("ldrd %[x0], %[x1], [%[x]], #8\n\t"
            "ldrd %[w0], %[w1], [%[w]], #8\n\t"
            "smlabb %[s0], %[x0], %[w0], %[s0]\n\t"
            "smlabb %[s1], %[x1], %[w1], %[s1]\n\t"
            "smlatt %[s2], %[x0], %[w0], %[s2]\n\t"
            "smlatt %[s3], %[x1], %[w1], %[s3]"
            : [x] "+r"(l->x), [w] "+r"(l->w), [s0] "+r"(l->s0), [s1] "+r"(l->s1), [s2] "+r"(l->s2), [s3] "+r"(l->s3),
              [x0] "=&r"(x0), [x1] "=&r"(x1), [w0] "=&r"(w0), [w1] "=&r"(w1)
            :
            : "memory");
#else
    l->s0 += (uint32_t)(l->x[0] * l->w[0]);
    l->s1 += (uint32_t)(l->x[2] * l->w[2]);
    l->s2 += (uint32_t)(l->x[1] * l->w[1]);
    l->s3 += (uint32_t)(l->x[3] * l->w[3]);
    l->x += LANES;
    l->w += LANES;
#endif
}

/* Its registers are its own: inside of another function, some would go to the stack in each round. */
#define OWN_REGISTERS __attribute__((noinline))

/* sums[i] += the filter's products at one place, `at` numbers into its rows. */
OWN_REGISTERS static void add_taps(const nn_depthwise *d, int32_t at, int32_t sums[LANES])
{
    nn_lanes l = {0, d->weights, (uint32_t)sums[0], (uint32_t)sums[1], (uint32_t)sums[2], (uint32_t)sums[3]};
    const int16_t **row = d->rows;
    for (int32_t left = d->height; left > 0; left--) {
        l.x = *row++ + at;
        for (int32_t i = d->taps; i > 0; i--) {
            one_tap(&l);
            l.x += d->apart;
        }
    }
    sums[0] = (int32_t)l.s0;
    sums[1] = (int32_t)l.s1;
    sums[2] = (int32_t)l.s2;
    sums[3] = (int32_t)l.s3;
}

/* One row of the output for what nearly all filters are: 3 x 3, without dilation, quickly finished. */
OWN_REGISTERS static void row_of_nine(const nn_depthwise *d, const int32_t bias[LANES], const nn_scale scales[LANES],
                                      int8_t *output)
{
    const int32_t stride = d->stride, depth = d->s->output_depth;
    const int32_t odd = 2 * d->range.zero_point + 1;
    const int16_t *row0 = d->rows[0], *row1 = d->rows[1], *row2 = d->rows[2];
    for (int32_t x = d->s->output_width; x > 0; x--, output += depth) {
        nn_lanes l = {row0, d->weights, (uint32_t)bias[0], (uint32_t)bias[1], (uint32_t)bias[2], (uint32_t)bias[3]};
        one_tap(&l);
        one_tap(&l);
        one_tap(&l);
        l.x = row1;
        one_tap(&l);
        one_tap(&l);
        one_tap(&l);
        l.x = row2;
        one_tap(&l);
        one_tap(&l);
        one_tap(&l);
        const nn_scale scale0 = scales[0], scale1 = scales[1], scale2 = scales[2], scale3 = scales[3];
        output[0] = nn_scale_down((int32_t)l.s0, scale0, odd);
        output[1] = nn_scale_down((int32_t)l.s1, scale1, odd);
        output[2] = nn_scale_down((int32_t)l.s2, scale2, odd);
        output[3] = nn_scale_down((int32_t)l.s3, scale3, odd);
        row0 += stride;
        row1 += stride;
        row2 += stride;
    }
}

/* The channels at work in one row of the output. */
static void one_row(const nn_depthwise *d, const int32_t bias[LANES], const nn_scale scales[LANES], int8_t *output)
{
    if (d->nine && d->lanes == LANES) {
        row_of_nine(d, bias, scales, output);
        return;
    }
    int32_t at = 0;
    for (int32_t x = d->s->output_width; x > 0; x--, at += d->stride, output += d->s->output_depth) {
        int32_t sums[LANES] = {bias[0], bias[1], bias[2], bias[3]};
        add_taps(d, at, sums);
        nn_finish(sums, d->lanes, scales, &d->range, output);
    }
}

static inline int32_t wrapped(int32_t at, int32_t all)
{
    while (at >= all) {
        at -= all;
    }
    return at;
}

/* Four channels of one image. */
static void four_channels(const nn_depthwise *d, const int8_t *image, const int32_t *bias, const nn_scale *scales,
                          int8_t *output)
{
    const nn_depthwise_conv_2d_shape *s = d->s;
    int32_t lane_bias[LANES] = {0, 0, 0, 0};
    nn_scale lane_scales[LANES] = {{0, 0}, {0, 0}, {0, 0}, {0, 0}};
    for (int32_t i = 0; i < d->lanes; i++) {
        lane_bias[i] = bias[d->channel + i];
        lane_scales[i] = scales[(d->channel + i) * s->scale_step];
    }
    const int32_t row = LANES * d->width, apart = row * s->dilation_height, down = row * s->stride_height;
    const int32_t all = row * d->covered;
    fill(d->ring, d->covered * d->width, s->input_zero_point); /* the margins stay so */
    int32_t first = 0, next = 0; /* where in the ring the filter's first row is, and where the next row will be */
    int32_t filled = -s->pad_top, bottom = d->covered - s->pad_top;
    for (int32_t y = 0; y < s->output_height; y++, bottom += s->stride_height) {
        for (; filled < bottom; filled++) {
            fill_row(d, image, filled, d->ring + next);
            next = wrapped(next + row, all);
        }
        int32_t at = first;
        for (int32_t fy = 0; fy < d->height; fy++) {
            d->rows[fy] = d->ring + at;
            at = wrapped(at + apart, all);
        }
        one_row(d, lane_bias, lane_scales, output + d->channel);
        output += s->output_width * s->output_depth;
        first = wrapped(first + down, all);
    }
}

void nn_depthwise_conv_2d(const nn_depthwise_conv_2d_shape *s, const int8_t *input, const int8_t *weights,
                          const int32_t *bias, const nn_scale *scales, int8_t *workspace, int8_t *output)
{
    /* The arena promises multiples of 4; pointers of 8 bytes, on a desktop, want multiples of 8. */
    workspace += (uintptr_t)workspace % sizeof(void *);
    nn_depthwise d = {.s = s, .rows = (const int16_t **)(void *)workspace};
    d.range = (nn_range){s->output_zero_point, s->activation_min, s->activation_max, 1, s->quick};
    d.covered = (s->filter_height - 1) * s->dilation_height + 1;
    d.width = (s->output_width - 1) * s->stride_width + (s->filter_width - 1) * s->dilation_width + 1;
    d.left = nn_min(s->pad_left, d.width);
    d.inside = nn_min(s->input_width, d.width - d.left);
    d.height = s->filter_height;
    d.taps = s->filter_width;
    d.apart = LANES * (s->dilation_width - 1);
    d.stride = LANES * s->stride_width;
    d.nine = d.height == 3 && d.taps == 3 && d.apart == 0 && s->quick;
    d.weights = (int16_t *)(void *)(d.rows + s->filter_height);
    d.ring = d.weights + LANES * s->filter_height * s->filter_width;
    for (; d.channel < s->output_depth; d.channel += LANES) {
        d.lanes = nn_min(LANES, s->output_depth - d.channel);
        widen_weights(&d, weights);
        for (int32_t batch = 0; batch < s->batches; batch++) {
            four_channels(&d, input + batch * s->input_height * s->input_width * s->input_depth, bias, scales,
                          output + batch * s->output_height * s->output_width * s->output_depth);
        }
    }
}

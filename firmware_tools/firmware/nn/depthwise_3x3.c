/* DEPTHWISE_CONV_2D, int8, with 3x3 filters: channel by channel over a plane of its own. */
#include "depthwise_conv_2d.h"
#include "depthwise_rows.h"

/* The part of the plane that the image covers; the rest is border. */
typedef struct {
    int32_t height, width; /* pixels of the image that lie in the plane */
    int32_t pitch;
    int16_t *first; /* where the image's first pixel lies */
} cover;

static cover cover_plane(const nn_depthwise_conv_2d_shape *s, int32_t rows, int16_t *plane)
{
    const int32_t pitch = nn_depthwise_pitch(s);
    for (int32_t i = 0; i < rows * pitch; i++) {
        plane[i] = (int16_t)s->input_zero_point;
    }
    return (cover){nn_min(s->input_height, rows - s->pad_top), nn_min(s->input_width, pitch - s->pad_left), pitch,
                   plane + s->pad_top * pitch + s->pad_left};
}

/* Every `depth`th byte of the image, beginning at `image`. */
static void fill_plane(const cover *covered, const int8_t *image, int32_t line, int32_t depth)
{
    int16_t *row = covered->first;
    for (int32_t y = 0; y < covered->height; y++) {
        const int8_t *from = image;
        int16_t *to = row, *end = to + covered->width;
        for (; end - to >= 4; to += 4) {
            const int8_t *half = from + 2 * depth;
            to[0] = from[0];
            to[1] = from[depth];
            to[2] = half[0];
            to[3] = half[depth];
            from = half + 2 * depth;
        }
        for (; to != end; to++, from += depth) {
            *to = *from;
        }
        image += line;
        row += covered->pitch;
    }
}

void nn_depthwise_3x3(const nn_depthwise_conv_2d_shape *s, const int8_t *input, const int8_t *weights,
                      const nn_channel *channels, int16_t *plane, int8_t *output)
{
    const int32_t depth = s->output_depth, stride = s->stride_width, rows = (s->output_height - 1) * stride + 3;
    const cover covered = cover_plane(s, rows, plane);
    const int32_t walked = stride == 1 ? covered.pitch - 2 : 2 * s->output_width;
    nn_plane one = {
        .next_row = 2 * (stride * covered.pitch - walked),
        .row_step = 2 * stride * covered.pitch,
        .depth = depth,
        .odd = s->output_width & 1,
    };
    for (int32_t batch = 0; batch < s->batches; batch++) {
        for (int32_t c = 0; c < depth; c++) {
            fill_plane(&covered, input + c, s->input_width * depth, depth);
            one.row_0 = plane;
            one.row_1 = plane + covered.pitch;
            one.row_2 = plane + 2 * covered.pitch;
            one.row_end = plane + walked;
            one.output = output + c;
            one.rows = s->output_height;
            one.channel = channels[c];
            one.weights = weights + 12 * c;
            if (stride == 1) {
                nn_plane_stride_1(&one);
            } else {
                nn_plane_stride_2(&one);
            }
        }
        input += s->input_height * s->input_width * depth;
        output += s->output_height * s->output_width * depth;
    }
}

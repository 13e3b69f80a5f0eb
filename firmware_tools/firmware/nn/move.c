/* Bytes put elsewhere, in nested loops of fixed steps. */
#include "move.h"
#include "nn_memory.h"

/* The innermost loop; single bytes need no call. */
static void runs(const nn_move_shape *s, const uint8_t *input, uint8_t *output)
{
    const int32_t input_step = s->input_step_5, output_step = s->output_step_5, bytes = s->bytes;
    for (int32_t n = s->size_5; n > 0; n--) {
        if (bytes == 1) {
            *output = *input;
        } else {
            memcpy(output, input, (size_t)bytes);
        }
        input += input_step;
        output += output_step;
    }
}

static void inner_loops(const nn_move_shape *s, const uint8_t *input, uint8_t *output)
{
    for (int32_t k = 0; k < s->size_2; k++) {
        for (int32_t l = 0; l < s->size_3; l++) {
            for (int32_t m = 0; m < s->size_4; m++) {
                runs(s, input + k * s->input_step_2 + l * s->input_step_3 + m * s->input_step_4,
                     output + k * s->output_step_2 + l * s->output_step_3 + m * s->output_step_4);
            }
        }
    }
}

void nn_move(const nn_move_shape *s, const uint8_t *input, uint8_t *output)
{
    input += s->input_offset;
    output += s->output_offset;
    for (int32_t i = 0; i < s->size_0; i++) {
        for (int32_t j = 0; j < s->size_1; j++) {
            inner_loops(s, input + i * s->input_step_0 + j * s->input_step_1,
                        output + i * s->output_step_0 + j * s->output_step_1);
        }
    }
}

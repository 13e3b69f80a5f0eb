/* PAD and PADV2, int8, up to four dimensions. */
#include "copy.h"
#include "nn_memory.h"

static int8_t *margin(const nn_pad_shape *s, int8_t *output, int32_t bytes)
{
    memset(output, (int)s->value, (size_t)bytes);
    return output + bytes;
}

void nn_pad(const nn_pad_shape *s, const int8_t *input, int8_t *output)
{
    const int32_t line = s->before_3 + s->size_3 + s->after_3;
    const int32_t plane = line * (s->before_2 + s->size_2 + s->after_2);
    const int32_t block = plane * (s->before_1 + s->size_1 + s->after_1);
    output = margin(s, output, s->before_0 * block);
    for (int32_t i = 0; i < s->size_0; i++) {
        output = margin(s, output, s->before_1 * plane);
        for (int32_t j = 0; j < s->size_1; j++) {
            output = margin(s, output, s->before_2 * line);
            for (int32_t k = 0; k < s->size_2; k++) {
                output = margin(s, output, s->before_3);
                memcpy(output, input, (size_t)s->size_3);
                input += s->size_3;
                output = margin(s, output + s->size_3, s->after_3);
            }
            output = margin(s, output, s->after_2 * line);
        }
        output = margin(s, output, s->after_1 * plane);
    }
    margin(s, output, s->after_0 * block);
}

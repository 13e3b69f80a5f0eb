/* Bytes put elsewhere, from places that stand in one table for each axis. */
#include "move.h"
#include "nn_memory.h"

void nn_pick(const nn_pick_shape *s, const uint8_t *input, const int32_t *offsets, uint8_t *output)
{
    const int32_t *second = offsets + s->size_0, *third = second + s->size_1, *fourth = third + s->size_2;
    for (int32_t i = 0; i < s->size_0; i++) {
        for (int32_t j = 0; j < s->size_1; j++) {
            for (int32_t k = 0; k < s->size_2; k++) {
                const uint8_t *line = input + offsets[i] + second[j] + third[k];
                for (int32_t l = 0; l < s->size_3; l++) {
                    memcpy(output, line + fourth[l], (size_t)s->bytes);
                    output += s->bytes;
                }
            }
        }
    }
}

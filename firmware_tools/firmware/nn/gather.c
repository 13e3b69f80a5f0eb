/* GATHER: rows in the order that another tensor says. */
#include "move.h"
#include "nn_math.h"
#include "nn_memory.h"

void nn_gather(const nn_gather_shape *s, const uint8_t *input, const int32_t *positions, uint8_t *output)
{
    for (int32_t batch = 0; batch < s->batches; batch++) {
        for (int32_t outer = 0; outer < s->outer; outer++) {
            for (int32_t p = 0; p < s->positions; p++) {
                const int32_t position = nn_min(nn_max(positions[p], 0), s->limit - 1);
                memcpy(output, input + position * s->bytes, (size_t)s->bytes);
                output += s->bytes;
            }
            input += s->limit * s->bytes;
        }
        positions += s->positions;
    }
}

/* Two inputs broadcast over each other, line by line: the outer loops of the element-by-element ops. */
#ifndef NN_BROADCAST_H
#define NN_BROADCAST_H

#include "elementwise.h"

typedef void (*nn_line)(const nn_elementwise_shape *shape, const int8_t *a, const int8_t *b, int8_t *output);

/* `line` makes size_3 values of the output from each beginning of a line. */
static inline void nn_for_each_line(const nn_elementwise_shape *s, const int8_t *a, const int8_t *b, nn_line line,
                                    int8_t *output)
{
    for (int32_t i = 0; i < s->size_0; i++) {
        for (int32_t j = 0; j < s->size_1; j++) {
            for (int32_t k = 0; k < s->size_2; k++) {
                line(s, a + i * s->a_step_0 + j * s->a_step_1 + k * s->a_step_2,
                     b + i * s->b_step_0 + j * s->b_step_1 + k * s->b_step_2, output);
                output += s->size_3;
            }
        }
    }
}

#endif

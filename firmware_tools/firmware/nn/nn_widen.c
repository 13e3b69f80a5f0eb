/* int8 to int16 in the order of the dual multiplier. */
#include "nn_dot.h"
#include "nn_widen.h"

void nn_widen(const int8_t *from, int32_t quads, int16_t *to, int32_t step)
{
    if (quads & 1) {
        nn_widen_quad(from, to);
        from += 4;
        to += step;
    }
    for (int32_t pairs = quads >> 1; pairs > 0; pairs--) {
        nn_widen_quad(from, to);
        to += step;
        nn_widen_quad(from + 4, to);
        to += step;
        from += 8;
    }
}

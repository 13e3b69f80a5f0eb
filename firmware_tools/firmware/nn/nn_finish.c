/* From 32-bit sums to int8, shared by all kernels that multiply and accumulate. */
#include "nn_finish.h"
#include "nn_dot.h"

/* A byte that is stored might be the range's, for all that the compiler knows: so the loops read it once, before. */

static void finish_any(const int32_t *sums, int32_t n, const nn_scale *scales, const nn_range *range, int8_t *output)
{
    const int32_t zero_point = range->zero_point, low = range->low, high = range->high, step = range->scale_step;
    for (const int8_t *end = output + n; output != end; output++, sums++, scales += step) {
        *output = nn_clamp(nn_requantize(*sums, *scales) + zero_point, low, high);
    }
}

void nn_finish(const int32_t *sums, int32_t n, const nn_scale *scales, const nn_range *range, int8_t *output)
{
    if (!range->quick) {
        finish_any(sums, n, scales, range, output);
        return;
    }
    const int32_t odd = 2 * range->zero_point + 1, step = range->scale_step;
    for (; n > 0; n--, scales += step) {
        *output++ = nn_scale_down(*sums++, *scales, odd);
    }
}

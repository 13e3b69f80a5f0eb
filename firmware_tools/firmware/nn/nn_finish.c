/* From 32-bit sums to int8, shared by all kernels that multiply and accumulate. */
#include "nn_finish.h"

void nn_finish(const int32_t *sums, int32_t n, const int32_t *bias, const nn_scale *scales, int32_t scale_step,
               const nn_range *range, int8_t *output)
{
    /* A byte that is stored might be the range's, for all that the compiler knows: so it is read once, before. */
    const int32_t zero_point = range->zero_point, low = range->low, high = range->high;
    for (const int32_t *end = sums + n; sums != end; sums++, bias++, scales += scale_step, output++) {
        const int32_t scaled = nn_requantize(nn_wrapping_add(*sums, *bias), *scales);
        *output = nn_clamp(scaled + zero_point, low, high);
    }
}

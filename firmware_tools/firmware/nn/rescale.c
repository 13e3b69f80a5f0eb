/* Integers of one scale as integers of another. */
#include "rescale.h"

static int32_t integer_at(const void *input, int32_t type, int32_t i)
{
    if (type == NN_RESCALE_INT8) {
        return ((const int8_t *)input)[i];
    }
    return type == NN_RESCALE_INT16 ? ((const int16_t *)input)[i] : ((const int32_t *)input)[i];
}

static void store(void *output, int32_t type, int32_t i, int32_t value)
{
    if (type == NN_RESCALE_INT8) {
        ((int8_t *)output)[i] = (int8_t)value;
    } else if (type == NN_RESCALE_INT16) {
        ((int16_t *)output)[i] = (int16_t)value;
    } else {
        ((int32_t *)output)[i] = value;
    }
}

void nn_rescale(const nn_rescale_shape *s, const void *input, void *output)
{
    const nn_scale above = {s->multiplier, s->shift}, below = {s->below_multiplier, s->below_shift};
    for (int32_t i = 0; i < s->elements; i++) {
        const int32_t x = (int32_t)((uint32_t)integer_at(input, s->from, i) - (uint32_t)s->input_zero_point);
        const int32_t scaled = nn_requantize(x, x < 0 ? below : above);
        store(output, s->to, i, nn_min(nn_max(nn_wrapping_add(scaled, s->output_zero_point), s->low), s->high));
    }
}

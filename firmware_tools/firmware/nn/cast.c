/* CAST between whole-byte types. */
#include "cast.h"

/* Towards zero; what an int32 cannot hold becomes its nearest end. */
static int32_t whole(float x)
{
    if (x >= 2147483648.0f) {
        return INT32_MAX;
    }
    return x > -2147483648.0f ? (int32_t)x : INT32_MIN;
}

static int32_t integer_at(const void *input, int32_t type, int32_t i)
{
    switch (type) {
    case NN_INT8:
        return ((const int8_t *)input)[i];
    case NN_INT16:
        return ((const int16_t *)input)[i];
    case NN_INT32:
        return ((const int32_t *)input)[i];
    case NN_FLOAT32:
        return whole(((const float *)input)[i]);
    default:
        return ((const uint8_t *)input)[i];
    }
}

static void store(void *output, int32_t type, int32_t i, int32_t value)
{
    switch (type) {
    case NN_INT16:
        ((int16_t *)output)[i] = (int16_t)value;
        break;
    case NN_INT32:
        ((int32_t *)output)[i] = value;
        break;
    case NN_FLOAT32:
        ((float *)output)[i] = (float)value;
        break;
    case NN_BOOL:
        ((uint8_t *)output)[i] = value != 0;
        break;
    default:
        ((uint8_t *)output)[i] = (uint8_t)value;
        break;
    }
}

/* A real number that stays one, or is asked whether it is 0: neither goes through an integer. */
static void store_real(void *output, int32_t type, int32_t i, float x)
{
    if (type == NN_FLOAT32) {
        ((float *)output)[i] = x;
    } else {
        ((uint8_t *)output)[i] = x != 0.0f; /* what is not a number is not 0 */
    }
}

void nn_cast(const nn_cast_shape *s, const void *input, void *output)
{
    const int real = s->from == NN_FLOAT32 && (s->to == NN_FLOAT32 || s->to == NN_BOOL);
    for (int32_t i = 0; i < s->elements; i++) {
        if (real) {
            store_real(output, s->to, i, ((const float *)input)[i]);
        } else {
            store(output, s->to, i, integer_at(input, s->from, i));
        }
    }
}

/* ADD, SUB and MUL of int32, MAXIMUM and MINIMUM of int16 and int32, with broadcasting. */
#include "integers.h"

#include "nn_math.h"

typedef int32_t (*nn_join)(int32_t a, int32_t b);

static int32_t sum(int32_t a, int32_t b) { return nn_wrapping_add(a, b); }

static int32_t difference(int32_t a, int32_t b) { return (int32_t)((uint32_t)a - (uint32_t)b); }

static int32_t product(int32_t a, int32_t b) { return (int32_t)((uint32_t)a * (uint32_t)b); }

static void line_32(const nn_integers_shape *s, const void *a, const void *b, int32_t at, nn_join join, void *output)
{
    for (int32_t l = 0; l < s->size_3; l++) {
        const int32_t joined = join(((const int32_t *)a)[l * s->a_step_3], ((const int32_t *)b)[l * s->b_step_3]);
        ((int32_t *)output)[at + l] = joined;
    }
}

static void line_16(const nn_integers_shape *s, const void *a, const void *b, int32_t at, nn_join join, void *output)
{
    for (int32_t l = 0; l < s->size_3; l++) {
        const int32_t joined = join(((const int16_t *)a)[l * s->a_step_3], ((const int16_t *)b)[l * s->b_step_3]);
        ((int16_t *)output)[at + l] = (int16_t)joined;
    }
}

static void each(const nn_integers_shape *s, const void *a, const void *b, nn_join join, int32_t bytes, void *output)
{
    int32_t at = 0;
    for (int32_t i = 0; i < s->size_0; i++) {
        for (int32_t j = 0; j < s->size_1; j++) {
            for (int32_t k = 0; k < s->size_2; k++) {
                const char *left = (const char *)a + bytes * (i * s->a_step_0 + j * s->a_step_1 + k * s->a_step_2);
                const char *right = (const char *)b + bytes * (i * s->b_step_0 + j * s->b_step_1 + k * s->b_step_2);
                (bytes == 2 ? line_16 : line_32)(s, left, right, at, join, output);
                at += s->size_3;
            }
        }
    }
}

void nn_add_32(const nn_integers_shape *s, const int32_t *a, const int32_t *b, int32_t *output)
{
    each(s, a, b, sum, 4, output);
}

void nn_sub_32(const nn_integers_shape *s, const int32_t *a, const int32_t *b, int32_t *output)
{
    each(s, a, b, difference, 4, output);
}

void nn_mul_32(const nn_integers_shape *s, const int32_t *a, const int32_t *b, int32_t *output)
{
    each(s, a, b, product, 4, output);
}

void nn_maximum_32(const nn_integers_shape *s, const int32_t *a, const int32_t *b, int32_t *output)
{
    each(s, a, b, nn_max, 4, output);
}

void nn_minimum_32(const nn_integers_shape *s, const int32_t *a, const int32_t *b, int32_t *output)
{
    each(s, a, b, nn_min, 4, output);
}

void nn_maximum_16(const nn_integers_shape *s, const int16_t *a, const int16_t *b, int16_t *output)
{
    each(s, a, b, nn_max, 2, output);
}

void nn_minimum_16(const nn_integers_shape *s, const int16_t *a, const int16_t *b, int16_t *output)
{
    each(s, a, b, nn_min, 2, output);
}

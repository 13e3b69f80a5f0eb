/* Two pixels times two channels, weights widened at generation time: as nn_dot_2x2, without a step to widen them. */
#include "nn_dot.h"

#ifdef NN_DUAL_MAC

typedef struct {
    const int16_t *x, *w;
    uint32_t s0, s1, s2, s3;
} nn_state;

static inline __attribute__((always_inline)) void one_quad(nn_state *s)
{
    register uint32_t x0 __asm__("r2"), x1 __asm__("r3"), y0 __asm__("r4"), y1 __asm__("r5"); /* LDM wants this order */
    uint32_t a, b;
    __asm__("ldm %[x]!, {%[x0], %[x1], %[y0], %[y1]}\n\t"
            "ldrd %[a], %[b], [%[w]], #8\n\t"
            "smlad %[s0], %[x0], %[a], %[s0]\n\t"
            "smlad %[s1], %[y0], %[a], %[s1]\n\t"
            "smlad %[s0], %[x1], %[b], %[s0]\n\t"
            "smlad %[s1], %[y1], %[b], %[s1]\n\t"
            "ldrd %[a], %[b], [%[w]], #8\n\t"
            "smlad %[s2], %[x0], %[a], %[s2]\n\t"
            "smlad %[s3], %[y0], %[a], %[s3]\n\t"
            "smlad %[s2], %[x1], %[b], %[s2]\n\t"
            "smlad %[s3], %[y1], %[b], %[s3]"
            : [x] "+r"(s->x), [w] "+r"(s->w), [s0] "+r"(s->s0), [s1] "+r"(s->s1), [s2] "+r"(s->s2), [s3] "+r"(s->s3),
              [x0] "=&r"(x0), [x1] "=&r"(x1), [y0] "=&r"(y0), [y1] "=&r"(y1), [a] "=&r"(a), [b] "=&r"(b)
            :
            : "memory");
}

void nn_dot_2x2_wide(const int16_t *activations, const void *weights, int32_t quads, const int32_t *bias,
                     int32_t channels, int32_t *sums)
{
    const int16_t *w = weights;
    for (const int32_t *end = bias + channels; bias < end; bias += 2, sums += 2) {
        nn_state s = {activations, w, (uint32_t)bias[0], (uint32_t)bias[0], (uint32_t)bias[1], (uint32_t)bias[1]};
        w += 8 * quads;
        for (int32_t left = quads & 3; left > 0; left--) {
            one_quad(&s);
        }
        while (s.w != w) {
            one_quad(&s);
            one_quad(&s);
            one_quad(&s);
            one_quad(&s);
        }
        sums[0] = (int32_t)s.s0;
        sums[1] = (int32_t)s.s2;
        sums[NN_BLOCK] = (int32_t)s.s1;
        sums[NN_BLOCK + 1] = (int32_t)s.s3;
    }
}

#else

void nn_dot_2x2_wide(const int16_t *activations, const void *weights, int32_t quads, const int32_t *bias,
                     int32_t channels, int32_t *sums)
{
    const int16_t *w = weights;
    for (const int32_t *end = bias + channels; bias < end; bias += 2, sums += 2) {
        uint32_t s0 = (uint32_t)bias[0], s1 = s0, s2 = (uint32_t)bias[1], s3 = s2;
        const int16_t *x = activations;
        for (int32_t left = quads; left > 0; left--, w += 8, x += 8) {
            for (int i = 0; i < 4; i++) {
                s0 += (uint32_t)(x[i] * w[i]);
                s1 += (uint32_t)(x[4 + i] * w[i]);
                s2 += (uint32_t)(x[i] * w[4 + i]);
                s3 += (uint32_t)(x[4 + i] * w[4 + i]);
            }
        }
        sums[0] = (int32_t)s0;
        sums[1] = (int32_t)s2;
        sums[NN_BLOCK] = (int32_t)s1;
        sums[NN_BLOCK + 1] = (int32_t)s3;
    }
}

#endif

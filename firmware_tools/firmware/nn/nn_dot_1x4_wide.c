/* One pixel times four channels, weights widened at generation time. */
#include "nn_dot.h"

#ifdef NN_DUAL_MAC

typedef struct {
    const int16_t *x, *w;
    uint32_t s0, s1, s2, s3;
} nn_state;

static inline __attribute__((always_inline)) void one_quad(nn_state *s)
{
    register uint32_t a __asm__("r2"), b __asm__("r3"), c __asm__("r4"), d __asm__("r5"); /* LDM wants this order */
    uint32_t x0, x1;
    __asm__("ldm %[w]!, {%[a], %[b], %[c], %[d]}\n\t"
            "ldrd %[x0], %[x1], [%[x]], #8\n\t"
            "smlad %[s0], %[x0], %[a], %[s0]\n\t"
            "smlad %[s1], %[x0], %[c], %[s1]\n\t"
            "smlad %[s0], %[x1], %[b], %[s0]\n\t"
            "smlad %[s1], %[x1], %[d], %[s1]\n\t"
            "ldm %[w]!, {%[a], %[b], %[c], %[d]}\n\t"
            "smlad %[s2], %[x0], %[a], %[s2]\n\t"
            "smlad %[s3], %[x0], %[c], %[s3]\n\t"
            "smlad %[s2], %[x1], %[b], %[s2]\n\t"
            "smlad %[s3], %[x1], %[d], %[s3]"
            : [x] "+r"(s->x), [w] "+r"(s->w), [s0] "+r"(s->s0), [s1] "+r"(s->s1), [s2] "+r"(s->s2), [s3] "+r"(s->s3),
              [a] "=&r"(a), [b] "=&r"(b), [c] "=&r"(c), [d] "=&r"(d), [x0] "=&r"(x0), [x1] "=&r"(x1)
            :
            : "memory");
}

void nn_dot_1x4_wide(const int16_t *activations, const void *weights, int32_t quads, const int32_t *bias,
                     int32_t channels, int32_t *sums)
{
    const int16_t *w = weights;
    for (const int32_t *end = bias + channels; bias < end; bias += 4, sums += 4) {
        nn_state s = {activations, w, (uint32_t)bias[0], (uint32_t)bias[1], (uint32_t)bias[2], (uint32_t)bias[3]};
        w += 16 * quads;
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
        sums[1] = (int32_t)s.s1;
        sums[2] = (int32_t)s.s2;
        sums[3] = (int32_t)s.s3;
    }
}

#else

void nn_dot_1x4_wide(const int16_t *activations, const void *weights, int32_t quads, const int32_t *bias,
                     int32_t channels, int32_t *sums)
{
    const int16_t *w = weights;
    for (const int32_t *end = bias + channels; bias < end; bias += 4, sums += 4) {
        uint32_t s[4] = {(uint32_t)bias[0], (uint32_t)bias[1], (uint32_t)bias[2], (uint32_t)bias[3]};
        const int16_t *x = activations;
        for (int32_t left = quads; left > 0; left--, w += 16, x += 4) {
            for (int c = 0; c < 4; c++) {
                for (int i = 0; i < 4; i++) {
                    s[c] += (uint32_t)(x[i] * w[4 * c + i]);
                }
            }
        }
        for (int c = 0; c < 4; c++) {
            sums[c] = (int32_t)s[c];
        }
    }
}

#endif

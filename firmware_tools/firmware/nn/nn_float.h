/*
 * Real numbers: only in models that are real themselves. Sums run in the reference's order and no product is fused into
 * a sum, so that every core gives what plain IEEE arithmetic gives.
 */
#ifndef NN_FLOAT_H
#define NN_FLOAT_H

#include <stdint.h>

#ifdef __clang__
#pragma STDC FP_CONTRACT OFF
#endif

/* x held within [low, high]; what is not a number stays */
static inline float nn_hold(float x, float low, float high)
{
    x = x < low ? low : x;
    return x > high ? high : x;
}

/* exp(x), 1 ULP or so: x = n * log(2) + r with |r| <= log(2) / 2, then a polynomial in r, then n into the exponent. */
float nn_exp(float x);

/* exp(x) - 1 without loss near 0 */
float nn_exp_minus_1(float x);

/* tanh(x) without loss near 0 */
float nn_tanh(float x);

#endif

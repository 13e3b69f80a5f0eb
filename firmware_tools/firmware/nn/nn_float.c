/* exp, exp - 1 and tanh for cores without a C library. Polynomials are Taylor's, long enough for 24 bits. */
#include "nn_float.h"

#include "nn_math.h"

/* (exp(r) - 1) / r for |r| <= log(2) / 2 */
static float slope(float r)
{
    float sum = 1.0f / 5040.0f;
    sum = 1.0f / 720.0f + r * sum;
    sum = 1.0f / 120.0f + r * sum;
    sum = 1.0f / 24.0f + r * sum;
    sum = 1.0f / 6.0f + r * sum;
    sum = 0.5f + r * sum;
    return 1.0f + r * sum;
}

/* 2^n for n within [-126, 127]: n in the exponent's place */
static float power_of_two(int32_t n)
{
    const uint32_t bits = (uint32_t)(n + 127) << 23;
    float value;
    __builtin_memcpy(&value, &bits, sizeof value);
    return value;
}

/* x = n * log(2) + rest; log(2) in two parts, the first of few bits so that n times it is exact */
static int32_t split(float x, float *rest)
{
    const float turns = x * 1.44269504f;
    const int32_t n = (int32_t)(turns < 0.0f ? turns - 0.5f : turns + 0.5f);
    *rest = (x - (float)n * 0.693359375f) + (float)n * 2.12194440e-4f;
    return n;
}

float nn_exp(float x)
{
    if (!(x < 88.8f)) {
        return x * 3.4e38f; /* infinity, and what is not a number */
    }
    if (x < -103.98f) {
        return 0.0f;
    }
    float rest;
    const int32_t n = split(x, &rest);
    const float mantissa = 1.0f + rest * slope(rest);
    const int32_t half = n / 2; /* in two steps: results below 2^-126 need both */
    return mantissa * power_of_two(half) * power_of_two(n - half);
}

float nn_exp_minus_1(float x)
{
    if (x > -0.5f && x < 0.5f) {
        float sum = 1.0f / 362880.0f;
        sum = 1.0f / 40320.0f + x * sum;
        sum = 1.0f / 5040.0f + x * sum;
        sum = 1.0f / 720.0f + x * sum;
        sum = 1.0f / 120.0f + x * sum;
        sum = 1.0f / 24.0f + x * sum;
        sum = 1.0f / 6.0f + x * sum;
        return x + x * x * (0.5f + x * sum);
    }
    return nn_exp(x) - 1.0f;
}

float nn_tanh(float x)
{
    if (x > 9.1f || x < -9.1f) {
        return x > 0.0f ? 1.0f : -1.0f;
    }
    /* tanh(x) = e / (e + 2) with e = exp(2x) - 1, which keeps all bits near 0 */
    const float e = nn_exp_minus_1(2.0f * x);
    return e / (e + 2.0f);
}

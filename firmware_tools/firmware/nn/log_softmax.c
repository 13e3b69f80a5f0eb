/* LOG_SOFTMAX, int8, without any float. */
#include "log_softmax.h"
#include "nn_fixed.h"

enum { INPUT_BITS = 12, SUM_BITS = 6 }; /* integer bits of what the logarithm takes, and of the sums within it */

static int32_t times(int32_t a, int32_t b) { return nn_doubling_high_multiply(a, b); }

/*
 * log(x) for x >= 1 in Q12.19, as Q5.26: x = 2^n * r with r near sqrt(sqrt(1/2)), found from x and from x * sqrt(1/2),
 * whichever lies nearer; then n * log(2) plus a rational function of r.
 */
static int32_t logarithm(int32_t x)
{
    const int32_t sqrt_half = 1518500250, fourth_root_of_half = 1805811301, log_2 = 1488522236;
    const int32_t quarter = INT32_C(1) << (31 - SUM_BITS - 2);
    const int32_t zeros_a = nn_leading_zeros((uint32_t)x);
    const int32_t r_a = nn_saturating_shift(times(nn_saturating_shift(x, zeros_a - 1), sqrt_half), 1);
    const int32_t power_a = nn_saturating_shift(INPUT_BITS - zeros_a, 31 - SUM_BITS) + quarter;
    const int32_t zeros_b = nn_leading_zeros((uint32_t)times(x, sqrt_half)) - 1;
    const int32_t r_b = nn_saturating_shift(x, zeros_b);
    const int32_t power_b = nn_saturating_shift(INPUT_BITS - zeros_b, 31 - SUM_BITS) - quarter;
    const int32_t r = nn_min(r_a, r_b), power = nn_max(power_a, power_b);

    const int32_t p = (int32_t)(((int64_t)r + fourth_root_of_half + 1) / 2);
    const int32_t q = 2 * (r - fourth_root_of_half);
    const int32_t square = times(q, q);
    const int32_t numerator = times(q, r) + times(times(q, square), 117049297);
    const int32_t denominator = times(p, 1057819769 + q + times(127690142, square)) + times(638450708, q);
    const int32_t reciprocal = nn_one_over_one_plus(denominator);
    const int32_t sum = times(power, log_2) + times(nn_rounding_shift(numerator, SUM_BITS), reciprocal);
    return nn_saturating_shift(sum, 1);
}

static int32_t log_of_sum(const nn_log_softmax_shape *s, const int8_t *input, int32_t largest,
                          const int32_t *exponentials)
{
    int32_t sum = 0; /* Q12.19 */
    for (int32_t i = 0; i < s->depth; i++) {
        const int32_t difference = largest - input[i];
        sum += difference < s->table ? nn_rounding_shift(exponentials[difference], INPUT_BITS) : 0;
    }
    return logarithm(sum);
}

static void one_row(const nn_log_softmax_shape *s, const int8_t *input, const int32_t *exponentials, int8_t *output)
{
    const nn_scale forth = {s->multiplier, s->shift}, back = {s->back_multiplier, s->back_shift};
    int32_t largest = INT8_MIN;
    for (int32_t i = 0; i < s->depth; i++) {
        largest = nn_max(largest, input[i]);
    }
    const int32_t log_sum = log_of_sum(s, input, largest, exponentials);
    /* Differences from here on would leave Q5.26. */
    const int32_t limit = nn_max(s->smallest, nn_requantize(log_sum + INT32_MIN, back));
    for (int32_t i = 0; i < s->depth; i++) {
        const int32_t difference = input[i] - largest;
        int32_t value = INT8_MIN;
        if (difference > limit) {
            value = INT8_MAX + nn_rounding_shift(nn_requantize(difference, forth) - log_sum, 31 - 5 - 4);
        }
        output[i] = nn_clamp(value, INT8_MIN, INT8_MAX);
    }
}

void nn_log_softmax(const nn_log_softmax_shape *s, const int8_t *input, const int32_t *exponentials, int8_t *output)
{
    for (int32_t row = 0; row < s->rows; row++) {
        one_row(s, input + row * s->depth, exponentials, output + row * s->depth);
    }
}

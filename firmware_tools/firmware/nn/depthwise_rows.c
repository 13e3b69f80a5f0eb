/* One channel of a 3x3 DEPTHWISE_CONV_2D: for cores with dual multiply-accumulates by hand, and its C twin. */
#include "depthwise_rows.h"
#include "nn_dsp.h"

#ifdef NN_DSP

/*
 * The plane's fields, by their offsets: row_0 0, row_1 4, row_2 8, row_end 12, next_row 16, row_step 20, depth 24,
 * odd 28, output 32, rows 36, bias 40, multiplier 44, round 48, shift 52, weights 56. They are copied to the stack.
 * r0, r1, r2 walk along three rows; r3 to r8 hold the weights' pairs (w0, w1) and (w1, w2) of each row.
 */
#define NN_ENTER                                                                                                       \
    ".syntax unified\n"                                                                                                \
    "push {r4-r11, lr}\n"                                                                                              \
    "sub sp, #60\n"                                                                                                    \
    "ldmia r0!, {r1-r8}\n"                                                                                             \
    "stmia sp, {r1-r8}\n"                                                                                              \
    "ldmia r0, {r1-r7}\n"                                                                                              \
    "add r8, sp, #32\n"                                                                                                \
    "stmia r8, {r1-r6}\n"                                                                                              \
    "ldmia r7, {r9-r11}\n"                                                                                             \
    "sxtb16 r3, r9\n"                                                                                                  \
    "sxtb16 r4, r9, ror #8\n"                                                                                          \
    "sxtb16 r5, r10\n"                                                                                                 \
    "sxtb16 r6, r10, ror #8\n"                                                                                         \
    "sxtb16 r7, r11\n"                                                                                                 \
    "sxtb16 r8, r11, ror #8\n"                                                                                         \
    "ldmia sp, {r0-r2}\n"

/* After a row of outputs: the next one, or back to the caller. */
#define NN_NEXT_ROW                                                                                                    \
    "ldrd r10, r11, [sp, #16]\n"                                                                                       \
    "add r0, r10\n"                                                                                                    \
    "add r1, r10\n"                                                                                                    \
    "add r2, r10\n"                                                                                                    \
    "ldr r9, [sp, #12]\n"                                                                                              \
    "add r9, r11\n"                                                                                                    \
    "str r9, [sp, #12]\n"                                                                                              \
    "ldr r9, [sp, #36]\n"                                                                                              \
    "subs r9, #1\n"                                                                                                    \
    "str r9, [sp, #36]\n"                                                                                              \
    "bne 1b\n"                                                                                                         \
    "add sp, #60\n"                                                                                                    \
    "pop {r4-r11, pc}\n"

/* Three taps of two neighbouring outputs: x0 x1 in r9, x2 x3 in r10. */
#define NN_TWO_OUTPUTS(row, w01, w12)                                                                                  \
    "ldrd r9, r10, [" row "], #4\n"                                                                                    \
    "smlad r11, r9, " w01 ", r11\n"                                                                                    \
    "smlabt r11, r10, " w12 ", r11\n"                                                                                  \
    "smlatb r12, r9, " w01 ", r12\n"                                                                                   \
    "smlad r12, r10, " w12 ", r12\n"

/* Three taps of one output. */
#define NN_ONE_OUTPUT(row, w01, w12)                                                                                   \
    "ldrd r9, r10, [" row "], #4\n"                                                                                    \
    "smlad r11, r9, " w01 ", r11\n"                                                                                    \
    "smlabt r11, r10, " w12 ", r11\n"

NN_ASSEMBLY void nn_plane_stride_1(nn_plane *plane __attribute__((unused)))
{
    __asm__(NN_ENTER
            "1:\n"
            "ldr r11, [sp, #40]\n"
            "mov r12, r11\n"
            NN_TWO_OUTPUTS("r0", "r3", "r4") NN_TWO_OUTPUTS("r1", "r5", "r6") NN_TWO_OUTPUTS("r2", "r7", "r8")
            "ldrd r9, r10, [sp, #44]\n"
            "lsl lr, r11, #1\n" /* as nn_finish_quick has it */
            "smmlar lr, lr, r9, r10\n"
            "add r11, lr, r11, asr #31\n"
            "lsl lr, r12, #1\n"
            "smmlar lr, lr, r9, r10\n"
            "add r12, lr, r12, asr #31\n"
            "ldr r9, [sp, #52]\n"
            "asr r11, r9\n"
            "ssat r11, #8, r11\n"
            "asr r12, r9\n"
            "ssat r12, #8, r12\n"
            "ldr r9, [sp, #32]\n"
            "ldr r10, [sp, #24]\n"
            "ldr lr, [sp, #12]\n"
            "strb r11, [r9]\n"
            "cmp r0, lr\n"
            "beq 2f\n"
            "strb r12, [r9, r10]\n"
            "add r9, r9, r10, lsl #1\n"
            "str r9, [sp, #32]\n"
            "b 1b\n"
            "2:\n" /* a row's last outputs: one or two */
            "ldr lr, [sp, #28]\n"
            "cmp lr, #0\n"
            "bne 3f\n"
            "strb r12, [r9, r10]\n"
            "add r9, r10\n"
            "3:\n"
            "add r9, r10\n"
            "str r9, [sp, #32]\n"
            NN_NEXT_ROW);
}

NN_ASSEMBLY void nn_plane_stride_2(nn_plane *plane __attribute__((unused)))
{
    __asm__(NN_ENTER
            "1:\n"
            "ldr r11, [sp, #40]\n"
            NN_ONE_OUTPUT("r0", "r3", "r4") NN_ONE_OUTPUT("r1", "r5", "r6") NN_ONE_OUTPUT("r2", "r7", "r8")
            "ldrd r9, r10, [sp, #44]\n"
            "lsl lr, r11, #1\n"
            "smmlar lr, lr, r9, r10\n"
            "add r11, lr, r11, asr #31\n"
            "ldr r9, [sp, #52]\n"
            "asr r11, r9\n"
            "ssat r11, #8, r11\n"
            "ldr r9, [sp, #32]\n"
            "ldr r10, [sp, #24]\n"
            "ldr lr, [sp, #12]\n"
            "strb r11, [r9]\n"
            "add r9, r10\n"
            "str r9, [sp, #32]\n"
            "cmp r0, lr\n"
            "bne 1b\n"
            NN_NEXT_ROW);
}

#else

static int32_t three_taps(const int16_t *row, const int8_t *weights)
{
    return row[0] * weights[0] + row[1] * weights[1] + row[2] * weights[3];
}

/* One output; the rows' pointers go on by `step` values. */
static void one_output(nn_plane *p, int32_t step)
{
    const int8_t *w = p->weights;
    const int32_t sum = three_taps(p->row_0, w) + three_taps(p->row_1, w + 4) + three_taps(p->row_2, w + 8);
    *p->output = nn_finish_quick(sum + p->channel.bias, &p->channel);
    p->output += p->depth;
    p->row_0 += step;
    p->row_1 += step;
    p->row_2 += step;
}

static void next_row(nn_plane *p, int32_t values)
{
    p->row_0 += values;
    p->row_1 += values;
    p->row_2 += values;
    p->row_end += p->row_step / 2;
    p->rows--;
}

void nn_plane_stride_1(nn_plane *p)
{
    while (p->rows != 0) {
        while (p->row_0 != p->row_end - p->odd) {
            one_output(p, 1);
        }
        next_row(p, p->next_row / 2 + p->odd);
    }
}

void nn_plane_stride_2(nn_plane *p)
{
    while (p->rows != 0) {
        while (p->row_0 != p->row_end) {
            one_output(p, 2);
        }
        next_row(p, p->next_row / 2);
    }
}

#endif

/* The inner loop of CONV_2D for cores with dual multiply-accumulates, for both forms of weights. */
#ifndef NN_DOT_4X2_ASSEMBLY_H
#define NN_DOT_4X2_ASSEMBLY_H

#include "nn_dsp.h"

/* Two products of each of four pixels with two channels, whose pairs are in r10 and r11: eight dual multiplications. */
#define NN_PRODUCTS                                                                                                    \
    "ldrd r8, r9, [r12], #8\n"                                                                                         \
    "smlad r0, r8, r10, r0\n"                                                                                          \
    "smlad r1, r8, r11, r1\n"                                                                                          \
    "smlad r2, r9, r10, r2\n"                                                                                          \
    "smlad r3, r9, r11, r3\n"                                                                                          \
    "ldrd r8, r9, [r12], #8\n"                                                                                         \
    "smlad r4, r8, r10, r4\n"                                                                                          \
    "smlad r5, r8, r11, r5\n"                                                                                          \
    "smlad r6, r9, r10, r6\n"                                                                                          \
    "smlad r7, r9, r11, r7\n"

/*
 * On the stack: columns 0, their end 4, channels 8, output 12, its end 16, odd 20, pixels 1, 2, 3 at 24, 28, 32.
 * r0 to r7 are the sums, two of each pixel; lr walks through the weights, r12 through the columns.
 */
#define NN_FOUR_PIXELS(NN_PAIR) \
    ".syntax unified\n" \
    "push {r4-r11, lr}\n" \
    "sub sp, #36\n" \
    "ldmia r0, {r1-r10}\n" \
    "stmia sp, {r1-r9}\n" \
    "mov lr, r10\n" \
    "1:\n" /* each pair of channels */ \
    "ldr r9, [sp, #20]\n" \
    "ldr r8, [sp, #8]\n" \
    "ldr r12, [sp]\n" \
    "ldr r0, [r8]\n" \
    "ldr r1, [r8, #16]\n" \
    "mov r2, r0\n" \
    "mov r3, r1\n" \
    "mov r4, r0\n" \
    "mov r5, r1\n" \
    "mov r6, r0\n" \
    "mov r7, r1\n" \
    "cmp r9, #0\n" \
    "bne 3f\n" \
    "2:\n" /* each eight bytes of a column */ \
    NN_PAIR NN_PAIR \
    "3:\n" \
    NN_PAIR NN_PAIR \
    "ldr r8, [sp, #4]\n" \
    "cmp r12, r8\n" \
    "bne 2b\n" \
    "ldr r8, [sp, #8]\n" \
    "ldmia r8!, {r9-r12}\n" \
    NN_ASSEMBLY_FINISH("r0") NN_ASSEMBLY_FINISH("r2") NN_ASSEMBLY_FINISH("r4") NN_ASSEMBLY_FINISH("r6") \
    "ldmia r8!, {r9-r12}\n" \
    NN_ASSEMBLY_FINISH("r1") NN_ASSEMBLY_FINISH("r3") NN_ASSEMBLY_FINISH("r5") NN_ASSEMBLY_FINISH("r7") \
    "str r8, [sp, #8]\n" \
    "ldrd r8, r9, [sp, #12]\n" \
    "ldrd r10, r11, [sp, #24]\n" \
    "ldr r12, [sp, #32]\n" \
    "bfi r6, r7, #8, #8\n" /* the last pixel first: one that is not there is written over by the first */ \
    "strh r6, [r8, r12]\n" \
    "bfi r4, r5, #8, #8\n" \
    "strh r4, [r8, r11]\n" \
    "bfi r2, r3, #8, #8\n" \
    "strh r2, [r8, r10]\n" \
    "bfi r0, r1, #8, #8\n" \
    "strh r0, [r8], #2\n" \
    "str r8, [sp, #12]\n" \
    "cmp r8, r9\n" \
    "bne 1b\n" \
    "add sp, #36\n" \
    "pop {r4-r11, pc}\n"

#endif

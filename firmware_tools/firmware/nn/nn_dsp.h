/*
 * Cores with the DSP extension: where NN_DSP is defined, the inner loops are those of the nn_*_dsp.c files, written by
 * hand so that every register holds what the loop needs. Elsewhere their C twins run; the tests hold the two together.
 */
#ifndef NN_DSP_H
#define NN_DSP_H

#if defined(__ARM_FEATURE_DSP) && defined(__ARM_FEATURE_UNALIGNED) && defined(__thumb2__) && !defined(NN_PLAIN_C)
#define NN_DSP 1

/* A function that is all assembly: no frame, no register that the compiler keeps for itself. */
#define NN_ASSEMBLY __attribute__((naked, noinline))

/*
 * nn_finish_quick of the sum in register `sum`: multiplier in r10, round in r11, shift in r12; r9 is lost. Doubled, the
 * sum fits 32 bits, and the upper half of its product, rounded, is gemmlowp's high multiply.
 */
#define NN_ASSEMBLY_FINISH(sum)                                                                                        \
    "lsl r9, " sum ", #1\n"                                                                                            \
    "smmlar r9, r9, r10, r11\n"                                                                                        \
    "add r9, r9, " sum ", asr #31\n"                                                                                   \
    "asr " sum ", r9, r12\n"                                                                                           \
    "ssat " sum ", #8, " sum "\n"
#endif

#endif

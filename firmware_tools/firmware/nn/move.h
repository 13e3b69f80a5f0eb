#ifndef NN_MOVE_H
#define NN_MOVE_H

#include <stdint.h>

/*
 * Runs of bytes from one tensor to another, as six nested loops: element (i, j, k, l, m, n) lies at the offset plus
 * i * step_0 + j * step_1 + ... in each of the two. All steps and offsets are in bytes; an input step may be negative.
 */
typedef struct {
    int32_t size_0, size_1, size_2, size_3, size_4, size_5;
    int32_t input_step_0, input_step_1, input_step_2, input_step_3, input_step_4, input_step_5;
    int32_t output_step_0, output_step_1, output_step_2, output_step_3, output_step_4, output_step_5;
    int32_t input_offset, output_offset;
    int32_t bytes; /* of one run */
} nn_move_shape;

/* TRANSPOSE, STRIDED_SLICE, SLICE, SPLIT, PACK, UNPACK, SPACE_TO_DEPTH, ...: whatever only puts bytes elsewhere. */
void nn_move(const nn_move_shape *shape, const uint8_t *input, uint8_t *output);

typedef struct {
    int32_t size_0, size_1, size_2, size_3;
    int32_t bytes; /* of one run */
} nn_pick_shape;

/*
 * Run (i, j, k, l) of the output is the run of the input at offsets[i] + offsets[size_0 + j] + offsets[size_0 + size_1 +
 * k] + ...: RESIZE_NEAREST_NEIGHBOR and MIRROR_PAD, whose places follow no fixed step. One table for each axis.
 */
void nn_pick(const nn_pick_shape *shape, const uint8_t *input, const int32_t *offsets, uint8_t *output);

typedef struct {
    int32_t batches;   /* positions differ from batch to batch */
    int32_t outer;     /* and are the same for these */
    int32_t positions; /* of one batch */
    int32_t limit;     /* size of the axis: positions are held within [0, limit) */
    int32_t bytes;     /* of one run */
} nn_gather_shape;

/* GATHER: output[batch, outer, p] = input[batch, outer, positions[batch, p]] */
void nn_gather(const nn_gather_shape *shape, const uint8_t *input, const int32_t *positions, uint8_t *output);

typedef struct {
    int32_t bytes;
    int32_t value;
} nn_fill_shape;

/* Every byte of the output becomes `value`. */
void nn_fill(const nn_fill_shape *shape, uint8_t *output);

#endif

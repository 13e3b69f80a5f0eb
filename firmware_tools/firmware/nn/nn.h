/*
 * What a generated model offers to whoever runs it: its tensors in one static arena, its ops in order, its constants.
 *
 * The runner pauses before op 0 and after each op. Pause k lies before op k; pause n_ops is the end. At a pause the
 * table says which tensors are alive, and nothing outside the table may be read or written.
 */
#ifndef NN_H
#define NN_H

#include <stdint.h>

/* One activation tensor. The layout is part of the model's digest: 16 bytes, little endian, no padding. */
typedef struct {
    uint16_t id;       /* index of the tensor in the .tflite */
    uint16_t birth;    /* first pause at which its bytes are valid: 0 for a model input, k + 1 for an output of op k */
    uint16_t death;    /* last pause at which they are; n_ops for a model output, never before `birth` */
    uint16_t alias_of; /* position of the tensor whose bytes it shares (RESHAPE), its own position where none */
    uint32_t offset;   /* in the arena */
    uint32_t bytes;
} nn_tensor;

/* Constant bytes in flash: weights, biases, multipliers, shapes. */
typedef struct {
    const void *data;
    uint32_t bytes;
} nn_block;

/* One op of the .tflite, in its order. An op that costs nothing (RESHAPE as an alias) keeps its place; run is NULL. */
typedef struct {
    void (*run)(uint8_t *arena);
    const uint16_t *inputs;  /* positions in nn_model.tensors, activations only */
    const uint16_t *outputs; /* positions in nn_model.tensors */
    const nn_block *constants;
    uint8_t n_inputs;
    uint8_t n_outputs;
    uint8_t n_constants;
} nn_op;

typedef struct {
    const nn_tensor *tensors;
    const nn_op *ops;
    const uint16_t *inputs;  /* positions in tensors */
    const uint16_t *outputs; /* positions in tensors */
    const nn_block *digested; /* every byte that decides what is computed, in order: the model's digest is their CRC-32 */
    uint8_t *arena;
    uint32_t arena_bytes;
    uint16_t n_tensors;
    uint16_t n_ops;
    uint16_t n_inputs;
    uint16_t n_outputs;
    uint16_t n_digested;
} nn_model;

/* The one model of this firmware, defined in the generated model.c. */
extern const nn_model nn_the_model;

#endif

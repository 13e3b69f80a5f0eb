/*
 * Runs a generated model under AddressSanitizer: inputs from standard input, every op's outputs to standard output.
 * While an op runs, all of the arena but its inputs, its outputs and its working memory is poisoned, so that a kernel
 * that reads or writes beside its own tensors ends the program, also where it stays within the arena.
 */
#include "model.h"
#include "scratch.h"

#include <sanitizer/asan_interface.h>
#include <stdio.h>
#include <string.h>

static const nn_model *const model = &nn_the_model;

static void open_tensors(const uint16_t *positions, uint8_t count)
{
    for (uint8_t i = 0; i < count; i++) {
        const nn_tensor *tensor = &model->tensors[positions[i]];
        __asan_unpoison_memory_region(model->arena + tensor->offset, tensor->bytes);
    }
}

static void run(uint16_t k)
{
    const nn_op *op = &model->ops[k];
    __asan_poison_memory_region(model->arena, model->arena_bytes);
    open_tensors(op->inputs, op->n_inputs);
    open_tensors(op->outputs, op->n_outputs);
    __asan_unpoison_memory_region(model->arena + scratch[k].offset, scratch[k].bytes);
    if (op->run) {
        op->run(model->arena);
    }
    __asan_unpoison_memory_region(model->arena, model->arena_bytes);
    for (uint8_t i = 0; i < op->n_outputs; i++) {
        const nn_tensor *tensor = &model->tensors[op->outputs[i]];
        fwrite(model->arena + tensor->offset, 1, tensor->bytes, stdout);
    }
}

static int read_inputs(void)
{
    for (uint16_t i = 0; i < model->n_inputs; i++) {
        const nn_tensor *tensor = &model->tensors[model->inputs[i]];
        if (fread(model->arena + tensor->offset, 1, tensor->bytes, stdin) != tensor->bytes) {
            return 0;
        }
    }
    return 1;
}

int main(void)
{
    memset(model->arena, 0x55, model->arena_bytes);
    while (read_inputs()) {
        for (uint16_t k = 0; k < model->n_ops; k++) {
            run(k);
        }
    }
    return 0;
}

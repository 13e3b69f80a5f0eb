/* The built-in engine behind the link: one static schedule, op by op, a pause before op 0 and after each op. */
#include "port.h"
#include "server.h"

/* Not inlined: an emulator knows an op's beginning by this function's address. */
__attribute__((noinline)) void nn_execute(const nn_op *op, uint8_t *arena);

__attribute__((noinline)) void nn_execute(const nn_op *op, uint8_t *arena)
{
    op->run(arena);
}

static uint64_t timed(const nn_op *op, uint8_t *arena)
{
    if (op->run == NULL) {
        return 0; /* an alias: its bytes are already there */
    }
    uint64_t before = port_ticks();
    nn_execute(op, arena);
    return port_ticks() - before;
}

void link_serve(const nn_model *model)
{
    static link_server server;
    server.model = model;
    for (;;) {
        uint16_t pause = 0;
        uint64_t ticks = 0;
        while (link_pause(&server, pause, ticks)) {
            ticks = timed(&model->ops[pause], model->arena);
            pause++;
        }
    }
}

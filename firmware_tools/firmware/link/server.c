#include "server.h"

#include "crc32.h"
#include "parts.h"
#include "port.h"

/* OP_DONE of the op before this pause, from the kept digests: its outputs may have been written to since. */
static link_outcome op_done(link_server *server)
{
    const nn_model *model = server->model;
    const nn_op *op = &model->ops[server->pause - 1];
    link_answer(server);
    frame_u16(&server->out, server->run);
    frame_u16(&server->out, (uint16_t)(server->pause - 1));
    frame_u64(&server->out, server->ticks);
    frame_u8(&server->out, op->n_outputs);
    for (uint8_t i = 0; i < op->n_outputs; i++) {
        const nn_tensor *tensor = &model->tensors[op->outputs[i]];
        frame_u16(&server->out, tensor->id);
        frame_u32(&server->out, tensor->bytes);
        frame_u32(&server->out, i < LINK_OUTPUTS ? server->digests[i] : 0);
    }
    return link_done(server);
}

static link_outcome run(link_server *server)
{
    const nn_model *model = server->model;
    const uint8_t *payload = server->request.payload;
    if (server->request.length != 2u + 4u * model->n_inputs) {
        return link_refuse_length(server);
    }
    if (!server->open || u16_at(payload) != server->run || server->pause > 1) {
        return link_refuse_state(server);
    }
    if (server->pause == 1) {
        return op_done(server);
    }
    for (uint16_t i = 0; i < model->n_inputs; i++) {
        const nn_tensor *tensor = &model->tensors[model->inputs[i]];
        if (crc32(0, model->arena + tensor->offset, tensor->bytes) != u32_at(payload + 2 + 4 * (size_t)i)) {
            return link_refuse(server, ERROR_INPUT, tensor->id);
        }
    }
    return LINK_STEP;
}

static link_outcome next(link_server *server)
{
    if (server->request.length != 4) {
        return link_refuse_length(server);
    }
    uint16_t op = u16_at(server->request.payload + 2);
    bool ours = server->open && u16_at(server->request.payload) == server->run && server->pause > 0;
    if (ours && op + 1 == server->pause) {
        return op_done(server);
    }
    return ours && op == server->pause && op < server->model->n_ops ? LINK_STEP : link_refuse_state(server);
}

static link_outcome abandon(link_server *server)
{
    if (server->request.length != 0) {
        return link_refuse_length(server);
    }
    server->open = false;
    link_answer(server);
    link_done(server);
    return LINK_LEAVE;
}

static link_outcome handle(link_server *server)
{
    const frame *request = &server->request;
    if (request->kind == MESSAGE_HELLO) {
        return link_hello(server);
    }
    if (server->nonce == 0 || request->nonce != server->nonce) {
        return link_refuse(server, ERROR_SESSION, 0);
    }
    uint16_t ahead = (uint16_t)(request->sequence - server->sequence);
    if (ahead >= 0x8000u) {
        return link_refuse(server, ERROR_STALE, server->sequence);
    }
    server->sequence = request->sequence;
    switch (request->kind) {
    case MESSAGE_TENSORS: return link_tensors(server);
    case MESSAGE_OPS: return link_ops(server);
    case MESSAGE_INPUT: return link_input(server);
    case MESSAGE_RUN: return run(server);
    case MESSAGE_NEXT: return next(server);
    case MESSAGE_DIGEST: return link_digest(server);
    case MESSAGE_READ: return link_read(server);
    case MESSAGE_WRITE: return link_write(server);
    case MESSAGE_ABORT: return abandon(server);
    case MESSAGE_STATS: return link_stats(server);
    case MESSAGE_CAPTURE: return link_capture(server);
    case MESSAGE_FEED: return link_input(server);
    default: return link_refuse(server, ERROR_UNKNOWN, PROTOCOL_VERSION);
    }
}

static void await_request(link_server *server)
{
    /* The line may hold more than one frame; what follows the first stays here until it is asked for. */
    static uint8_t received[64];
    static size_t count, used;
    for (;;) {
        while (used < count) {
            if (frame_receive(&server->in, received[used++], &server->request)) {
                return;
            }
        }
        used = 0;
        count = port_read(received, sizeof received);
        if (count == 0) {
            port_idle();
        }
    }
}

static void keep_digests(link_server *server, uint64_t ticks)
{
    const nn_model *model = server->model;
    const nn_op *op = &model->ops[server->pause - 1];
    server->ticks = ticks;
    for (uint8_t i = 0; i < op->n_outputs && i < LINK_OUTPUTS; i++) {
        const nn_tensor *tensor = &model->tensors[op->outputs[i]];
        server->digests[i] = crc32(0, model->arena + tensor->offset, tensor->bytes);
    }
}

bool link_pause(link_server *server, uint16_t pause, uint64_t ticks)
{
    server->pause = pause;
    if (pause > 0) {
        keep_digests(server, ticks);
        op_done(server);
    }
    port_idle(); /* once at each pause, however busy the line is: a watchdog must not bite while ops are short */
    for (;;) {
        if (!server->held) {
            await_request(server);
        }
        server->held = false;
        link_outcome after = handle(server);
        if (after == LINK_STEP || (after == LINK_LEAVE && pause > 0)) {
            return after == LINK_STEP;
        }
    }
}

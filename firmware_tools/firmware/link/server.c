#include "server.h"

#include <string.h>

#include "crc32.h"
#include "port.h"
#include "protocol.h"

#ifndef LINK_BUILD
#define LINK_BUILD "unnamed build"
#endif
#ifndef LINK_ENGINE
#define LINK_ENGINE "built-in"
#endif

/* What follows a request: stay at this pause, let the op run, or leave the run. */
typedef enum { STAY, STEP, LEAVE } outcome;

/* Bytes that a request may name at this pause. */
typedef struct {
    uint8_t *writable; /* NULL where only reading is allowed */
    const uint8_t *bytes;
    uint32_t count;
} named;

static void answer(link_server *server)
{
    uint8_t kind = (uint8_t)(server->request.kind | MESSAGE_ANSWER);
    frame_begin(&server->out, kind, server->request.sequence, server->nonce);
}

static outcome done(link_server *server)
{
    frame_send(&server->out);
    return STAY;
}

static outcome refuse(link_server *server, uint8_t error, uint32_t detail)
{
    server->refused++;
    frame_begin(&server->out, MESSAGE_ERROR, server->request.sequence, server->nonce);
    frame_u8(&server->out, server->request.kind);
    frame_u8(&server->out, error);
    frame_u32(&server->out, detail);
    return done(server);
}

static outcome refuse_state(link_server *server)
{
    return refuse(server, ERROR_STATE, server->run | (uint32_t)server->pause << 16);
}

static outcome refuse_length(link_server *server)
{
    return refuse(server, ERROR_LENGTH, (uint32_t)server->request.length);
}

static size_t room(const link_server *server)
{
    return FRAME_BYTES - FRAME_TRAILER - server->out.count;
}

static bool listed(const uint16_t *positions, uint16_t count, uint16_t position)
{
    for (uint16_t i = 0; i < count; i++) {
        if (positions[i] == position) {
            return true;
        }
    }
    return false;
}

/* A model input before op 0, an output of op k at the pause after it. */
static bool writable_here(const link_server *server, uint16_t position)
{
    const nn_model *model = server->model;
    if (server->pause == 0) {
        return listed(model->inputs, model->n_inputs, position);
    }
    const nn_op *op = &model->ops[server->pause - 1];
    return listed(op->outputs, op->n_outputs, position);
}

static bool find_tensor(const link_server *server, uint16_t id, named *found)
{
    const nn_model *model = server->model;
    for (uint16_t i = 0; i < model->n_tensors; i++) {
        const nn_tensor *tensor = &model->tensors[i];
        if (tensor->id == id && tensor->birth <= server->pause && server->pause <= tensor->death) {
            uint8_t *bytes = model->arena + tensor->offset;
            found->bytes = bytes;
            found->writable = writable_here(server, i) ? bytes : NULL;
            found->count = tensor->bytes;
            return true;
        }
    }
    return false;
}

static bool find(const link_server *server, uint8_t space, uint16_t id, named *found)
{
    const nn_model *model = server->model;
    if (space == SPACE_TENSOR) {
        return find_tensor(server, id, found);
    }
    if (space != SPACE_CONSTANT || server->pause >= model->n_ops || id >= model->ops[server->pause].n_constants) {
        return false;
    }
    const nn_block *constant = &model->ops[server->pause].constants[id];
    found->bytes = constant->data;
    found->writable = NULL;
    found->count = constant->bytes;
    return true;
}

static uint32_t model_digest(const nn_model *model)
{
    uint32_t digest = 0;
    for (uint16_t i = 0; i < model->n_digested; i++) {
        digest = crc32(digest, model->digested[i].data, model->digested[i].bytes);
    }
    return digest;
}

static void text(link_server *server, const char *string)
{
    uint8_t length = 0;
    while (length < 255 && string[length] != 0) {
        length++;
    }
    frame_u8(&server->out, length);
    frame_block(&server->out, string, length);
}

static outcome hello(link_server *server)
{
    const nn_model *model = server->model;
    frame *request = &server->request;
    if (request->length != 1) {
        return refuse_length(server);
    }
    if (request->payload[0] != PROTOCOL_VERSION) {
        return refuse(server, ERROR_VERSION, PROTOCOL_VERSION);
    }
    if (request->nonce == 0) {
        return refuse(server, ERROR_SESSION, 0);
    }
    bool fresh = request->nonce != server->nonce;
    if (fresh) {
        server->nonce = request->nonce;
        server->open = false;
    }
    server->sequence = request->sequence;
    answer(server);
    frame_u8(&server->out, PROTOCOL_VERSION);
    frame_u8(&server->out, CAPABILITY_WRITE | CAPABILITY_CONSTANTS);
    frame_u16(&server->out, LINK_PAYLOAD);
    frame_u32(&server->out, model_digest(model));
    frame_u16(&server->out, model->n_ops);
    frame_u16(&server->out, model->n_tensors);
    frame_u16(&server->out, model->n_inputs);
    frame_u16(&server->out, model->n_outputs);
    frame_u32(&server->out, model->arena_bytes);
    frame_u32(&server->out, port_tick_hz());
    text(server, LINK_ENGINE);
    text(server, LINK_BUILD);
    done(server);
    return fresh ? LEAVE : STAY;
}

static outcome tensors(link_server *server)
{
    const nn_model *model = server->model;
    if (server->request.length != 3) {
        return refuse_length(server);
    }
    uint16_t i = u16_at(server->request.payload);
    uint8_t left = server->request.payload[2];
    answer(server);
    frame_u16(&server->out, i);
    for (; i < model->n_tensors && left > 0 && room(server) >= 16; i++, left--) {
        const nn_tensor *tensor = &model->tensors[i];
        frame_u16(&server->out, tensor->id);
        frame_u16(&server->out, tensor->birth);
        frame_u16(&server->out, tensor->death);
        frame_u16(&server->out, tensor->alias_of);
        frame_u32(&server->out, tensor->offset);
        frame_u32(&server->out, tensor->bytes);
    }
    return done(server);
}

static void tensor_ids(link_server *server, const uint16_t *positions, uint8_t count)
{
    for (uint8_t i = 0; i < count; i++) {
        frame_u16(&server->out, server->model->tensors[positions[i]].id);
    }
}

static outcome ops(link_server *server)
{
    const nn_model *model = server->model;
    if (server->request.length != 3) {
        return refuse_length(server);
    }
    uint16_t i = u16_at(server->request.payload);
    uint8_t left = server->request.payload[2];
    answer(server);
    frame_u16(&server->out, i);
    for (; i < model->n_ops && left > 0; i++, left--) {
        const nn_op *op = &model->ops[i];
        if (room(server) < 3u + 2u * op->n_inputs + 2u * op->n_outputs + 4u * op->n_constants) {
            break;
        }
        frame_u8(&server->out, op->n_inputs);
        frame_u8(&server->out, op->n_outputs);
        frame_u8(&server->out, op->n_constants);
        tensor_ids(server, op->inputs, op->n_inputs);
        tensor_ids(server, op->outputs, op->n_outputs);
        for (uint8_t c = 0; c < op->n_constants; c++) {
            frame_u32(&server->out, op->constants[c].bytes);
        }
    }
    return done(server);
}

/* Bytes into a named tensor: the second half of INPUT and WRITE, from the tensor's id on. */
static outcome store(link_server *server, const uint8_t *payload, size_t length)
{
    uint16_t id = u16_at(payload);
    uint32_t offset = u32_at(payload + 2);
    size_t count = length - 6;
    named tensor;
    if (!find(server, SPACE_TENSOR, id, &tensor) || tensor.writable == NULL) {
        return refuse(server, ERROR_NAME, id);
    }
    if (offset > tensor.count || count > tensor.count - offset) {
        return refuse(server, ERROR_RANGE, tensor.count);
    }
    memcpy(tensor.writable + offset, payload + 6, count);
    answer(server);
    frame_u16(&server->out, id);
    frame_u32(&server->out, offset);
    return done(server);
}

static outcome input(link_server *server)
{
    const frame *request = &server->request;
    if (request->length < 8) {
        return refuse_length(server);
    }
    if (server->pause != 0) {
        server->held = true; /* a new run: its first request is served at pause 0 */
        return LEAVE;
    }
    server->run = u16_at(request->payload);
    server->open = true;
    return store(server, request->payload + 2, request->length - 2);
}

/* True where the request names this run and this pause; it begins with both. */
static bool here(const link_server *server)
{
    const uint8_t *payload = server->request.payload;
    return server->open && u16_at(payload) == server->run && u16_at(payload + 2) == server->pause;
}

static outcome write(link_server *server)
{
    const frame *request = &server->request;
    if (request->length < 10) {
        return refuse_length(server);
    }
    return here(server) ? store(server, request->payload + 4, request->length - 4) : refuse_state(server);
}

/* OP_DONE of the op before this pause, from the kept digests: its outputs may have been written to since. */
static outcome op_done(link_server *server)
{
    const nn_model *model = server->model;
    const nn_op *op = &model->ops[server->pause - 1];
    answer(server);
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
    return done(server);
}

static outcome run(link_server *server)
{
    const nn_model *model = server->model;
    const uint8_t *payload = server->request.payload;
    if (server->request.length != 2u + 4u * model->n_inputs) {
        return refuse_length(server);
    }
    if (!server->open || u16_at(payload) != server->run || server->pause > 1) {
        return refuse_state(server);
    }
    if (server->pause == 1) {
        return op_done(server);
    }
    for (uint16_t i = 0; i < model->n_inputs; i++) {
        const nn_tensor *tensor = &model->tensors[model->inputs[i]];
        if (crc32(0, model->arena + tensor->offset, tensor->bytes) != u32_at(payload + 2 + 4 * (size_t)i)) {
            return refuse(server, ERROR_INPUT, tensor->id);
        }
    }
    return STEP;
}

static outcome next(link_server *server)
{
    if (server->request.length != 4) {
        return refuse_length(server);
    }
    uint16_t op = u16_at(server->request.payload + 2);
    bool ours = server->open && u16_at(server->request.payload) == server->run && server->pause > 0;
    if (ours && op + 1 == server->pause) {
        return op_done(server);
    }
    return ours && op == server->pause && op < server->model->n_ops ? STEP : refuse_state(server);
}

static outcome digest(link_server *server)
{
    const frame *request = &server->request;
    if (request->length < 4 || (request->length - 4) % 3 != 0) {
        return refuse_length(server);
    }
    if (!here(server)) {
        return refuse_state(server);
    }
    answer(server);
    for (size_t i = 4; i < request->length; i += 3) {
        named block;
        uint16_t id = u16_at(request->payload + i + 1);
        if (!find(server, request->payload[i], id, &block)) {
            return refuse(server, ERROR_NAME, id);
        }
        if (room(server) < 8) {
            return refuse_length(server);
        }
        frame_u32(&server->out, block.count);
        frame_u32(&server->out, crc32(0, block.bytes, block.count));
    }
    return done(server);
}

/* Answers with as many frames as the range needs, each with its offset; a lost one is asked for again by its range. */
static outcome read(link_server *server)
{
    const uint8_t *payload = server->request.payload;
    if (server->request.length != 17) {
        return refuse_length(server);
    }
    if (!here(server)) {
        return refuse_state(server);
    }
    named block;
    uint16_t id = u16_at(payload + 5);
    uint32_t offset = u32_at(payload + 7);
    uint32_t left = u32_at(payload + 11);
    uint32_t chunk = u16_at(payload + 15);
    if (!find(server, payload[4], id, &block)) {
        return refuse(server, ERROR_NAME, id);
    }
    if (offset > block.count || left > block.count - offset) {
        return refuse(server, ERROR_RANGE, block.count);
    }
    if (chunk == 0 || chunk > LINK_PAYLOAD - 4) {
        chunk = LINK_PAYLOAD - 4;
    }
    do {
        uint32_t count = left < chunk ? left : chunk;
        answer(server);
        frame_u32(&server->out, offset);
        frame_block(&server->out, block.bytes + offset, count);
        frame_send(&server->out);
        offset += count;
        left -= count;
    } while (left > 0);
    return STAY;
}

static outcome abandon(link_server *server)
{
    server->open = false;
    answer(server);
    done(server);
    return LEAVE;
}

static outcome stats(link_server *server)
{
    answer(server);
    frame_u32(&server->out, server->in.good);
    frame_u32(&server->out, server->in.damaged);
    frame_u32(&server->out, server->refused);
    frame_u64(&server->out, port_ticks());
    return done(server);
}

static outcome handle(link_server *server)
{
    const frame *request = &server->request;
    if (request->kind == MESSAGE_HELLO) {
        return hello(server);
    }
    if (server->nonce == 0 || request->nonce != server->nonce) {
        return refuse(server, ERROR_SESSION, 0);
    }
    uint16_t ahead = (uint16_t)(request->sequence - server->sequence);
    if (ahead >= 0x8000u) {
        return refuse(server, ERROR_STALE, server->sequence);
    }
    server->sequence = request->sequence;
    switch (request->kind) {
    case MESSAGE_TENSORS: return tensors(server);
    case MESSAGE_OPS: return ops(server);
    case MESSAGE_INPUT: return input(server);
    case MESSAGE_RUN: return run(server);
    case MESSAGE_NEXT: return next(server);
    case MESSAGE_DIGEST: return digest(server);
    case MESSAGE_READ: return read(server);
    case MESSAGE_WRITE: return write(server);
    case MESSAGE_ABORT: return abandon(server);
    case MESSAGE_STATS: return stats(server);
    default: return refuse(server, ERROR_UNKNOWN, PROTOCOL_VERSION);
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
    for (;;) {
        if (!server->held) {
            await_request(server);
        }
        server->held = false;
        outcome after = handle(server);
        if (after == STEP || (after == LEAVE && pause > 0)) {
            return after == STEP;
        }
    }
}

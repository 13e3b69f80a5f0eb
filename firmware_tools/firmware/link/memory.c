#include "parts.h"

#include <string.h>

#include "crc32.h"

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

static bool find_tensor(const link_server *server, uint16_t id, link_named *found)
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

static bool find(const link_server *server, uint8_t space, uint16_t id, link_named *found)
{
    const nn_model *model = server->model;
    if (space == SPACE_TENSOR) {
        return find_tensor(server, id, found);
    }
    if (space == SPACE_RAW && server->captured && server->pause == 0 && id == 0) {
        found->bytes = server->raw.bytes;
        found->writable = NULL;
        found->count = server->raw.count;
        return true;
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

/* True where the request names this run and this pause; it begins with both. */
static bool here(const link_server *server)
{
    const uint8_t *payload = server->request.payload;
    return server->open && u16_at(payload) == server->run && u16_at(payload + 2) == server->pause;
}

/* Bytes into a named tensor: the second half of INPUT and WRITE, from the tensor's id on. */
static link_outcome store(link_server *server, const uint8_t *payload, size_t length)
{
    uint16_t id = u16_at(payload);
    uint32_t offset = u32_at(payload + 2);
    size_t count = length - 6;
    link_named tensor;
    if (!find(server, SPACE_TENSOR, id, &tensor) || tensor.writable == NULL) {
        return link_refuse(server, ERROR_NAME, id);
    }
    if (offset > tensor.count || count > tensor.count - offset) {
        return link_refuse(server, ERROR_RANGE, tensor.count);
    }
    memcpy(tensor.writable + offset, payload + 6, count);
    link_answer(server);
    frame_u16(&server->out, id);
    frame_u32(&server->out, offset);
    return link_done(server);
}

link_outcome link_input(link_server *server)
{
    const frame *request = &server->request;
    if (request->length < 8) {
        return link_refuse_length(server);
    }
    if (server->pause != 0) {
        server->held = true; /* a new run: its first request is served at pause 0 */
        return LINK_LEAVE;
    }
    server->run = u16_at(request->payload);
    server->open = true;
    server->captured = false;
    return store(server, request->payload + 2, request->length - 2);
}

link_outcome link_write(link_server *server)
{
    const frame *request = &server->request;
    if (request->length < 10) {
        return link_refuse_length(server);
    }
    return here(server) ? store(server, request->payload + 4, request->length - 4) : link_refuse_state(server);
}

link_outcome link_digest(link_server *server)
{
    const frame *request = &server->request;
    if (request->length < 4 || (request->length - 4) % 3 != 0) {
        return link_refuse_length(server);
    }
    if (!here(server)) {
        return link_refuse_state(server);
    }
    link_answer(server);
    for (size_t i = 4; i < request->length; i += 3) {
        link_named block;
        uint16_t id = u16_at(request->payload + i + 1);
        if (!find(server, request->payload[i], id, &block)) {
            return link_refuse(server, ERROR_NAME, id);
        }
        if (link_room(server) < 8) {
            return link_refuse_length(server);
        }
        frame_u32(&server->out, block.count);
        frame_u32(&server->out, crc32(0, block.bytes, block.count));
    }
    return link_done(server);
}

/* Answers with as many frames as the range needs, each with its offset; a lost one is asked for again by its range. */
link_outcome link_read(link_server *server)
{
    const uint8_t *payload = server->request.payload;
    if (server->request.length != 17) {
        return link_refuse_length(server);
    }
    if (!here(server)) {
        return link_refuse_state(server);
    }
    link_named block;
    uint16_t id = u16_at(payload + 5);
    uint32_t offset = u32_at(payload + 7);
    uint32_t left = u32_at(payload + 11);
    uint32_t chunk = u16_at(payload + 15);
    if (!find(server, payload[4], id, &block)) {
        return link_refuse(server, ERROR_NAME, id);
    }
    if (offset > block.count || left > block.count - offset) {
        return link_refuse(server, ERROR_RANGE, block.count);
    }
    if (chunk == 0 || chunk > LINK_ANSWER - 4) {
        chunk = LINK_ANSWER - 4;
    }
    do {
        uint32_t count = left < chunk ? left : chunk;
        link_answer(server);
        frame_u32(&server->out, offset);
        frame_block(&server->out, block.bytes + offset, count);
        frame_send(&server->out);
        offset += count;
        left -= count;
    } while (left > 0);
    return LINK_STAY;
}

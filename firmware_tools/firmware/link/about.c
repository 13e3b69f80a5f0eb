#include "parts.h"

#include "crc32.h"
#include "port.h"

#ifndef LINK_BUILD
#define LINK_BUILD "unnamed build"
#endif
#ifndef LINK_ENGINE
#define LINK_ENGINE "built-in"
#endif

static uint32_t model_digest(const nn_model *model)
{
    uint32_t digest = 0;
    for (uint16_t i = 0; i < model->n_digested; i++) {
        digest = crc32(digest, model->digested[i].data, model->digested[i].bytes);
    }
    return digest;
}

/* As much of a text as still fits, with one byte left for the length of the next. */
static void text(link_server *server, const char *string)
{
    uint8_t length = 0;
    while (length < 255 && length + 2u < link_room(server) && string[length] != 0) {
        length++;
    }
    frame_u8(&server->out, length);
    frame_block(&server->out, string, length);
}

static uint8_t capabilities(const nn_model *model)
{
    uint8_t can = CAPABILITY_WRITE | CAPABILITY_CONSTANTS | CAPABILITY_FEED | CAPABILITY_KEEPS_INPUT;
    for (uint16_t i = 0; i < model->n_inputs; i++) {
        if (model->tensors[model->inputs[i]].death < model->n_ops) {
            can &= (uint8_t)~CAPABILITY_KEEPS_INPUT; /* its memory is used again */
        }
    }
    return link_sensor == NULL ? can : can | CAPABILITY_CAPTURE;
}

link_outcome link_hello(link_server *server)
{
    const nn_model *model = server->model;
    frame *request = &server->request;
    if (request->length == 0) {
        return link_refuse_length(server);
    }
    if (request->payload[0] != PROTOCOL_VERSION) { /* first: another version's HELLO may be longer */
        return link_refuse_version(server);
    }
    if (request->length != 1) {
        return link_refuse_length(server);
    }
    if (request->nonce == 0) {
        return link_refuse(server, ERROR_SESSION, 0);
    }
    bool fresh = request->nonce != server->nonce;
    if (fresh) {
        server->nonce = request->nonce;
        server->open = false;
        server->sequence = request->sequence; /* a late repeat of HELLO must not make old requests new again */
    }
    link_answer(server);
    frame_u8(&server->out, PROTOCOL_VERSION);
    frame_u8(&server->out, capabilities(model));
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
    link_done(server);
    return fresh ? LINK_LEAVE : LINK_STAY;
}

link_outcome link_tensors(link_server *server)
{
    const nn_model *model = server->model;
    if (server->request.length != 3) {
        return link_refuse_length(server);
    }
    uint16_t i = u16_at(server->request.payload);
    uint8_t left = server->request.payload[2];
    link_answer(server);
    frame_u16(&server->out, i);
    for (; i < model->n_tensors && left > 0 && link_room(server) >= 16; i++, left--) {
        const nn_tensor *tensor = &model->tensors[i];
        frame_u16(&server->out, tensor->id);
        frame_u16(&server->out, tensor->birth);
        frame_u16(&server->out, tensor->death);
        frame_u16(&server->out, tensor->alias_of);
        frame_u32(&server->out, tensor->offset);
        frame_u32(&server->out, tensor->bytes);
    }
    return link_done(server);
}

static void tensor_ids(link_server *server, const uint16_t *positions, uint8_t count)
{
    for (uint8_t i = 0; i < count; i++) {
        frame_u16(&server->out, server->model->tensors[positions[i]].id);
    }
}

link_outcome link_ops(link_server *server)
{
    const nn_model *model = server->model;
    if (server->request.length != 3) {
        return link_refuse_length(server);
    }
    uint16_t i = u16_at(server->request.payload);
    uint8_t left = server->request.payload[2];
    link_answer(server);
    frame_u16(&server->out, i);
    for (; i < model->n_ops && left > 0; i++, left--) {
        const nn_op *op = &model->ops[i];
        if (link_room(server) < 3u + 2u * op->n_inputs + 2u * op->n_outputs + 4u * op->n_constants) {
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
    return link_done(server);
}

link_outcome link_stats(link_server *server)
{
    if (server->request.length != 0) {
        return link_refuse_length(server);
    }
    link_answer(server);
    frame_u32(&server->out, server->in.good);
    frame_u32(&server->out, server->in.damaged);
    frame_u32(&server->out, server->refused);
    frame_u64(&server->out, port_ticks());
    return link_done(server);
}

/* CAPTURE: the device fills its own input, so that the host can judge the board's preprocessing too. */
#include "parts.h"

#include "crc32.h"

link_sensor_function link_sensor;

static void captured(link_server *server)
{
    const nn_model *model = server->model;
    const link_raw *raw = &server->raw;
    link_answer(server);
    frame_u16(&server->out, server->run);
    frame_u8(&server->out, raw->format);
    frame_u16(&server->out, raw->width);
    frame_u16(&server->out, raw->height);
    frame_u32(&server->out, raw->count);
    frame_u32(&server->out, crc32(0, raw->bytes, raw->count));
    frame_u8(&server->out, (uint8_t)model->n_inputs);
    for (uint16_t i = 0; i < model->n_inputs; i++) {
        const nn_tensor *tensor = &model->tensors[model->inputs[i]];
        frame_u16(&server->out, tensor->id);
        frame_u32(&server->out, tensor->bytes);
        frame_u32(&server->out, crc32(0, model->arena + tensor->offset, tensor->bytes));
    }
}

link_outcome link_capture(link_server *server)
{
    const frame *request = &server->request;
    if (request->length != 2) {
        return link_refuse_length(server);
    }
    if (server->pause != 0) {
        server->held = true; /* a new run: served at pause 0 */
        return LINK_LEAVE;
    }
    uint16_t run = u16_at(request->payload);
    bool repeat = server->open && server->captured && server->run == run;
    if (!repeat) {
        server->raw = (link_raw){0};
        server->open = false;
        server->captured = link_sensor != NULL && link_sensor(server->model, &server->raw);
        if (!server->captured) {
            return link_refuse(server, ERROR_SENSOR, 0);
        }
        server->run = run;
        server->open = true;
    }
    captured(server);
    return link_done(server);
}

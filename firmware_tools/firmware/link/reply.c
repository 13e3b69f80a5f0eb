#include "parts.h"

void link_answer(link_server *server)
{
    uint8_t kind = (uint8_t)(server->request.kind | MESSAGE_ANSWER);
    frame_begin(&server->out, kind, server->request.sequence, server->nonce);
}

link_outcome link_done(link_server *server)
{
    if (server->request.kind != MESSAGE_FEED) { /* which has no answer, not even an error: RUN tells */
        frame_send(&server->out);
    }
    return LINK_STAY;
}

static link_outcome refuse(link_server *server, uint32_t nonce, uint8_t error, uint32_t detail)
{
    server->refused++;
    frame_begin(&server->out, MESSAGE_ERROR, server->request.sequence, nonce);
    frame_u8(&server->out, server->request.kind);
    frame_u8(&server->out, error);
    frame_u32(&server->out, detail);
    return link_done(server);
}

link_outcome link_refuse(link_server *server, uint8_t error, uint32_t detail)
{
    return refuse(server, server->nonce, error, detail);
}

link_outcome link_refuse_state(link_server *server)
{
    return link_refuse(server, ERROR_STATE, server->run | (uint32_t)server->pause << 16);
}

link_outcome link_refuse_length(link_server *server)
{
    return link_refuse(server, ERROR_LENGTH, (uint32_t)server->request.length);
}

/* Under the nonce of the HELLO, which opened no session: its sender knows no other. */
link_outcome link_refuse_version(link_server *server)
{
    return refuse(server, server->request.nonce, ERROR_VERSION, PROTOCOL_VERSION);
}

size_t link_room(const link_server *server)
{
    return FRAME_SENT - FRAME_TRAILER - server->out.count;
}

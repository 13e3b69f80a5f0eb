/* Inside of the server: what its three parts share. Nothing here is for the port or the engine. */
#ifndef LINK_PARTS_H
#define LINK_PARTS_H

#include "protocol.h"
#include "server.h"

/* What follows a request: stay at this pause, let the op run, or leave the run. */
typedef enum { LINK_STAY, LINK_STEP, LINK_LEAVE } link_outcome;

/* Bytes that a request may name at this pause. */
typedef struct {
    uint8_t *writable; /* NULL where only reading is allowed */
    const uint8_t *bytes;
    uint32_t count;
} link_named;

/* reply.c: begin an answer, send it, or send an error instead. */
void link_answer(link_server *server);
link_outcome link_done(link_server *server);
link_outcome link_refuse(link_server *server, uint8_t error, uint32_t detail);
link_outcome link_refuse_state(link_server *server);
link_outcome link_refuse_length(link_server *server);
link_outcome link_refuse_version(link_server *server);
size_t link_room(const link_server *server);

/* about.c: requests about the device and its model. */
link_outcome link_hello(link_server *server);
link_outcome link_tensors(link_server *server);
link_outcome link_ops(link_server *server);
link_outcome link_stats(link_server *server);

/* capture.c: the device fills its own input. */
link_outcome link_capture(link_server *server);

/* memory.c: requests for bytes, each checked against the op table. */
link_outcome link_input(link_server *server);
link_outcome link_write(link_server *server);
link_outcome link_digest(link_server *server);
link_outcome link_read(link_server *server);

#endif

/*
 * The device's end of the link: a request/response server that holds the model at a pause until the host lets it go.
 * Whoever runs the ops calls `link_pause` before op 0 and after each op. Safe to reset at any moment; no heap.
 */
#ifndef LINK_SERVER_H
#define LINK_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "frame.h"
#include "../nn/nn.h"

#ifndef LINK_OUTPUTS
#define LINK_OUTPUTS 8 /* most outputs that one op may have */
#endif

/* A sensor's frame as it came, before any preprocessing. It stays where it is while the model waits at pause 0. */
typedef struct {
    const uint8_t *bytes;
    uint32_t count;
    uint8_t format; /* RAW_GREY8 and its like in protocol.h */
    uint16_t width;
    uint16_t height;
} link_raw;

/* Fills the model's inputs from the board's own sensor; false where there was nothing to take. */
typedef bool (*link_sensor_function)(const nn_model *model, link_raw *raw);

/* Set by a program that has a sensor, before link_serve; NULL: CAPTURE is refused. */
extern link_sensor_function link_sensor;

typedef struct {
    const nn_model *model;
    frame_receiver in;
    frame_sender out;
    frame request;
    bool held;              /* the request in `request` waits for pause 0 */
    bool open;              /* a run was begun by INPUT, FEED or CAPTURE */
    bool captured;          /* by CAPTURE: `raw` is its frame */
    link_raw raw;
    uint16_t run;
    uint16_t pause;
    uint16_t sequence;      /* newest of this session */
    uint32_t nonce;         /* 0 after reset: no session */
    uint32_t refused;
    uint64_t ticks;         /* of the op before this pause, with the digests of its outputs: the answer to a repeat */
    uint32_t digests[LINK_OUTPUTS];
} link_server;

/*
 * Serves the host at `pause`; `ticks` is what the op before it took. True: run op `pause`. False: the run is over, go
 * back to pause 0.
 */
bool link_pause(link_server *server, uint16_t pause, uint64_t ticks);

/* Runs the model for the host, for ever. */
void link_serve(const nn_model *model);

#endif

/*
 * Frames on a byte stream: kind, sequence number, session nonce, payload, CRC-32; COBS between zero bytes.
 * docs/protocol.md draws them. One buffer for the frame that comes in, one for the frame that goes out.
 */
#ifndef LINK_FRAME_H
#define LINK_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifndef LINK_PAYLOAD
#define LINK_PAYLOAD 2048 /* largest payload of a request, in bytes: what a long input is sent in */
#endif
#ifndef LINK_ANSWER
#define LINK_ANSWER 1024 /* largest payload of an answer */
#endif

enum {
    FRAME_HEADER = 7, /* kind, sequence (2), nonce (4) */
    FRAME_TRAILER = 4, /* CRC-32 */
    FRAME_RECEIVED = FRAME_HEADER + LINK_PAYLOAD + FRAME_TRAILER,
    FRAME_SENT = FRAME_HEADER + LINK_ANSWER + FRAME_TRAILER,
};

typedef struct {
    uint8_t kind;
    uint16_t sequence;
    uint32_t nonce;
    const uint8_t *payload;
    size_t length;
} frame;

/* What comes in: the bytes of the frame so far, with the state of the COBS decoder. Zeroed, it is ready. */
typedef struct {
    uint8_t bytes[FRAME_RECEIVED];
    size_t count;
    uint8_t left;      /* bytes until the next COBS code */
    bool zero_due;     /* a zero stands where that code is */
    bool started;      /* a code was seen since the last delimiter */
    bool spoilt;       /* too long, or cut inside a block: dropped at its delimiter */
    uint32_t good;     /* whole frames */
    uint32_t damaged;  /* wrong CRC, wrong COBS or wrong length */
} frame_receiver;

/* What goes out: header and payload are written here, then sent. */
typedef struct {
    uint8_t bytes[FRAME_SENT];
    size_t count;
} frame_sender;

/* Takes one byte of the line; true when it completed a frame, which stays valid until the next call. */
bool frame_receive(frame_receiver *receiver, uint8_t byte, frame *got);

void frame_begin(frame_sender *sender, uint8_t kind, uint16_t sequence, uint32_t nonce);
void frame_u8(frame_sender *sender, uint8_t value);
void frame_u16(frame_sender *sender, uint16_t value);
void frame_u32(frame_sender *sender, uint32_t value);
void frame_u64(frame_sender *sender, uint64_t value);
void frame_block(frame_sender *sender, const void *bytes, size_t count);
void frame_send(frame_sender *sender);

/* Little-endian numbers of a payload. */
uint16_t u16_at(const uint8_t *bytes);
uint32_t u32_at(const uint8_t *bytes);

#endif

#include "frame.h"

#include <string.h>

#include "crc32.h"
#include "port.h"

_Static_assert(LINK_PAYLOAD >= 32 && LINK_PAYLOAD <= 0xFFFF, "a request needs 32 bytes, and its size is a u16");
_Static_assert(LINK_ANSWER >= 128, "the answers to HELLO and RUN need 128 bytes");

uint16_t u16_at(const uint8_t *bytes)
{
    return (uint16_t)(bytes[0] | bytes[1] << 8);
}

uint32_t u32_at(const uint8_t *bytes)
{
    return u16_at(bytes) | (uint32_t)u16_at(bytes + 2) << 16;
}

static void store(frame_receiver *receiver, uint8_t byte)
{
    if (receiver->count < FRAME_RECEIVED) {
        receiver->bytes[receiver->count++] = byte;
    } else {
        receiver->spoilt = true;
    }
}

static void restart(frame_receiver *receiver)
{
    receiver->count = 0;
    receiver->left = 0;
    receiver->zero_due = false;
    receiver->started = false;
    receiver->spoilt = false;
}

static bool finish(frame_receiver *receiver, frame *got)
{
    size_t count = receiver->count;
    bool whole = !receiver->spoilt && receiver->left == 0 && count >= FRAME_HEADER + FRAME_TRAILER;
    if (whole) {
        size_t covered = count - FRAME_TRAILER;
        const uint8_t *bytes = receiver->bytes;
        whole = crc32(0, bytes, covered) == u32_at(bytes + covered);
        got->kind = bytes[0];
        got->sequence = u16_at(bytes + 1);
        got->nonce = u32_at(bytes + 3);
        got->payload = bytes + FRAME_HEADER;
        got->length = covered - FRAME_HEADER;
    }
    if (whole) {
        receiver->good++;
    } else {
        receiver->damaged++;
    }
    return whole;
}

bool frame_receive(frame_receiver *receiver, uint8_t byte, frame *got)
{
    if (byte == 0) {
        bool whole = receiver->started && finish(receiver, got);
        restart(receiver);
        return whole;
    }
    receiver->started = true;
    if (receiver->left > 0) {
        receiver->left--;
        store(receiver, byte);
        return false;
    }
    if (receiver->zero_due) {
        store(receiver, 0);
    }
    receiver->left = (uint8_t)(byte - 1);
    receiver->zero_due = byte != 0xFF; /* a full block of 254 bytes has no zero behind it */
    return false;
}

void frame_begin(frame_sender *sender, uint8_t kind, uint16_t sequence, uint32_t nonce)
{
    sender->count = 0;
    frame_u8(sender, kind);
    frame_u16(sender, sequence);
    frame_u32(sender, nonce);
}

void frame_block(frame_sender *sender, const void *bytes, size_t count)
{
    if (count > FRAME_SENT - FRAME_TRAILER - sender->count) {
        count = FRAME_SENT - FRAME_TRAILER - sender->count; /* never overrun, whatever the caller believes */
    }
    memcpy(sender->bytes + sender->count, bytes, count);
    sender->count += count;
}

void frame_u8(frame_sender *sender, uint8_t value)
{
    frame_block(sender, &value, 1);
}

void frame_u16(frame_sender *sender, uint16_t value)
{
    frame_u8(sender, (uint8_t)(value & 0xFF));
    frame_u8(sender, (uint8_t)(value >> 8));
}

void frame_u32(frame_sender *sender, uint32_t value)
{
    frame_u16(sender, (uint16_t)(value & 0xFFFF));
    frame_u16(sender, (uint16_t)(value >> 16));
}

void frame_u64(frame_sender *sender, uint64_t value)
{
    frame_u32(sender, (uint32_t)(value & 0xFFFFFFFFu));
    frame_u32(sender, (uint32_t)(value >> 32));
}

/* COBS straight to the line: each run of up to 254 bytes without a zero goes out behind its length plus one. */
void frame_send(frame_sender *sender)
{
    static const uint8_t delimiter = 0;
    uint32_t crc = crc32(0, sender->bytes, sender->count);
    for (int shift = 0; shift < 32; shift += 8) {
        sender->bytes[sender->count++] = (uint8_t)(crc >> shift & 0xFF);
    }
    port_write(&delimiter, 1); /* ends whatever noise the line carried before */
    size_t start = 0;
    for (;;) {
        size_t run = 0;
        while (run < 254 && start + run < sender->count && sender->bytes[start + run] != 0) {
            run++;
        }
        uint8_t code = (uint8_t)(run + 1);
        port_write(&code, 1);
        port_write(sender->bytes + start, run);
        start += run;
        if (start >= sender->count) {
            break;
        }
        if (run < 254) {
            start++; /* the zero that the code stands for */
        }
    }
    port_write(&delimiter, 1);
}

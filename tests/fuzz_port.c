/*
 * The server behind a port that is a fuzzer: a corpus of request streams, mutated, kept where they reach new code.
 *
 * Frames are put together with right CRCs around mutated payloads, so that the handlers see them, and are then at times
 * spoilt as bytes. Coverage comes from -fsanitize-coverage=trace-pc. After each stream a HELLO must be answered.
 * Arguments: number of streams, seed. Prints streams, edges, corpus, answers.
 */
#include "link/port.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "link/crc32.h"
#include "link/protocol.h"
#include "link/server.h"

enum { STREAM = 4096, CORPUS = 512, MAP = 1 << 14 };

typedef struct {
    uint8_t bytes[STREAM];
    size_t count;
} stream;

static stream corpus[CORPUS], now;
static size_t kept, at;
static unsigned long left, done, edges, answers, hellos;
static uint8_t map[MAP];
static unsigned long new_edges;
static uint64_t state;

void __sanitizer_cov_trace_pc(void);

__attribute__((no_sanitize_coverage)) void __sanitizer_cov_trace_pc(void)
{
    size_t slot = (size_t)__builtin_return_address(0) % MAP;
    new_edges += !map[slot];
    map[slot] = 1;
}

static uint32_t chance(uint32_t below)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 32) % below;
}

static uint32_t edge_number(void)
{
    static const uint32_t known[] = {0, 1, 2, 3, 4, 7, 8, 9, 10, 11, 24, 25, 47, 48, 49, 255, 1024, 0x7FFF, 0xFFFF, 0xFFFFFFFF};
    return chance(4) ? known[chance(sizeof known / sizeof *known)] : (uint32_t)(state >> 11);
}

static void put(stream *to, uint8_t byte)
{
    if (to->count < STREAM) {
        to->bytes[to->count++] = byte;
    }
}

/* COBS of a body with its CRC, between zeros. */
static void put_frame(stream *to, uint8_t kind, uint16_t sequence, uint32_t nonce, const uint8_t *payload, size_t length)
{
    uint8_t body[2200];
    size_t n = 0;
    body[n++] = kind;
    body[n++] = (uint8_t)sequence;
    body[n++] = (uint8_t)(sequence >> 8);
    memcpy(body + n, &nonce, 4);
    n += 4;
    memcpy(body + n, payload, length);
    n += length;
    uint32_t crc = crc32(0, body, n);
    memcpy(body + n, &crc, 4);
    n += 4;
    put(to, 0);
    for (size_t start = 0; start <= n;) {
        size_t run = 0;
        while (run < 254 && start + run < n && body[start + run] != 0) {
            run++;
        }
        put(to, (uint8_t)(run + 1));
        for (size_t i = 0; i < run; i++) {
            put(to, body[start + i]);
        }
        start += run + (run < 254);
        if (start >= n && !(start == n && run < 254 && n > 0 && body[n - 1] == 0)) {
            break;
        }
    }
    put(to, 0);
}

static void put_request(stream *to, uint16_t sequence)
{
    uint8_t payload[2100];
    uint8_t kind = (uint8_t)(chance(20) ? 1 + chance(13) : chance(256));
    size_t length = chance(8) ? chance(20) : chance(2060);
    for (size_t i = 0; i < length; i += 2) {
        uint32_t number = edge_number();
        memcpy(payload + i, &number, 4);
    }
    payload[0] = 1; /* the run */
    payload[1] = 0;
    if (chance(2)) {
        payload[2] = (uint8_t)chance(5); /* a pause, an op or a tensor */
        payload[3] = 0;
    }
    if ((kind == MESSAGE_INPUT || kind == MESSAGE_FEED) && chance(4)) {
        memset(payload + 2, 0, 54);
        length = 56;
    }
    if (kind == MESSAGE_RUN && chance(8)) {
        static const uint8_t zeros[48];
        uint32_t crc = crc32(0, zeros, sizeof zeros);
        memcpy(payload + 2, &crc, 4);
        length = 6;
    }
    if (kind == MESSAGE_NEXT) {
        length = 4;
    }
    if (kind == MESSAGE_READ && chance(8)) {
        length = 17;
    }
    put_frame(to, kind, sequence, chance(50) ? 1 : 0, payload, length);
}

static void hello(stream *to, uint32_t nonce)
{
    uint8_t version = PROTOCOL_VERSION;
    put_frame(to, MESSAGE_HELLO, 1, nonce, &version, 1);
}

static void mutate(stream *to)
{
    for (uint32_t times = chance(6); times > 0 && to->count > 0; times--) {
        size_t place = chance((uint32_t)to->count);
        switch (chance(4)) {
        case 0: to->bytes[place] ^= (uint8_t)(1u << chance(8)); break;
        case 1: to->bytes[place] = (uint8_t)chance(256); break;
        case 2: to->count = place; break;
        default:
            memmove(to->bytes + place, to->bytes + place + 1, to->count - place - 1);
            to->count--;
        }
    }
}

static void next_stream(void)
{
    if (new_edges > 0 && kept < CORPUS) {
        corpus[kept++] = now;
    }
    edges += new_edges;
    new_edges = 0;
    if (done == left) {
        printf("%lu %lu %zu %lu %lu\n", done, edges, kept, answers, hellos);
        exit(hellos >= done ? 0 : 1);
    }
    done++;
    now.count = 0;
    put(&now, 0);
    hello(&now, 1);
    if (kept > 0 && chance(2)) {
        now = corpus[chance((uint32_t)kept)];
    }
    for (uint32_t requests = chance(12), sequence = 2; requests > 0; requests--, sequence += chance(3)) {
        put_request(&now, (uint16_t)(sequence + chance(40)));
    }
    mutate(&now);
    if (now.count > STREAM - 64) {
        now.count = STREAM - 64;
    }
    put(&now, 0);
    hello(&now, 2); /* which must be answered, whatever came before; and ends the session */
    at = 0;
}

size_t port_read(uint8_t *to, size_t most)
{
    if (at >= now.count) {
        next_stream();
    }
    size_t count = now.count - at < most ? now.count - at : most;
    memcpy(to, now.bytes + at, count);
    at += count;
    return count;
}

void port_write(const uint8_t *bytes, size_t count)
{
    static uint8_t head[9];
    static size_t filled;
    for (size_t i = 0; i < count; i++) {
        if (bytes[i] == 0) {
            answers += filled >= 9;
            /* code, kind, sequence low, code of the zero, nonce 2: the HELLO that ends each stream */
            hellos += filled >= 5 && head[1] == (MESSAGE_HELLO | MESSAGE_ANSWER) && head[2] == 1 && head[4] == 2;
            filled = 0;
        } else if (filled < sizeof head) {
            head[filled++] = bytes[i];
        }
    }
}

uint64_t port_ticks(void)
{
    return done;
}

uint32_t port_tick_hz(void)
{
    return 1000;
}

void port_idle(void)
{
}

static uint8_t picture[97];

static bool sensor(const nn_model *model, link_raw *raw)
{
    memset(model->arena + model->tensors[model->inputs[0]].offset, 7, model->tensors[model->inputs[0]].bytes);
    *raw = (link_raw){.bytes = picture, .count = sizeof picture, .format = RAW_GREY8, .width = 97, .height = 1};
    return chance(4) != 0;
}

int main(int count, char **arguments)
{
    left = count > 1 ? strtoul(arguments[1], NULL, 10) : 1000;
    state = 88172645463325252u ^ (count > 2 ? strtoul(arguments[2], NULL, 10) : 0);
    link_sensor = sensor;
    link_serve(&nn_the_model);
}

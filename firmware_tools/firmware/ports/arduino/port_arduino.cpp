#ifdef ARDUINO /* elsewhere the functions of link/port.h are yours to write */

#include "port_arduino.h"

extern "C" {
#include "link/port.h"
}

static Stream *the_line;

/* Many boards send what one call of write is given as one USB packet: what belongs together goes out together. */
static uint8_t staged[256];
static size_t staged_count;

/* A host that has gone takes nothing any more. It is not waited for longer than this; it will ask again. */
static const unsigned long GIVE_UP_MS = 1000;

static void send_staged()
{
    size_t sent = 0;
    unsigned long since = millis();
    while (sent < staged_count && millis() - since < GIVE_UP_MS) {
        size_t count = the_line->write(staged + sent, staged_count - sent);
        if (count > 0) {
            since = millis();
        } else {
            yield();
        }
        sent += count;
    }
    staged_count = 0;
}

size_t port_read(uint8_t *to, size_t most)
{
    send_staged();
    size_t count = 0;
    while (count < most && the_line->available() > 0) {
        int byte = the_line->read();
        if (byte < 0) {
            break;
        }
        to[count++] = (uint8_t)byte;
    }
    return count;
}

void port_write(const uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        staged[staged_count++] = bytes[i];
        if (staged_count == sizeof staged) {
            send_staged();
        }
    }
}

/* micros() wraps every 72 minutes; this is called at least once an op. */
uint64_t port_ticks(void)
{
    static uint64_t ticks;
    static uint32_t last;
    uint32_t now = (uint32_t)micros();
    ticks += (uint32_t)(now - last);
    last = now;
    return ticks;
}

uint32_t port_tick_hz(void)
{
    return 1000000u;
}

void port_idle(void)
{
    yield();
}

void port_begin(Stream &line)
{
    the_line = &line;
}

#endif

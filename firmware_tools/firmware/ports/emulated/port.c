/*
 * The port of the emulated boards: a UART that no chip has, at an address that no board of ours uses. Everything else
 * in the image (engine, model, memory map, core, start-up) is the real board's.
 */
#include "../../link/port.h"

#include "../../link/server.h"

typedef struct {
    volatile uint32_t waiting;       /* read: bytes that wait. The emulator rests here while there are none */
    volatile uint32_t data;          /* read: one byte; write: one byte */
    volatile uint32_t send_from;     /* write: address of a block to send */
    volatile uint32_t send_count;    /* write: its length; sends it */
    volatile uint32_t receive_to;    /* write: address of room for a block */
    volatile uint32_t receive_count; /* write: its size; read: how many bytes were put there */
} virtual_uart;

#define UART ((virtual_uart *)0xF0000000u)

size_t port_read(uint8_t *to, size_t most)
{
    if (UART->waiting == 0) {
        return 0;
    }
    UART->receive_to = (uint32_t)(uintptr_t)to;
    UART->receive_count = (uint32_t)most;
    return UART->receive_count;
}

void port_write(const uint8_t *bytes, size_t count)
{
    UART->send_from = (uint32_t)(uintptr_t)bytes;
    UART->send_count = (uint32_t)count;
}

/* No clock: the emulator counts instructions by itself. */
uint64_t port_ticks(void)
{
    return 0;
}

uint32_t port_tick_hz(void)
{
    return 0;
}

void port_idle(void)
{
}

int main(void)
{
    link_serve(&nn_the_model);
    return 0;
}

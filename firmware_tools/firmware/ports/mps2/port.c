/*
 * The port of Arm's MPS2 boards as QEMU has them (mps2-an386, mps2-an500): CMSDK UART 0 and CMSDK timer 0. Registers:
 * Arm DDI 0479, Cortex-M System Design Kit, sections 4.3 (UART) and 4.1 (timer).
 */
#include "../../link/port.h"

#include "../../link/server.h"

typedef struct {
    volatile uint32_t data;
    volatile uint32_t state;   /* bit 0: transmit buffer full, bit 1: receive buffer full */
    volatile uint32_t control; /* bit 0: transmit, bit 1: receive, bit 3: interrupt on receive */
    volatile uint32_t interrupts; /* bit 1: received; write to clear */
    volatile uint32_t divider; /* of the clock, 16 at least */
} cmsdk_uart;

typedef struct {
    volatile uint32_t control; /* bit 0: on */
    volatile uint32_t value;   /* counts down */
    volatile uint32_t reload;
} cmsdk_timer;

#define UART ((cmsdk_uart *)0x40004000u)
#define TIMER ((cmsdk_timer *)0x40000000u)
#define INTERRUPTS_ON (*(volatile uint32_t *)0xE000E100u)
#define INTERRUPTS_NOT_PENDING (*(volatile uint32_t *)0xE000E280u)

enum { TRANSMIT_FULL = 1, RECEIVE_FULL = 2, RECEIVED = 2, UART_RECEIVE_INTERRUPT = 1 << 0 };

size_t port_read(uint8_t *to, size_t most)
{
    size_t count = 0;
    while (count < most && (UART->state & RECEIVE_FULL) != 0) {
        to[count++] = (uint8_t)UART->data;
        UART->interrupts = RECEIVED;
        INTERRUPTS_NOT_PENDING = UART_RECEIVE_INTERRUPT;
    }
    return count;
}

void port_write(const uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        while ((UART->state & TRANSMIT_FULL) != 0) {
        }
        UART->data = bytes[i];
    }
}

/* The timer wraps every 172 s; this is called at least once an op. */
uint64_t port_ticks(void)
{
    static uint64_t ticks;
    static uint32_t last;
    uint32_t now = ~TIMER->value;
    ticks += (uint32_t)(now - last);
    last = now;
    return ticks;
}

uint32_t port_tick_hz(void)
{
    return 25000000u;
}

/* Interrupts are masked, so that one that is pending wakes the core and nothing more; none can come in between. */
void port_idle(void)
{
    if ((UART->state & RECEIVE_FULL) == 0) {
        __asm__ volatile("wfi" ::: "memory");
    }
}

int main(void)
{
    __asm__ volatile("cpsid i" ::: "memory");
    UART->divider = 16;
    UART->control = 1u | 2u | 8u;
    INTERRUPTS_ON = UART_RECEIVE_INTERRUPT;
    TIMER->reload = 0xFFFFFFFFu;
    TIMER->value = 0xFFFFFFFFu;
    TIMER->control = 1;
    link_serve(&nn_the_model);
    return 0;
}

/*
 * The port of STM32F4 chips: one USART at 115200 baud, timer 2 as the clock. Registers: ST RM0090 and RM0390.
 *
 * The chip stays at what it starts with, the internal 16 MHz oscillator: no crystal, no PLL, no flash wait states, and
 * so nothing that differs from board to board. Timer 2 counts core cycles.
 */
#include "../../link/port.h"

#include <stdbool.h>

#include "../../link/server.h"

#ifndef STM32F4_USART
#define STM32F4_USART 2
#endif

enum { CORE_HZ = 16000000, BAUD = 115200 };

typedef struct {
    volatile uint32_t status;
    volatile uint32_t data;
    volatile uint32_t baud;
    volatile uint32_t control;
} usart;

typedef struct {
    volatile uint32_t mode;
    volatile uint32_t type;
    volatile uint32_t speed;
    volatile uint32_t pull;
    volatile uint32_t input;
    volatile uint32_t output;
    volatile uint32_t set;
    volatile uint32_t lock;
    volatile uint32_t function[2];
} gpio;

/* Where a USART is: registers, interrupt, clock gate, and the two pins it is wired to, next to each other. */
typedef struct {
    usart *registers;
    volatile uint32_t *clock_gate;
    gpio *port;
    uint8_t clock_bit;
    uint8_t port_bit;
    uint8_t interrupt;
    uint8_t transmit_pin;
    uint8_t function;
} serial_line;

#define APB1_GATE ((volatile uint32_t *)0x40023840u)
#define APB2_GATE ((volatile uint32_t *)0x40023844u)
#define PORT_GATE ((volatile uint32_t *)0x40023830u)
#define GPIO(letter) ((gpio *)(0x40020000u + 0x400u * ((letter) - 'A')))

#if STM32F4_USART == 1 /* PA9, PA10 */
static const serial_line line = {(usart *)0x40011000u, APB2_GATE, GPIO('A'), 4, 0, 37, 9, 7};
#elif STM32F4_USART == 2 /* PA2, PA3: the ST-LINK's serial port of Nucleo-64 boards */
static const serial_line line = {(usart *)0x40004400u, APB1_GATE, GPIO('A'), 17, 0, 38, 2, 7};
#elif STM32F4_USART == 6 /* PC6, PC7: D1 and D0 of Arduino headers */
static const serial_line line = {(usart *)0x40011400u, APB2_GATE, GPIO('C'), 5, 2, 71, 6, 8};
#else
#error "STM32F4_USART is 1, 2 or 6."
#endif

enum { RECEIVED = 1 << 5, OVERRUN = 1 << 3, MAY_SEND = 1 << 7 };
enum { USART_ON = 1 << 13, INTERRUPT_ON_RECEIVE = 1 << 5, TRANSMIT = 1 << 3, RECEIVE = 1 << 2 };

#define TIMER_CONTROL (*(volatile uint32_t *)0x40000000u)
#define TIMER_COUNT (*(volatile uint32_t *)0x40000024u)
#define TIMER_RELOAD (*(volatile uint32_t *)0x4000002Cu)
#define VECTOR_TABLE (*(volatile uint32_t *)0xE000ED08u)
#define INTERRUPTS_ON ((volatile uint32_t *)0xE000E100u)

/* The USART holds one byte: an interrupt moves each into this ring, so that none is lost while a CRC is computed. */
enum { RING = 2048 };
static uint8_t ring[RING];
static volatile uint32_t received, taken; /* both grow for ever; their difference is what waits */

static void receive(void)
{
    uint32_t status;
    while (((status = line.registers->status) & (RECEIVED | OVERRUN)) != 0) {
        uint8_t byte = (uint8_t)line.registers->data; /* reading both registers also clears an overrun */
        if ((status & RECEIVED) != 0 && received - taken < RING) {
            ring[received % RING] = byte;
            received = received + 1;
        }
    }
}

/* A debugger finds the core here after a fault. */
static void stop(void)
{
    for (;;) {
    }
}

#define FOUR(handler) handler, handler, handler, handler
#define SIXTEEN(handler) FOUR(handler), FOUR(handler), FOUR(handler), FOUR(handler)

/* 16 system entries, then one for each interrupt up to the last that a line above uses. */
static void (*const vectors[16 + 80])(void) __attribute__((aligned(512), used)) = {
    SIXTEEN(stop), SIXTEEN(receive), SIXTEEN(receive), SIXTEEN(receive), SIXTEEN(receive), SIXTEEN(receive),
};

size_t port_read(uint8_t *to, size_t most)
{
    size_t count = 0;
    while (count < most && taken != received) {
        to[count++] = ring[taken % RING];
        taken = taken + 1;
    }
    return count;
}

void port_write(const uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        while ((line.registers->status & MAY_SEND) == 0) {
        }
        line.registers->data = bytes[i];
    }
}

/* The timer wraps every 268 s; this is called at least once an op. */
uint64_t port_ticks(void)
{
    static uint64_t ticks;
    static uint32_t last;
    uint32_t now = TIMER_COUNT;
    ticks += (uint32_t)(now - last);
    last = now;
    return ticks;
}

uint32_t port_tick_hz(void)
{
    return CORE_HZ;
}

/* Sleep until the next byte. Masked in between, so that none slips by between the look and the sleep. */
void port_idle(void)
{
    __asm__ volatile("cpsid i" ::: "memory");
    if (taken == received) {
        __asm__ volatile("wfi" ::: "memory");
    }
    __asm__ volatile("cpsie i" ::: "memory");
}

static void set_up_pins(void)
{
    for (uint32_t pin = line.transmit_pin; pin < line.transmit_pin + 2u; pin++) {
        volatile uint32_t *function = &line.port->function[pin / 8];
        *function = (*function & ~(15u << 4 * (pin % 8))) | (uint32_t)line.function << 4 * (pin % 8);
        line.port->mode = (line.port->mode & ~(3u << 2 * pin)) | 2u << 2 * pin; /* its alternate function */
        line.port->pull = (line.port->pull & ~(3u << 2 * pin)) | 1u << 2 * pin; /* up: an open line is idle */
    }
}

int main(void)
{
    *PORT_GATE |= 1u << line.port_bit;
    *line.clock_gate |= 1u << line.clock_bit;
    *APB1_GATE |= 1u; /* timer 2 */
    (void)*APB1_GATE; /* a gate needs two cycles before its peripheral answers */
    set_up_pins();
    line.registers->baud = (CORE_HZ + BAUD / 2) / BAUD;
    line.registers->control = USART_ON | TRANSMIT | RECEIVE | INTERRUPT_ON_RECEIVE;
    TIMER_RELOAD = 0xFFFFFFFFu;
    TIMER_CONTROL = 1;
    VECTOR_TABLE = (uint32_t)(uintptr_t)vectors;
    INTERRUPTS_ON[line.interrupt / 32] = 1u << line.interrupt % 32;
    link_serve(&nn_the_model);
    return 0;
}

/*
 * All that the link needs from a board: five short functions.
 */
#ifndef LINK_PORT_H
#define LINK_PORT_H

#include <stddef.h>
#include <stdint.h>

/* Up to `most` received bytes into `to`; 0 when none has arrived. Never waits for more than it has. */
size_t port_read(uint8_t *to, size_t most);

/* Sends all of `bytes`, waiting as long as the line needs. */
void port_write(const uint8_t *bytes, size_t count);

/* A counter that never wraps, and how many of its ticks make a second (0: this port has no clock). */
uint64_t port_ticks(void);
uint32_t port_tick_hz(void);

/* Called while the link waits: feed a watchdog, serve USB, sleep until the next interrupt. Long kernels may call it. */
void port_idle(void);

#endif

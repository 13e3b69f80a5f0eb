// The five functions of link/port.h on standard input and output.
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

extern "C" {
#include "link/port.h"
}

size_t port_read(uint8_t *to, size_t most)
{
    ssize_t got = read(0, to, most);
    if (got <= 0) {
        exit(0);
    }
    return static_cast<size_t>(got);
}

void port_write(const uint8_t *bytes, size_t count)
{
    while (count > 0) {
        ssize_t sent = write(1, bytes, count);
        if (sent <= 0) {
            exit(0);
        }
        bytes += sent;
        count -= static_cast<size_t>(sent);
    }
}

uint64_t port_ticks(void)
{
    static uint64_t ticks;
    return ticks += 1000;
}

uint32_t port_tick_hz(void) { return 1000000; }
void port_idle(void) {}

int run_firmware(int count, char **arguments);

int main(int count, char **arguments)
{
    return run_firmware(count, arguments);
}

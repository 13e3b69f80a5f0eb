/* The desktop as a device: the link on standard input and output. Ends when the host closes the pipe. */
#define _POSIX_C_SOURCE 199309L // NOLINT(bugprone-reserved-identifier,cert-dcl*): POSIX names it
#include "../../link/port.h"

#include <stdlib.h>
#include <time.h>

#ifdef _WIN32
#include <fcntl.h>
#include <io.h>
#define read_from _read
#define write_to _write
typedef unsigned int length_type;
#else
#include <unistd.h>
#define read_from read
#define write_to write
typedef size_t length_type;
#endif

#include "../../link/server.h"

size_t port_read(uint8_t *to, size_t most)
{
    long long got = read_from(0, to, (length_type)most); /* waits for one byte at least, so port_idle has nothing to do */
    if (got <= 0) {
        exit(0);
    }
    return (size_t)got;
}

void port_write(const uint8_t *bytes, size_t count)
{
    while (count > 0) {
        long long sent = write_to(1, bytes, (length_type)count);
        if (sent <= 0) {
            exit(0);
        }
        bytes += sent;
        count -= (size_t)sent;
    }
}

uint64_t port_ticks(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint32_t port_tick_hz(void)
{
    return 1000000000u;
}

void port_idle(void)
{
}

int main(void)
{
#ifdef _WIN32
    _setmode(0, _O_BINARY);
    _setmode(1, _O_BINARY);
#endif
    link_serve(&nn_the_model);
}

/* CRC-32 of Ethernet and zlib: reflected polynomial 0xEDB88320, start and final inversion. */
#ifndef LINK_CRC32_H
#define LINK_CRC32_H

#include <stddef.h>
#include <stdint.h>

/* The CRC of what `crc` stands for followed by `bytes`; begin with 0. */
uint32_t crc32(uint32_t crc, const void *bytes, size_t count);

#endif

/* CRC-32/ISO-HDLC, the checksum of zlib and Ethernet: polynomial EDB88320 reflected, start and final XOR FFFFFFFF. */
#ifndef NODE_CRC32_H
#define NODE_CRC32_H

#include <stdint.h>

/* Checksum of bytes that follow others: `crc` is what was returned for those, 0 for none. */
uint32_t crc32_of(uint32_t crc, const uint8_t *bytes, uint8_t n);

#endif

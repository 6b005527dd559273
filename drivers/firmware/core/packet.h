/* A packet of node/1 and its frame on the wire: docs/protocol.md, "The wire". */
#ifndef NODE_PACKET_H
#define NODE_PACKET_H

#include <stdint.h>

#define PACKET_VERSION 1
#define PACKET_HEADER 8 /* version, type, sequence, session */
#define PACKET_CRC 4
#define PACKET_MAX 64               /* header, body and checksum */
#define FRAME_MAX (PACKET_MAX + 2)  /* stuffed, with its delimiter */

/* Undo stuffing and check length, checksum and version, all in place.
   Returns header and body's length; 0 when anything about the frame is wrong. */
uint8_t packet_open(uint8_t *frame, uint8_t n);

/* Append the checksum to `n` bytes of header and body, which must have room for it, and stuff into `frame` of
   FRAME_MAX bytes. Returns the frame's length with its delimiter. */
uint8_t packet_seal(uint8_t *packet, uint8_t n, uint8_t *frame);

/* Little-endian integers, wherever they lie. */
uint16_t get_u16(const uint8_t *from);
uint32_t get_u32(const uint8_t *from);
uint8_t *put_u16(uint8_t *to, uint16_t value); /* each returns where the next one goes */
uint8_t *put_u32(uint8_t *to, uint32_t value);

#endif

/* Consistent overhead byte stuffing (Cheshire & Baker 1999) for short frames: less than 254 bytes, no malloc. */
#ifndef NODE_COBS_H
#define NODE_COBS_H

#include <stdint.h>

#define COBS_BROKEN (-1)

/* Stuff `n` bytes, at most 253, into `out`, which has room for n + 1. Returns n + 1; no zero byte remains. */
uint8_t cobs_encode(const uint8_t *bytes, uint8_t n, uint8_t *out);

/* Undo the stuffing in place. Returns the length, or COBS_BROKEN. */
int16_t cobs_decode(uint8_t *bytes, uint8_t n);

#endif

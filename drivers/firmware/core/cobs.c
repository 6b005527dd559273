#include "cobs.h"

uint8_t cobs_encode(const uint8_t *bytes, uint8_t n, uint8_t *out)
{
    uint8_t code_at = 0;
    for (uint8_t i = 0; i < n; i++) {
        if (bytes[i] == 0) {
            out[code_at] = (uint8_t)(i + 1 - code_at);
            code_at = (uint8_t)(i + 1);
        } else {
            out[i + 1] = bytes[i];
        }
    }
    out[code_at] = (uint8_t)(n + 1 - code_at);
    return (uint8_t)(n + 1);
}

int16_t cobs_decode(uint8_t *bytes, uint8_t n)
{
    uint8_t read = 0, written = 0;
    while (read < n) {
        uint8_t code = bytes[read++];
        if (code == 0 || code - 1 > n - read)
            return COBS_BROKEN;
        for (uint8_t i = 1; i < code; i++) {
            if (bytes[read] == 0)
                return COBS_BROKEN;
            bytes[written++] = bytes[read++];
        }
        if (read < n && code < 255)
            bytes[written++] = 0;
    }
    return written;
}

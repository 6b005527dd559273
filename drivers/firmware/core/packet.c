#include "packet.h"

#include "cobs.h"
#include "crc32.h"

uint8_t packet_open(uint8_t *frame, uint8_t n)
{
    int16_t length = cobs_decode(frame, n);
    if (length < PACKET_HEADER + PACKET_CRC || length > PACKET_MAX)
        return 0;
    uint8_t signed_length = (uint8_t)(length - PACKET_CRC);
    if (get_u32(frame + signed_length) != crc32_of(0, frame, signed_length) || frame[0] != PACKET_VERSION)
        return 0;
    return signed_length;
}

uint8_t packet_seal(uint8_t *packet, uint8_t n, uint8_t *frame)
{
    put_u32(packet + n, crc32_of(0, packet, n));
    n = cobs_encode(packet, (uint8_t)(n + PACKET_CRC), frame);
    frame[n] = 0;
    return (uint8_t)(n + 1);
}

uint16_t get_u16(const uint8_t *from)
{
    return (uint16_t)(from[0] | (uint16_t)from[1] << 8);
}

uint32_t get_u32(const uint8_t *from)
{
    return get_u16(from) | (uint32_t)get_u16(from + 2) << 16;
}

uint8_t *put_u16(uint8_t *to, uint16_t value)
{
    to[0] = (uint8_t)value;
    to[1] = (uint8_t)(value >> 8);
    return to + 2;
}

uint8_t *put_u32(uint8_t *to, uint32_t value)
{
    return put_u16(put_u16(to, (uint16_t)value), (uint16_t)(value >> 16));
}

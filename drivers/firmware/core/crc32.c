#include "crc32.h"

#include "flash.h"

/* One entry per half byte: 64 bytes of flash instead of 1024, at a cost of twice the steps. */
static const uint32_t TABLE[16] IN_FLASH = {
    0x00000000, 0x1DB71064, 0x3B6E20C8, 0x26D930AC, 0x76DC4190, 0x6B6B51F4, 0x4DB26158, 0x5005713C,
    0xEDB88320, 0xF00F9344, 0xD6D6A3E8, 0xCB61B38C, 0x9B64C2B0, 0x86D3D2D4, 0xA00AE278, 0xBDBDF21C,
};

static uint32_t step(uint32_t crc)
{
    uint32_t entry;
    flash_copy(&entry, &TABLE[crc & 15], sizeof entry);
    return (crc >> 4) ^ entry;
}

uint32_t crc32_of(uint32_t crc, const uint8_t *bytes, uint8_t n)
{
    crc = ~crc;
    for (uint8_t i = 0; i < n; i++) {
        crc ^= bytes[i];
        crc = step(step(crc));
    }
    return ~crc;
}

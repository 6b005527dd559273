/* What an AVR keeps without supply: the latched stop, and how often it was switched on. */
#ifndef NODE_MEMORY_H
#define NODE_MEMORY_H

#include <avr/eeprom.h>
#include <stdbool.h>
#include <stdint.h>

#define LATCH_AT ((uint8_t *)0)
#define STARTS_AT ((uint16_t *)2)
#define RELEASED 0x5A
#define NEVER_WRITTEN 0xFF
#define LATCHED 0x00

/* Anything but the two values that mean "released" is a stop: a half-written cell too. */
static inline bool memory_is_latched(void)
{
    uint8_t cell = eeprom_read_byte(LATCH_AT);
    return cell != RELEASED && cell != NEVER_WRITTEN;
}

/* Called again and again: begins a write (3.4 ms) when the value differs, and never waits for one. */
static inline void memory_keep_latch(bool is_latched)
{
    if (eeprom_is_ready() && memory_is_latched() != is_latched)
        eeprom_write_byte(LATCH_AT, is_latched ? LATCHED : RELEASED);
}

static inline uint16_t memory_count_start(void)
{
    uint16_t starts = (uint16_t)(eeprom_read_word(STARTS_AT) + 1);
    eeprom_update_word(STARTS_AT, starts);
    return starts;
}

#endif

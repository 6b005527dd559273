/* Constant tables stay in flash, where the microcontroller has two separate memories. */
#ifndef NODE_FLASH_H
#define NODE_FLASH_H

#include <string.h>

#if defined(__AVR__)
#include <avr/pgmspace.h>
#define IN_FLASH PROGMEM
#define flash_copy memcpy_P
#else
#define IN_FLASH
#define flash_copy memcpy
#endif

#endif

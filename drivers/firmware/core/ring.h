/* Bytes between an interrupt and the main loop: one side puts, the other takes, neither waits. */
#ifndef NODE_RING_H
#define NODE_RING_H

#include <stdbool.h>
#include <stdint.h>

#define RING_SIZE 128 /* a power of two */

struct ring {
    volatile uint8_t bytes[RING_SIZE];
    volatile uint8_t put_at, take_at;
};

static inline uint8_t ring_room(const struct ring *ring)
{
    return (uint8_t)(RING_SIZE - 1 - ((ring->put_at - ring->take_at) & (RING_SIZE - 1)));
}

static inline bool ring_is_empty(const struct ring *ring)
{
    return ring->put_at == ring->take_at;
}

static inline bool ring_put(struct ring *ring, uint8_t byte)
{
    uint8_t at = ring->put_at;
    if (ring_room(ring) == 0)
        return false;
    ring->bytes[at] = byte;
    ring->put_at = (at + 1) & (RING_SIZE - 1);
    return true;
}

static inline bool ring_take(struct ring *ring, uint8_t *byte)
{
    uint8_t at = ring->take_at;
    if (at == ring->put_at)
        return false;
    *byte = ring->bytes[at];
    ring->take_at = (at + 1) & (RING_SIZE - 1);
    return true;
}

#endif

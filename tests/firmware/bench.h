#ifndef NODE_BENCH_H
#define NODE_BENCH_H

#include <stddef.h>

#include "node.h"

struct bench_life {
    uint32_t n_sent, n_unsent, n_replayed, n_answers, n_active, n_wrong, digest;
};

struct node *bench_new(uint32_t seed, uint8_t reset_cause, bool is_latched, bool is_relay);
void bench_free(struct node *node);
void bench_inputs(struct node *node, bool is_stop_open, uint16_t faults);
size_t bench_feed(struct node *node, const uint8_t *bytes, size_t n, uint8_t *answers);
void bench_look(const struct node *node, int64_t *seen); /* twelve values */

/* The device's examples of docs/protocol.md: HELLO_ACK, AXIS, STATUS. */
size_t bench_vector(const char *name, uint8_t *frame);

/* `n_frames` frames that were never sent, each with its delimiter; `out` has room for 300 bytes each. */
size_t bench_unsent(uint64_t seed, size_t n_frames, uint8_t *out);

/* How many frames of a byte stream the codec takes, and the first of them. */
uint64_t bench_accepted(const uint8_t *bytes, size_t n, uint8_t *first);

/* Devices with a host, and with everything that a wire and a replay can do to what it says. */
void bench_lives(uint64_t seed, uint32_t n_lives, uint32_t n_frames, struct bench_life *life);

#endif

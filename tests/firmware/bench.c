/* The core on a bench: a device behind plain functions for ctypes, and frames that were never sent.

   Built as a shared library for the tests, and with `main` as a program of its own under the sanitizers: the same
   seeds give the same frames and the same digest in both. */
#include "bench.h"

#include <stdlib.h>
#include <string.h>

#include "cobs.h"
#include "crc32.h"
#include "flash.h"
#include "arm.h"

struct node *bench_new(uint32_t seed, uint8_t reset_cause, bool is_latched, bool is_relay)
{
    struct node_board board = {AXES, sizeof AXES / sizeof AXES[0], is_relay, 60};
    struct node *node = malloc(sizeof *node);
    node_init(node, &board, seed, reset_cause, is_latched);
    return node;
}

void bench_free(struct node *node)
{
    free(node);
}

void bench_inputs(struct node *node, bool is_stop_open, uint16_t faults)
{
    node->inputs.is_stop_open = is_stop_open;
    node->inputs.faults = faults;
}

size_t bench_feed(struct node *node, const uint8_t *bytes, size_t n, uint8_t *answers)
{
    size_t n_answers = 0;
    for (size_t i = 0; i < n; i++) {
        if (node_feed(node, bytes[i]))
            node_answer(node);
        while (ring_take(&node->sending, answers + n_answers))
            n_answers++;
    }
    return n_answers;
}

void bench_look(const struct node *node, int64_t *seen)
{
    int64_t values[] = {node->state, node->faults, node->session, node->last_seq, node->n_ok, node->n_bad,
                        node->challenge, node->outputs.is_powered, node->outputs.is_moving, node->outputs.is_latched,
                        node_pulse_us(node, 0), node_pulse_us(node, 3)};
    memcpy(seen, values, sizeof values);
}

size_t bench_vector(const char *name, uint8_t *frame)
{
    struct node_board board = {AXES, 4, false, 60};
    struct node node;
    node_init(&node, &board, 1, NODE_RESET_POWER_ON, false);
    node.session = 0xB7910DDD;
    node.now_ms = 123456;
    node.answer_nonce = 0x12345678;
    node.answer = 0x81;
    if (strcmp(name, "AXIS") == 0) {
        node.answer = 0x88;
        node.seq = 1;
    }
    if (strcmp(name, "STATUS") == 0) {
        node.answer = 0x84;
        node.seq = 2;
        node.state = NODE_ACTIVE;
        node.now_ms = 123476;
        node.last_seq = 7;
        node.n_ok = 42;
        node.inputs.supply_mv = 12000;
        node.inputs.temperature_c = 25;
        node.joints[0].velocity = 1221; /* 100 and -50 of 32767 at 0.4 m/s */
        node.joints[1].velocity = -610;
    }
    node_answer(&node);
    size_t n = 0;
    while (ring_take(&node.sending, frame + n))
        n++;
    return n;
}

static uint64_t state;

static uint32_t draw(uint32_t below)
{
    state += 0x9E3779B97F4A7C15u; /* splitmix64, Steele et al. 2014 */
    uint64_t z = state;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return (uint32_t)(((z ^ z >> 31) >> 32) * below >> 32);
}

static uint8_t draw_byte(void)
{
    return (uint8_t)(1 + draw(255));
}

/* A good frame of any type, with its delimiter; to a device only what a host says. */
static uint8_t good_frame(uint8_t *frame, uint16_t seq, uint32_t session, const struct node *node)
{
    static const uint8_t TYPES[] = {1, 2, 3, 4, 4, 4, 4, 5, 6, 7, 8, 0x81, 0x84, 0x88};
    static const uint8_t BODIES[] = {4, 6, 0, 15, 15, 15, 15, 0, 0, 4, 1, 16, 40, 33};
    uint32_t kind = draw(node ? 11 : sizeof TYPES);
    uint8_t packet[PACKET_MAX] = {PACKET_VERSION, TYPES[kind]}, n = BODIES[kind];
    put_u16(packet + 2, seq);
    put_u32(packet + 4, session);
    for (uint8_t i = 0; i < n; i++)
        packet[PACKET_HEADER + i] = (uint8_t)draw(256);
    if (node && packet[1] == 2)
        put_u32(packet + PACKET_HEADER + 2, node->config_hash);
    if (node && packet[1] == 4) {
        put_u16(packet + PACKET_HEADER, (uint16_t)draw(300));
        put_u32(packet + PACKET_HEADER + 2, node->now_ms - draw(130));
        packet[PACKET_HEADER + 6] = 0;
    }
    if (node && packet[1] == 7)
        put_u32(packet + PACKET_HEADER, node->challenge);
    return packet_seal(packet, (uint8_t)(PACKET_HEADER + n), frame);
}

enum { RANDOM, WRONG_CRC, FLIPPED, CHANGED, INSERTED, DELETED, TRUNCATED, SPLICED, SWAPPED, OVERLONG, N_KINDS };

/* A frame that nobody sent, without zero bytes at its ends and without delimiter; `good` and `other` were sent. */
static size_t bad_frame(uint8_t *bad, const uint8_t *good, uint8_t n_good, const uint8_t *other, uint8_t n_other)
{
    size_t n = n_good - 1u, at = draw((uint32_t)n), cut = 1 + draw((uint32_t)n - 1);
    uint8_t packet[PACKET_MAX];
    uint8_t bits[4]; /* drawn apart: C leaves the order of calls within an expression open */
    for (int i = 0; i < 4; i++)
        bits[i] = (uint8_t)(1 << draw(8));
    memcpy(bad, good, n);
    switch (draw(N_KINDS)) {
    case RANDOM:
        n = 1 + draw(80);
        for (size_t i = 0; i < n; i++)
            bad[i] = draw_byte();
        break;
    case WRONG_CRC:
        n = PACKET_HEADER + PACKET_CRC + draw(PACKET_MAX - PACKET_HEADER - PACKET_CRC + 1);
        for (size_t i = 0; i < n; i++)
            packet[i] = (uint8_t)draw(256);
        packet[0] = PACKET_VERSION;
        packet[1] = (uint8_t)(1 + draw(8));
        n = cobs_encode(packet, (uint8_t)n, bad);
        break;
    case FLIPPED:
        for (uint32_t flips = 1 + draw(3); flips > 0; flips--)
            bad[draw((uint32_t)n)] ^= bits[flips];
        break;
    case CHANGED:
        bad[at] = draw_byte();
        break;
    case INSERTED:
        memmove(bad + at + 1, bad + at, n - at);
        bad[at] = draw_byte();
        n++;
        break;
    case DELETED:
        memmove(bad + at, bad + at + 1, n - at - 1);
        n--;
        break;
    case TRUNCATED:
        n = cut;
        break;
    case SPLICED:
        n = cut + draw(n_other);
        memcpy(bad + cut, other + (n_other - 1 - (n - cut)), n - cut);
        break;
    case SWAPPED:
        bad[at] = good[cut];
        bad[cut] = good[at];
        break;
    default:
        while (n < FRAME_MAX + 1 + draw(200))
            bad[n++] = draw_byte();
    }
    return n;
}

static bool is_equal(const uint8_t *bad, size_t n, const uint8_t *good, uint8_t n_good)
{
    return n == n_good - 1u && memcmp(bad, good, n) == 0;
}

size_t bench_unsent(uint64_t seed, size_t n_frames, uint8_t *out)
{
    size_t n_out = 0;
    state = seed;
    while (n_frames > 0) {
        uint8_t good[FRAME_MAX], other[FRAME_MAX];
        uint16_t seq = (uint16_t)draw(65536);
        uint32_t session = draw(UINT32_MAX);
        uint8_t n_good = good_frame(good, seq, session, NULL);
        uint8_t n_other = good_frame(other, seq, session, NULL);
        size_t n = bad_frame(out + n_out, good, n_good, other, n_other);
        if (is_equal(out + n_out, n, good, n_good) || is_equal(out + n_out, n, other, n_other))
            continue;
        out[n_out + n] = 0;
        n_out += n + 1;
        n_frames--;
    }
    return n_out;
}

/* One device through one life: what is sent once is taken at most once, what was not sent never. */
static void live(struct bench_life *life, struct node *node, uint32_t n_frames)
{
    uint8_t sent[64][FRAME_MAX], n_sent[64], good[FRAME_MAX], bad[FRAME_MAX + 256];
    uint8_t answers[4096];
    uint32_t kept = 0;
    uint16_t seq = 0;
    for (uint32_t i = 0; i < n_frames; i++) {
        node_tick(node, node->now_ms + draw(12));
        bool is_stop_open = draw(400) == 0;
        bench_inputs(node, is_stop_open, draw(400) == 0 ? NODE_FAULT_CURRENT : 0);
        uint32_t ok = node->n_ok, session = node->session;
        uint16_t last_seq = node->last_seq;
        uint8_t was = node->state;
        uint32_t what = draw(10);
        seq = (uint16_t)(last_seq + 1 + draw(3));
        uint8_t n_good = good_frame(good, seq, session, node);
        if (what < 6) {
            life->n_answers += bench_feed(node, good, n_good, answers) > 0;
            life->n_sent++;
            memcpy(sent[kept % 64], good, n_good);
            n_sent[kept++ % 64] = n_good;
        } else if (what < 8 && kept > 0) { /* sent once more: only HELLO and ESTOP, which carry no order, may pass */
            uint32_t old = draw(kept < 64 ? kept : 64);
            uint8_t packet[FRAME_MAX];
            memcpy(packet, sent[old], n_sent[old]);
            packet_open(packet, (uint8_t)(n_sent[old] - 1));
            if (packet[1] == 1 || packet[1] == 6)
                continue;
            size_t n = bench_feed(node, sent[old], n_sent[old], answers);
            life->n_replayed++;
            life->n_wrong += n > 0 || node->last_seq != last_seq || node->state != was;
        } else {
            const uint8_t *other = kept > 0 ? sent[draw(kept < 64 ? kept : 64)] : good;
            uint8_t n_other = (uint8_t)(strlen((const char *)other) + 1);
            size_t n = bad_frame(bad, good, n_good, other, n_other);
            if (is_equal(bad, n, good, n_good) || is_equal(bad, n, other, n_other))
                continue;
            bad[n++] = 0;
            n = bench_feed(node, bad, n, answers);
            life->n_unsent++;
            life->n_wrong += n > 0 || node->n_ok != ok || node->last_seq != last_seq || node->state != was;
        }
        int64_t seen[12];
        bench_look(node, seen);
        life->digest = crc32_of(life->digest, (const uint8_t *)seen, sizeof seen);
        bool may_be_powered = node->state == NODE_ARMED || node->state == NODE_ACTIVE || node->state == NODE_HOLD;
        life->n_wrong += node->outputs.is_powered && !may_be_powered;
        life->n_active += node->state == NODE_ACTIVE;
    }
}

void bench_lives(uint64_t seed, uint32_t n_lives, uint32_t n_frames, struct bench_life *life)
{
    memset(life, 0, sizeof *life);
    state = seed;
    for (uint32_t i = 0; i < n_lives; i++) {
        uint32_t seed_of_life = draw(UINT32_MAX);
        uint8_t reset_cause = (uint8_t)draw(4);
        bool is_latched = draw(4) == 0, is_relay = draw(4) == 0;
        struct node *node = bench_new(seed_of_life, reset_cause, is_latched, is_relay);
        live(life, node, n_frames);
        bench_free(node);
    }
}

uint64_t bench_accepted(const uint8_t *bytes, size_t n, uint8_t *first)
{
    uint64_t n_accepted = 0;
    uint8_t frame[FRAME_MAX];
    size_t n_frame = 0;
    for (size_t i = 0; i < n; i++) {
        if (bytes[i] != 0) {
            if (n_frame < FRAME_MAX)
                frame[n_frame] = bytes[i];
            n_frame++;
            continue;
        }
        if (n_frame <= FRAME_MAX && packet_open(frame, (uint8_t)n_frame) && n_accepted++ == 0)
            memcpy(first, frame, FRAME_MAX);
        n_frame = 0;
    }
    return n_accepted;
}

#ifdef BENCH_PROGRAM
#include <stdio.h>

enum { BATCH = 20000, LARGEST = 300 };

/* The corpus and the lives of fuzz.py, in batches of the same seeds. */
int main(int n_arguments, char **arguments)
{
    uint64_t seed = n_arguments > 1 ? strtoull(arguments[1], NULL, 10) : 1, n_accepted = 0;
    uint32_t n_frames = n_arguments > 2 ? (uint32_t)strtoul(arguments[2], NULL, 10) : 10000, n_answers = 0;
    uint8_t *bytes = malloc(BATCH * LARGEST), *answers = malloc(BATCH * LARGEST), first[FRAME_MAX];
    struct node *node = bench_new(1, 0, false, false);
    struct bench_life life;
    for (uint32_t done = 0; done < n_frames; done += BATCH) {
        size_t n_bytes = bench_unsent(seed + done, n_frames - done < BATCH ? n_frames - done : BATCH, bytes);
        n_accepted += bench_accepted(bytes, n_bytes, first);
        n_answers += (uint32_t)bench_feed(node, bytes, n_bytes, answers);
    }
    printf("%llu %u %u\n", (unsigned long long)n_accepted, n_answers, node->n_ok);
    bench_free(node);
    bench_lives(seed, 20, n_frames / 20, &life);
    printf("%u %u %u %u %u %u %u\n", life.n_sent, life.n_unsent, life.n_replayed, life.n_answers, life.n_active,
           life.n_wrong, life.digest);
    free(bytes);
    free(answers);
    return 0;
}
#endif

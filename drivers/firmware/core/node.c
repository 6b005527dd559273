#include "node.h"

#include "crc32.h"
#include "flash.h"
#include "motion.h"

enum { HELLO = 0x01, ARM, DISARM, SETPOINT, PING, STOP, RESET_FAULT, DESCRIBE, N_TYPES };
enum { HELLO_ACK = 0x81, STATUS = 0x84, AXIS = 0x88 };
#define LONGEST_CATCH_UP_MS 1000 /* of a board that stood still: what moved has come to rest by then */

enum { SETPOINT_HEAD = 7, AXIS_BODY = 33, VELOCITY_MODE = 0 };

static const uint8_t BODY[N_TYPES] IN_FLASH = {0, 4, 6, 0, SETPOINT_HEAD, 0, 0, 4, 1};

static uint32_t draw(struct node *node, uint32_t stir)
{
    uint32_t x = node->random ^ stir ^ node->now_ms << 12; /* xorshift32, Marsaglia 2003 */
    x = x ? x : 1;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    node->random = x;
    return x;
}

static uint8_t *put_axis(uint8_t *to, const struct node *node, uint8_t index)
{
    struct node_axis axis;
    flash_copy(&axis, &node->board.axes[index], sizeof axis);
    *to++ = index;
    memcpy(to, axis.name, sizeof axis.name);
    memcpy(to + sizeof axis.name, axis.unit, sizeof axis.unit);
    to = put_u32(to + sizeof axis.name + sizeof axis.unit, (uint32_t)axis.lower);
    to = put_u32(to, (uint32_t)axis.upper);
    to = put_u32(to, (uint32_t)axis.max_speed);
    return put_u32(to, (uint32_t)axis.max_acceleration);
}

static void show(struct node *node)
{
    uint8_t state = node->state;
    bool is_powered = state == NODE_ACTIVE || (!node->board.is_relay && (state == NODE_ARMED || state == NODE_HOLD));
    node->outputs.is_powered = is_powered;
    node->outputs.is_moving = is_powered && motion_any(node);
    node->outputs.is_latched = state == NODE_ESTOP;
}

static void enter(struct node *node, uint8_t state)
{
    node->state = state;
    motion_release(node);
}

static void latch(struct node *node, uint8_t state)
{
    enter(node, state);
    node->challenge = draw(node, 0) | 1;
}

void node_init(struct node *node, const struct node_board *board, uint32_t seed, uint8_t reset_cause, bool is_latched)
{
    memset(node, 0, sizeof *node);
    node->board = *board;
    node->random = seed;
    node->now_ms = 1;
    node->reset_cause = reset_cause;
    node->faults = reset_cause == NODE_RESET_WATCHDOG ? NODE_FAULT_WATCHDOG : 0;
    node->inputs.temperature_c = NODE_NOT_MEASURED_C;
    motion_init(node);
    for (uint8_t i = 0; i < board->n_axes; i++) {
        uint8_t body[AXIS_BODY];
        put_axis(body, node, i);
        node->config_hash = crc32_of(node->config_hash, body, sizeof body);
    }
    if (is_latched)
        latch(node, NODE_ESTOP);
    show(node);
}

static void watch(struct node *node)
{
    node->faults &= (uint16_t)~NODE_FAULT_STOP_INPUT;
    if (node->inputs.is_stop_open) {
        node->faults |= NODE_FAULT_STOP_INPUT;
        if (node->state != NODE_ESTOP)
            latch(node, NODE_ESTOP);
    }
    if (node->inputs.faults) {
        node->faults |= node->inputs.faults;
        if (node->state != NODE_ESTOP && node->state != NODE_FAULT)
            latch(node, NODE_FAULT);
    }
    if (node->state == NODE_ACTIVE && (int32_t)(node->now_ms - node->lease_until_ms) >= 0) {
        node->faults |= NODE_FAULT_LEASE;
        node->hold_since_ms = node->now_ms;
        enter(node, node->board.is_relay ? NODE_DISARMED : NODE_HOLD);
    }
    if (node->state == NODE_HOLD && node->now_ms - node->hold_since_ms >= NODE_HOLD_TO_DISARMED_MS)
        enter(node, NODE_DISARMED);
}

void node_tick(struct node *node, uint32_t now_ms)
{
    uint32_t elapsed_ms = now_ms - node->now_ms;
    node->now_ms = now_ms;
    watch(node);
    if (elapsed_ms > LONGEST_CATCH_UP_MS)
        elapsed_ms = LONGEST_CATCH_UP_MS;
    while (elapsed_ms-- > 0)
        motion_step(node);
    show(node);
}

static void follow(struct node *node, const uint8_t *body, uint8_t n)
{
    uint16_t ttl_ms = get_u16(body);
    bool is_late = node->now_ms - get_u32(body + 2) > NODE_ECHO_MAX_MS; /* an echo from the future is huge */
    bool is_fitting = body[6] == VELOCITY_MODE && n == SETPOINT_HEAD + 2 * node->board.n_axes;
    bool is_ready = node->state == NODE_ARMED || node->state == NODE_ACTIVE || node->state == NODE_HOLD;
    if (is_late)
        node->faults |= NODE_FAULT_LATE;
    if (is_late || !is_fitting || !is_ready) {
        node->n_bad++;
        return;
    }
    node->state = NODE_ACTIVE;
    node->lease_until_ms = node->now_ms + (ttl_ms < node->lease_ms ? ttl_ms : node->lease_ms);
    for (uint8_t i = 0; i < node->board.n_axes; i++)
        if (!motion_aim(node, i, (int16_t)get_u16(body + SETPOINT_HEAD + 2 * i)))
            node->faults |= NODE_FAULT_RANGE;
}

static void arm(struct node *node, const uint8_t *body)
{
    uint16_t lease_ms = get_u16(body);
    if (get_u32(body + 2) != node->config_hash) {
        node->faults |= NODE_FAULT_CONFIG;
        return;
    }
    node->faults = 0;
    node->lease_ms = lease_ms < NODE_LEASE_MAX_MS ? lease_ms : NODE_LEASE_MAX_MS;
    enter(node, NODE_ARMED);
}

static void obey(struct node *node, uint8_t type, const uint8_t *body, uint8_t n)
{
    bool is_stuck = node->state == NODE_ESTOP || node->state == NODE_FAULT;
    bool is_cause_gone = !node->inputs.is_stop_open && !node->inputs.faults;
    if (type == SETPOINT) {
        follow(node, body, n);
    } else if (type == ARM && node->state == NODE_DISARMED) {
        arm(node, body);
    } else if (type == DISARM && !is_stuck) {
        enter(node, NODE_DISARMED);
    } else if (type == RESET_FAULT && is_stuck && is_cause_gone && get_u32(body) == node->challenge) {
        node->challenge = 0;
        node->faults = 0;
        enter(node, NODE_DISARMED);
    } else if (type != PING) {
        node->n_bad++;
    }
}

static void greet(struct node *node, uint32_t nonce)
{
    if (node->state != NODE_ESTOP && node->state != NODE_FAULT)
        enter(node, NODE_DISARMED);
    if (node->state != NODE_FAULT)
        node->faults &= NODE_FAULT_STOP_INPUT;
    node->session = draw(node, nonce) | 1;
    node->last_seq = 0;
    node->answer_nonce = nonce;
    node->answer = HELLO_ACK;
}

/* Whether a body has the length of its type; types that only a device sends are as wrong as unknown ones. */
static bool is_known(uint8_t type, uint8_t n)
{
    uint8_t length;
    if (type < HELLO || type >= N_TYPES)
        return false;
    flash_copy(&length, &BODY[type], 1);
    return type == SETPOINT ? n > length && (n - length) % 2 == 0 : n == length;
}

static void take(struct node *node, const uint8_t *packet, uint8_t n)
{
    const uint8_t *body = packet + PACKET_HEADER;
    uint8_t type = packet[1];
    uint16_t seq = get_u16(packet + 2), ahead = (uint16_t)(seq - node->last_seq);
    if (type == HELLO) {
        greet(node, get_u32(body));
        return;
    }
    if (type == STOP) {
        if (node->state != NODE_ESTOP)
            latch(node, NODE_ESTOP);
        node->answer = STATUS;
        return;
    }
    if (node->session == 0 || get_u32(packet + 4) != node->session || ahead == 0 || ahead >= 32768) {
        node->n_bad++;
        return;
    }
    node->last_seq = seq;
    if (type != DESCRIBE) {
        obey(node, type, body, (uint8_t)(n - PACKET_HEADER));
        node->answer = STATUS;
    } else if (body[0] < node->board.n_axes) {
        node->answer_axis = body[0];
        node->answer = AXIS;
    } else {
        node->n_bad++;
    }
}

bool node_feed(struct node *node, uint8_t byte)
{
    if (byte != 0) {
        if (node->n_frame < FRAME_MAX)
            node->frame[node->n_frame++] = byte;
        else
            node->is_overlong = true;
        return false;
    }
    uint8_t n_frame = node->n_frame;
    bool is_overlong = node->is_overlong;
    node->n_frame = 0;
    node->is_overlong = false;
    node->answer = 0;
    if (n_frame == 0)
        return false; /* an empty frame only resynchronises */
    uint8_t n = is_overlong ? 0 : packet_open(node->frame, n_frame);
    if (n == 0 || !is_known(node->frame[1], (uint8_t)(n - PACKET_HEADER))) {
        node->n_bad++;
        return false;
    }
    node->n_ok++;
    take(node, node->frame, n);
    show(node);
    return node->answer != 0;
}

static uint8_t *put_status(uint8_t *to, const struct node *node)
{
    *to++ = node->state;
    to = put_u16(to, node->faults);
    to = put_u32(to, node->now_ms);
    to = put_u16(to, node->last_seq);
    to = put_u32(to, node->n_ok);
    to = put_u32(to, node->n_bad);
    to = put_u32(to, node->challenge);
    to = put_u16(to, node->inputs.supply_mv);
    *to++ = (uint8_t)node->inputs.temperature_c;
    for (uint8_t i = 0; i < node->board.n_axes; i++)
        to = put_u16(to, (uint16_t)motion_position(node, i));
    for (uint8_t i = 0; i < node->board.n_axes; i++)
        to = put_u16(to, (uint16_t)motion_velocity(node, i));
    return to;
}

static uint8_t *put_hello_ack(uint8_t *to, const struct node *node)
{
    to = put_u32(to, node->answer_nonce);
    to = put_u16(to, NODE_FIRMWARE);
    *to++ = node->board.n_axes;
    to = put_u16(to, NODE_LEASE_MAX_MS);
    to = put_u16(to, node->board.watchdog_ms);
    *to++ = node->reset_cause;
    return put_u32(to, node->now_ms);
}

void node_answer(struct node *node)
{
    uint8_t packet[PACKET_MAX], frame[FRAME_MAX], *end = packet;
    uint8_t type = node->answer;
    if (type == 0)
        return;
    node->answer = 0;
    *end++ = PACKET_VERSION;
    *end++ = type;
    end = put_u16(end, ++node->seq);
    end = put_u32(end, node->session);
    end = type == STATUS ? put_status(end, node)
        : type == AXIS   ? put_axis(end, node, node->answer_axis)
                         : put_hello_ack(end, node);
    uint8_t n = packet_seal(packet, (uint8_t)(end - packet), frame);
    if (ring_room(&node->sending) < n)
        return;
    for (uint8_t i = 0; i < n; i++)
        ring_put(&node->sending, frame[i]);
}

uint16_t node_pulse_us(const struct node *node, uint8_t axis)
{
    struct node_axis a;
    flash_copy(&a, &node->board.axes[axis], sizeof a);
    if (!node->outputs.is_powered || a.pulse_lower_us == 0)
        return 0;
    int32_t span_us = (int32_t)a.pulse_upper_us - a.pulse_lower_us; /* negative for a servo that is mounted mirrored */
    int32_t fraction = ((int32_t)motion_position(node, axis) + 32767) / 2; /* 0 to 32767 */
    return (uint16_t)(a.pulse_lower_us + span_us * fraction / 32767);
}

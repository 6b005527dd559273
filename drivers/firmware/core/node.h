/* A device that speaks node/1 (docs/protocol.md), without hardware: fed with bytes and a millisecond clock, it says
   what the pins must be and which bytes to send. Plain C99, no malloc, no floating point, nothing that waits.

   A board's main loop, the order of which matters:

       node_tick(&node, milliseconds);            once whenever the clock has advanced
       if (node_feed(&node, byte)) {              for each byte that has arrived
           set the pins;                          a stop acts before it is answered
           node_answer(&node);
       }
       set the pins; send what `node.sending` holds, without waiting; kick the watchdog only after node_tick
*/
#ifndef NODE_NODE_H
#define NODE_NODE_H

#include <stdbool.h>
#include <stdint.h>

#include "packet.h"
#include "ring.h"

#ifdef __cplusplus
extern "C" {
#endif

#define NODE_FIRMWARE 1
#define NODE_MAX_AXES 7
#define NODE_LEASE_MAX_MS 200
#define NODE_ECHO_MAX_MS 120
#define NODE_HOLD_TO_DISARMED_MS 1000
#define NODE_NOT_MEASURED_C (-128)

enum node_state { NODE_DISARMED, NODE_ARMED, NODE_ACTIVE, NODE_HOLD, NODE_FAULT, NODE_ESTOP };

enum node_fault {
    NODE_FAULT_RANGE = 1 << 0,
    NODE_FAULT_LEASE = 1 << 1,
    NODE_FAULT_LATE = 1 << 2,
    NODE_FAULT_FOLLOWING = 1 << 3,
    NODE_FAULT_CURRENT = 1 << 4,
    NODE_FAULT_TEMPERATURE = 1 << 5,
    NODE_FAULT_SUPPLY = 1 << 6,
    NODE_FAULT_WATCHDOG = 1 << 7,
    NODE_FAULT_CONFIG = 1 << 8,
    NODE_FAULT_STOP_INPUT = 1 << 9 /* not remembered: open now */
};

enum node_reset { NODE_RESET_POWER_ON, NODE_RESET_WATCHDOG, NODE_RESET_BROWN_OUT, NODE_RESET_EXTERNAL };

/* One axis, a constant. Numbers are millionths of the axis's unit, of the unit per second, per second squared.
   So that nothing overflows: upper - lower below 2000 units, max_speed below 1000 units per second. */
struct node_axis {
    char name[8], unit[8]; /* ASCII, zero padded; 7 characters where C++ reads the table */
    int32_t lower, upper, max_speed, max_acceleration;
    int32_t start;                           /* where it is taken to be at power-on */
    uint16_t pulse_lower_us, pulse_upper_us; /* of a hobby servo at `lower` and `upper` */
};

struct node_board {
    const struct node_axis *axes; /* in flash */
    uint8_t n_axes;
    bool is_relay;        /* guards another device's supply: power only while set-points come */
    uint16_t watchdog_ms; /* 0: none */
};

/* What the board sees; set before node_tick. */
struct node_inputs {
    bool is_stop_open; /* the stop button, normally closed: open when pressed, and when its wire is broken */
    uint16_t faults;   /* NODE_FAULT_FOLLOWING to NODE_FAULT_SUPPLY, for as long as the cause is there */
    uint16_t supply_mv; /* 0: not measured */
    int8_t temperature_c;
};

/* What the board must do. */
struct node_outputs {
    bool is_powered; /* the ENABLE pin */
    bool is_moving;  /* powered, and some axis has speed */
    bool is_latched; /* keep over power loss, and give back to node_init */
};

struct node_joint {
    int32_t goal, velocity, position;
    int32_t most_change; /* of the velocity, per millisecond */
    int16_t remainder;   /* of the position, thousandths */
};

struct node {
    struct node_inputs inputs;
    struct node_outputs outputs;
    struct ring sending; /* whole frames only */

    struct node_board board;
    struct node_joint joints[NODE_MAX_AXES];
    uint32_t now_ms, lease_until_ms, hold_since_ms, config_hash, random;
    uint32_t session, challenge, n_ok, n_bad;
    uint16_t faults, lease_ms, last_seq, seq;
    uint8_t state, reset_cause;
    uint8_t answer, answer_axis; /* type of the answer that is due, 0 for none */
    uint32_t answer_nonce;

    uint8_t frame[FRAME_MAX], n_frame;
    bool is_overlong;
};

/* Power-on. `seed` should differ from power-on to power-on: a counter kept in EEPROM, noise. */
void node_init(struct node *node, const struct node_board *board, uint32_t seed, uint8_t reset_cause, bool is_latched);

/* Let time pass: inputs, lease, motion. */
void node_tick(struct node *node, uint32_t now_ms);

/* Take in one byte; true when an answer is due: set the pins first, then call node_answer. */
bool node_feed(struct node *node, uint8_t byte);

/* Put the due answer into `sending`; it is dropped whole when there is no room. */
void node_answer(struct node *node);

/* Width of a hobby servo's pulse now; 0 for none, which is always so without power. */
uint16_t node_pulse_us(const struct node *node, uint8_t axis);

#ifdef __cplusplus
}
#endif

#endif

/* No motor: ENABLE feeds the supply of servos that have no watchdog of their own, for as long as set-points come. */
static const struct node_axis AXES[] IN_FLASH = {
    /* name    unit lower  upper  speed/s  speed/s2  start  no pulses */
    {"relay", "1", 0, 1000000, 1000000, 1000000, 0, 0, 0},
};
#define IS_RELAY true

/* A hand that one hobby servo opens (0) and closes (1). Millionths of a unit; pulses in microseconds. */
static const struct node_axis AXES[] IN_FLASH = {
    /* name   unit lower  upper  speed/s  speed/s2  start  pulse at lower, upper */
    {"hand", "1", 0, 1000000, 2000000, 20000000, 0, 1000, 2000},
};
#define IS_RELAY false

/* The arm of `bci demo`, as the software twin declares it (drivers/twins/node.py): x, y, z and a hand. */
static const struct node_axis AXES[] IN_FLASH = {
    /* name unit lower  upper  speed/s  speed/s2  start  pulse at lower, upper */
    {"x", "m", 0, 400000, 400000, 12000000, 200000, 1000, 2000},
    {"y", "m", 0, 400000, 400000, 12000000, 200000, 1000, 2000},
    {"z", "m", 0, 400000, 400000, 12000000, 200000, 1000, 2000},
    {"hand", "1", 0, 1000000, 2000000, 60000000, 0, 1000, 2000},
};
#define IS_RELAY false

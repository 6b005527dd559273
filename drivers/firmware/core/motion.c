#include "motion.h"

#include "flash.h"

#define FULL_SCALE 32767
#define TWICE 65534u

static struct node_axis axis_of(const struct node *node, uint8_t index)
{
    struct node_axis axis;
    flash_copy(&axis, &node->board.axes[index], sizeof axis);
    return axis;
}

void motion_init(struct node *node)
{
    for (uint8_t i = 0; i < node->board.n_axes; i++) {
        struct node_axis axis = axis_of(node, i);
        node->joints[i].position = axis.start;
        node->joints[i].most_change = axis.max_acceleration < 1000 ? 1 : axis.max_acceleration / 1000;
    }
}

void motion_release(struct node *node)
{
    for (uint8_t i = 0; i < node->board.n_axes; i++)
        node->joints[i].goal = 0;
}

bool motion_aim(struct node *node, uint8_t axis, int16_t raw)
{
    int32_t max_speed = axis_of(node, axis).max_speed;
    bool is_clamped = raw < -FULL_SCALE;
    if (is_clamped)
        raw = -FULL_SCALE;
    /* raw * max_speed / 32767 in 32 bits: quotient and remainder apart */
    node->joints[axis].goal = raw * (max_speed / FULL_SCALE) + raw * (max_speed % FULL_SCALE) / FULL_SCALE;
    return !is_clamped;
}

static void step(struct node_joint *joint, int32_t lower, int32_t upper)
{
    int32_t change = joint->goal - joint->velocity;
    if (change > joint->most_change)
        change = joint->most_change;
    if (change < -joint->most_change)
        change = -joint->most_change;
    joint->velocity += change;
    if (joint->velocity == 0)
        return;
    int32_t thousandths = joint->velocity + joint->remainder;
    int32_t moved = thousandths / 1000;
    joint->remainder = (int16_t)(thousandths % 1000);
    if (moved > upper - joint->position || moved < lower - joint->position) {
        joint->position = moved > 0 ? upper : lower;
        joint->velocity = 0;
        joint->remainder = 0;
    } else {
        joint->position += moved;
    }
}

void motion_step(struct node *node)
{
    for (uint8_t i = 0; i < node->board.n_axes; i++) {
        struct node_joint *joint = &node->joints[i];
        if (joint->goal != 0 || joint->velocity != 0) {
            struct node_axis axis = axis_of(node, i);
            step(joint, axis.lower, axis.upper);
        }
    }
}

bool motion_any(const struct node *node)
{
    for (uint8_t i = 0; i < node->board.n_axes; i++)
        if (node->joints[i].velocity != 0)
            return true;
    return false;
}

int16_t motion_position(const struct node *node, uint8_t axis)
{
    struct node_axis a = axis_of(node, axis);
    uint32_t span = (uint32_t)(a.upper - a.lower), above = (uint32_t)(node->joints[axis].position - a.lower);
    uint32_t ratio = (uint32_t)(((uint64_t)above * TWICE + span / 2) / span);
    return (int16_t)((int32_t)ratio - FULL_SCALE);
}

int16_t motion_velocity(const struct node *node, uint8_t axis)
{
    int32_t velocity = node->joints[axis].velocity, max_speed = axis_of(node, axis).max_speed;
    uint32_t size = (uint32_t)(velocity < 0 ? -velocity : velocity);
    int16_t raw = (int16_t)(((uint64_t)size * FULL_SCALE + (uint32_t)max_speed / 2) / (uint32_t)max_speed);
    return velocity < 0 ? (int16_t)-raw : raw;
}

/* Speed, acceleration and bounds of the axes, in integers: one step is one millisecond. */
#ifndef NODE_MOTION_H
#define NODE_MOTION_H

#include "node.h"

void motion_init(struct node *node);

/* Want no motion; what moves brakes with its greatest acceleration. */
void motion_release(struct node *node);

/* Want a velocity, in 1/32767 of the greatest; false when it had to be clamped. */
bool motion_aim(struct node *node, uint8_t axis, int16_t raw);

void motion_step(struct node *node);

bool motion_any(const struct node *node);

/* As STATUS tells them: -32767 at the lower and 32767 at the upper bound; 1/32767 of the greatest speed. */
int16_t motion_position(const struct node *node, uint8_t axis);
int16_t motion_velocity(const struct node *node, uint8_t axis);

#endif

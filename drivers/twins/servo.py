"""How a position servo moves, for twins: to its goal with limited speed and acceleration, in steps of its encoder."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(slots=True)
class Servo:
    """One motor; `is_stuck` is a hand on it."""

    position: float
    goal: float
    speed: float
    acceleration: float
    velocity: float = 0.0
    is_powered: bool = False
    is_stuck: bool = False

    def step(self, dt_s: float) -> None:
        """Move for `dt_s`."""
        if self.is_stuck or not self.is_powered:
            self.velocity = 0.0
            return
        away = self.goal - self.position
        wanted = math.copysign(min(self.speed, math.sqrt(2.0 * self.acceleration * abs(away))), away)
        most = self.acceleration * dt_s
        self.velocity += max(-most, min(most, wanted - self.velocity))
        if abs(away) <= abs(self.velocity) * dt_s + 0.5:
            self.position, self.velocity = self.goal, 0.0
        else:
            self.position += self.velocity * dt_s

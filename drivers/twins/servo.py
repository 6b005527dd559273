"""How a position servo moves, for twins: to its goal with limited speed and acceleration, in steps of its encoder."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from drivers.dialogue.joint import Joint


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

    @property
    def effort(self) -> float:
        """Share of its greatest force, signed as it pushes: all of it against a hand, a tenth to move."""
        if not self.is_powered or abs(self.goal - self.position) < 1.0:
            return 0.0
        return math.copysign(1.0 if self.is_stuck else 0.1, self.goal - self.position)

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


def hold(servos: Iterable[Servo], is_held: bool) -> None:
    """A hand on each, or none."""
    for servo in servos:
        servo.is_stuck = is_held


def push(servos: Iterable[Servo], joints: Iterable[Joint], share: float) -> None:
    """Move each by a share of its range towards the middle, and let go: one with power goes back to its goal."""
    for servo, joint in zip(servos, joints, strict=True):
        lower, upper = joint.raw_bounds
        servo.position += math.copysign(share * (upper - lower), (lower + upper) / 2 - servo.position)

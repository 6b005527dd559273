"""From a wanted velocity to one that the device may be given. Comparisons are written so that NaN fails them.

The order is fixed: finite, deadband, speed, jerk, acceleration, workspace with braking distance.
"""

from __future__ import annotations

import math

from drivers.base import Axis

DEADBAND = 0.01  # of the speed limit
JERK_TIME_S = 0.06  # from rest to full acceleration
REACTION_S = 0.08  # a position two periods old, a set-point that acts for one more, and one to react
BRAKING_SHARE = 0.5  # of the axis's maximum acceleration is planned with, so that the device can always do it


class AxisLimiter:
    """Limits of one axis, and the velocity that it was last given.

    Parameters
    ----------
    axis : Axis
        As the device declares it.
    speed_fraction, acceleration_fraction : float
        Stricter than the declaration, 0 to 1.
    """

    def __init__(self, axis: Axis, speed_fraction: float, acceleration_fraction: float) -> None:
        self.axis = axis
        self.speed = axis.max_speed * speed_fraction
        self.acceleration = axis.max_acceleration * acceleration_fraction
        self.jerk = self.acceleration / JERK_TIME_S
        self.velocity = 0.0
        self._last_acceleration = 0.0

    def stop(self) -> None:
        """Forget all motion: the next one begins from rest."""
        self.velocity = 0.0
        self._last_acceleration = 0.0

    def limit(self, wanted: float, position: float, dt_s: float) -> float:
        """Limit one set-point.

        Parameters
        ----------
        wanted : float
            Units per second; a value that is not finite stops the axis.
        position : float
            Last reported, units.
        dt_s : float
            Since the last set-point.

        Returns
        -------
        float
            Velocity to give, always finite and within the limits.
        """
        if not (math.isfinite(wanted) and math.isfinite(position)):
            self.stop()
            return 0.0
        if -DEADBAND * self.speed < wanted < DEADBAND * self.speed:
            wanted = 0.0
        wanted = _clamp(wanted, -self.speed, self.speed)
        acceleration = (wanted - self.velocity) / dt_s
        bound = min(self.acceleration, abs(self._last_acceleration) + self.jerk * dt_s)
        acceleration = _clamp(acceleration, -bound, bound)
        velocity = _clamp(self.velocity + acceleration * dt_s, *self._braking_bounds(position))
        self._last_acceleration = acceleration
        self.velocity = velocity
        return velocity

    def _braking_bounds(self, position: float) -> tuple[float, float]:
        """Fastest velocities from which the axis still comes to rest inside its bounds: v²/2a plus reaction."""
        return (
            -self._fastest(position - self.axis.lower),
            self._fastest(self.axis.upper - position),
        )

    def _fastest(self, room: float) -> float:
        if not room > 0.0:
            return 0.0
        a = BRAKING_SHARE * self.axis.max_acceleration
        return min(self.speed, a * (math.sqrt(REACTION_S**2 + 2.0 * room / a) - REACTION_S))


def _clamp(value: float, lower: float, upper: float) -> float:
    if not value >= lower:
        return lower
    if not value <= upper:
        return upper
    return value

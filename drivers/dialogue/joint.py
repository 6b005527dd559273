"""From an axis in its own units to the numbers of a servo, and from wanted velocities to goals it may be given."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from bci.errors import DeviceError
from drivers.base import Axis


@dataclass(frozen=True, slots=True)
class Joint:
    """One axis behind an address on a bus.

    Attributes
    ----------
    axis : Axis
        Name, unit, bounds and limits.
    address : int
        Number of the servo or channel.
    raw_lower, raw_upper : float
        The device's own number at the axis's lower and upper bound; the first may be the larger.
    """

    axis: Axis
    address: int
    raw_lower: float
    raw_upper: float

    @property
    def raw_per_unit(self) -> float:
        """Size of the device's steps, without sign."""
        return abs(self.raw_upper - self.raw_lower) / (self.axis.upper - self.axis.lower)

    @property
    def raw_bounds(self) -> tuple[float, float]:
        """The device's numbers at the bounds, in order."""
        return min(self.raw_lower, self.raw_upper), max(self.raw_lower, self.raw_upper)

    def to_raw(self, position: float) -> int:
        """From units to the device's number, never outside the bounds; NaN is refused.

        Raises
        ------
        ValueError
            When the position is not finite: it must never reach a wire.
        """
        if not math.isfinite(position):
            raise ValueError(f"{self.axis.name} cannot go to {position}")
        fraction = (position - self.axis.lower) / (self.axis.upper - self.axis.lower)
        fraction = clamp(fraction, 0.0, 1.0)
        return round(self.raw_lower + fraction * (self.raw_upper - self.raw_lower))

    def to_position(self, raw: float) -> float:
        """From the device's number to units, also outside the bounds."""
        fraction = (raw - self.raw_lower) / (self.raw_upper - self.raw_lower)
        return self.axis.lower + fraction * (self.axis.upper - self.axis.lower)

    def to_velocity(self, raw: float) -> float:
        """From the device's numbers per second to units per second."""
        return raw * (self.axis.upper - self.axis.lower) / (self.raw_upper - self.raw_lower)

    def to_effort(self, share: float) -> float:
        """From a share of the servo's greatest force, signed in its own direction, to one signed as the axis goes."""
        return share if self.raw_upper > self.raw_lower else -share


class Goals:
    """Integrates velocities to positions that stay within reach.

    A goal never runs further ahead of the reported position than the axis may move in one lease: when the host falls
    silent, a device without a watchdog comes to rest there.

    Parameters
    ----------
    axes : sequence of Axis
        Bounds and speeds.
    lookahead_s : float
        The lease.
    """

    def __init__(self, axes: Sequence[Axis], lookahead_s: float) -> None:
        self.axes = tuple(axes)
        self.lookahead_s = lookahead_s
        self.positions: list[float] = []

    def hold(self, positions: Sequence[float]) -> None:
        """The goal is where the device is."""
        self.positions = [
            clamp(position, axis.lower, axis.upper) for position, axis in zip(positions, self.axes, strict=True)
        ]

    def advance(self, velocities: Sequence[float], present: Sequence[float], dt_s: float) -> list[float]:
        """Move each goal by one period, inside the bounds and the look-ahead; what is not finite moves nothing."""
        for i, axis in enumerate(self.axes):
            if not (math.isfinite(velocities[i]) and math.isfinite(present[i])):
                continue
            reach = axis.max_speed * self.lookahead_s
            goal = self.positions[i] + velocities[i] * dt_s
            goal = clamp(goal, present[i] - reach, present[i] + reach)
            self.positions[i] = clamp(goal, axis.lower, axis.upper)
        return self.positions


def clamp(value: float, lower: float, upper: float) -> float:
    """Written so that NaN gives a bound, never passes."""
    if not value >= lower:
        return lower
    if not value <= upper:
        return upper
    return value


def check_range(joint: Joint, least: int, most: int) -> None:
    """Compare an axis's bounds with the limits that its servo was set to.

    Raises
    ------
    DeviceError
        When the axis would leave them.
    """
    lower, upper = joint.raw_bounds
    if not least <= lower < upper <= most:
        raise DeviceError(
            f"Servo {joint.address} allows {least} to {most}, axis {joint.axis.name} would use {lower:g} to {upper:g}.",
            "Correct raw_lower and raw_upper in the profile, or the servo's limits.",
        )

"""From a wanted velocity to one that the device may be given, whatever comes in.

The order is fixed: finite, type, deadband, speed, acceleration, jerk, workspace with braking distance, force; the
look-ahead and the packing into integers are the driver's. Every comparison is written so that NaN fails it.

Two invariants carry the rest, for the velocity v, the acceleration a and the jerk limit J of one axis: releasing the
acceleration at J from any state ends within the speed limit, v + a²/2J <= speed; and braking at J from any state ends
inside the workspace, distance(v, a) + v·reaction <= room. Each step keeps both, for any length of step: in steps the
acceleration is lowered before it acts, so the sums stay below the integrals that are planned with.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from drivers.base import Axis

DEADBAND = 0.01  # of the speed limit
JERK_TIME_S = 0.06  # from rest to full acceleration
REACTION_S = 0.12  # a position three periods old, a set-point that acts for one more, and two to follow it
LONGEST_STEP_S = 0.04
HALVINGS = 12  # the nearest safe acceleration, to 1/4096 of what may change in a step


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one axis may do.

    Attributes
    ----------
    lower, upper : float
        Workspace, units.
    speed, acceleration, jerk : float
        Units per second, per second squared, per second cubed.
    force : float
        Share of the axis's greatest effort beyond which it may not push on.
    """

    lower: float
    upper: float
    speed: float
    acceleration: float
    jerk: float
    force: float = 1.0


@dataclass(frozen=True, slots=True)
class Motion:
    """Velocity and acceleration that an axis was last given."""

    velocity: float = 0.0
    acceleration: float = 0.0


REST = Motion()


def bounds_of(axis: Axis, speed_fraction: float, acceleration_fraction: float, force_fraction: float = 1.0) -> Bounds:
    """Bounds of an axis, stricter than its declaration by fractions of 0 to 1; a whole force is no limit of it."""
    force = force_fraction if force_fraction < 1.0 else math.inf
    speed, acceleration = axis.max_speed * speed_fraction, axis.max_acceleration * acceleration_fraction
    return Bounds(axis.lower, axis.upper, speed, acceleration, acceleration / JERK_TIME_S, force)


def limit(bounds: Bounds, last: Motion, wanted: object, position: float, dt_s: float, effort: float = 0.0) -> Motion:
    """Limit one set-point.

    Parameters
    ----------
    bounds : Bounds
        Of the axis.
    last : Motion
        What it was given before.
    wanted : float
        Units per second; anything but a finite float is rest.
    position : float
        Last reported, units; when it is not finite the axis comes to rest.
    dt_s : float
        Since the last set-point; longer ones count as 40 ms, and without time nothing changes.
    effort : float
        Last reported share of the greatest force, signed; 0 where it is not measured.

    Returns
    -------
    Motion
        Finite, and within all bounds.
    """
    if not dt_s > 0.0:
        return last
    dt_s = dt_s if dt_s < LONGEST_STEP_S else LONGEST_STEP_S
    goal = _goal(bounds, wanted)
    if not math.isfinite(position):
        goal = 0.0
    if not -bounds.force < effort < bounds.force and not goal * effort < 0.0:
        goal = 0.0  # not further into what already resists
    acceleration = _toward(bounds, last, goal, dt_s)
    if math.isfinite(position):
        acceleration = _inside(bounds, last, acceleration, position, dt_s)
    return Motion(last.velocity + acceleration * dt_s, acceleration)


def _goal(bounds: Bounds, wanted: object) -> float:
    if not isinstance(wanted, float) or not math.isfinite(wanted):
        return 0.0
    if -DEADBAND * bounds.speed < wanted < DEADBAND * bounds.speed:
        return 0.0
    return clamp(wanted, -bounds.speed, bounds.speed)


def _toward(bounds: Bounds, last: Motion, goal: float, dt_s: float) -> float:
    """Acceleration that leads to a velocity as fast as the jerk allows, and does not lead beyond it."""
    missing, jerk = goal - last.velocity, bounds.jerk
    wanted = math.copysign(jerk * (math.sqrt(dt_s**2 + 2.0 * abs(missing) / jerk) - dt_s), missing)
    wanted = clamp(wanted, last.acceleration - jerk * dt_s, last.acceleration + jerk * dt_s)
    return clamp(wanted, -bounds.acceleration, bounds.acceleration)


def _inside(bounds: Bounds, last: Motion, wanted: float, position: float, dt_s: float) -> float:
    """Lower an acceleration toward a wall as far as is needed to come to rest before it."""
    velocity = last.velocity + wanted * dt_s
    side = 1.0 if velocity > 0.0 else -1.0
    room = bounds.upper - position if side > 0.0 else position - bounds.lower
    if _fits(bounds, side * velocity, side * wanted, room):
        return wanted
    brake = _toward(bounds, last, 0.0, dt_s)
    if not side * brake < side * wanted:
        return wanted
    safe, unsafe = brake, wanted
    for _ in range(HALVINGS):
        middle = 0.5 * (safe + unsafe)
        if _fits(bounds, side * (last.velocity + middle * dt_s), side * middle, room):
            safe = middle
        else:
            unsafe = middle
    return safe


def _fits(bounds: Bounds, velocity: float, acceleration: float, room: float) -> bool:
    if velocity <= 0.0 and acceleration <= 0.0:
        return True
    return velocity * REACTION_S + braking_distance(velocity, acceleration, bounds.acceleration, bounds.jerk) <= room


def braking_distance(velocity: float, acceleration: float, most: float, jerk: float) -> float:
    """How far an axis still goes until it rests without acceleration, braked within acceleration and jerk.

    Parameters
    ----------
    velocity, acceleration : float
        Both positive toward the wall.
    most, jerk : float
        Limits.
    """
    ramp_s = acceleration / jerk
    if acceleration >= 0.0:
        fastest = velocity + 0.5 * acceleration * ramp_s
        return velocity * ramp_s + acceleration * ramp_s**2 / 3.0 + _s_curve(fastest, most, jerk)
    begun = velocity + 0.5 * acceleration * ramp_s  # where this braking would have begun; ramp_s is below 0
    rest = velocity - 0.5 * acceleration * ramp_s  # what is left when the brake is released from now on
    if rest <= 0.0:
        return -velocity * ramp_s
    return _s_curve(begun, most, jerk) + begun * ramp_s - jerk * ramp_s**3 / 6.0


def _s_curve(velocity: float, most: float, jerk: float) -> float:
    """Distance from a steady velocity to rest: the time of a symmetric S-curve at half the velocity."""
    if velocity <= 0.0:
        return 0.0
    if velocity >= most**2 / jerk:
        return 0.5 * velocity * (velocity / most + most / jerk)
    return velocity * math.sqrt(velocity / jerk)


def clamp(value: float, lower: float, upper: float) -> float:
    """The nearest value between two bounds; NaN gives the lower one."""
    if not value >= lower:
        return lower
    if not value <= upper:
        return upper
    return value

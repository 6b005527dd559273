"""What a device declares about itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Axis:
    """One degree of freedom.

    Attributes
    ----------
    name : str
        At most 8 ASCII characters, for example ``x`` or ``hand``.
    unit : str
        At most 8 ASCII characters, for example ``m``, ``rad`` or ``1``.
    lower, upper : float
        Workspace bounds, units.
    max_speed : float
        Units per second.
    max_acceleration : float
        Units per second squared.
    """

    name: str
    unit: str
    lower: float
    upper: float
    max_speed: float
    max_acceleration: float


@dataclass(frozen=True, slots=True)
class Declaration:
    """What a driver can and cannot promise.

    Attributes
    ----------
    name : str
        As in the profile's ``device.driver``.
    baud : int
        Usual speed of the port.
    safe_state : {"hold", "limp", "silent"}
        What the device does when nobody speaks to it.
    has_watchdog : bool
        Whether the device stops by itself when set-points cease.
    lease_max_ms : int
        The longest time that it may go on after the last set-point.
    """

    name: str
    baud: int
    safe_state: Literal["hold", "limp", "silent"]
    has_watchdog: bool
    lease_max_ms: int

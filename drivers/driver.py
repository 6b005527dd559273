"""What a driver is made of, and how one is built from the device section of a profile.

A package adds a driver by an entry point in the group ``bci.devices`` that names a `Driver`.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from bci.errors import DeviceError
from drivers.base import Axis, Declaration
from drivers.dialogue import Dialogue, Feedback
from drivers.joint import Joint

AXIS_FIELDS = ("lower", "upper", "max_speed", "max_acceleration", "raw_lower", "raw_upper")


class Speaker(Protocol):
    """What is said to one device, as dialogues; it has no port and no clock."""

    joints: tuple[Joint, ...]

    def greet(self) -> Dialogue[str]:
        """Who is there, in words; nothing is changed, nothing moves."""
        ...

    def arm(self, lease_s: float) -> Dialogue[str]:
        """Check, set limits and read them back, prove the watchdog; then power, standing still. Words on what holds."""
        ...

    def drive(self, positions: Sequence[float]) -> Dialogue[Feedback]:
        """One period: goals out, feedback in."""
        ...

    def watch(self) -> Dialogue[Feedback]:
        """Feedback only."""
        ...

    def stop(self, positions: Sequence[float]) -> bytes:
        """Bytes that stop at once; `positions` is where the device was last seen."""
        ...

    def disarm(self, positions: Sequence[float]) -> bytes:
        """Bytes that lead to the safe state."""
        ...


@dataclass(frozen=True, slots=True)
class Codec:
    """What the conformance suite checks of a driver's bytes.

    Attributes
    ----------
    examples : tuple
        Messages of every kind.
    encode : callable
        From a message to bytes.
    decode : callable
        From bytes that may begin anywhere to the messages in them; never raises.
    n_flips : int
        Any so many flipped bits in one frame are always noticed: 0 when there is no checksum on this way.
    """

    examples: tuple[Any, ...]
    encode: Callable[[Any], bytes]
    decode: Callable[[bytes], Sequence[Any]]
    n_flips: int


@dataclass(frozen=True, slots=True)
class Driver:
    """Everything about one kind of device.

    Attributes
    ----------
    declaration : Declaration
        What it can and cannot promise.
    make : callable
        From joints and the profile's options to a `Speaker`; raises DeviceError on options that it does not like.
    twin : str
        Module that is a twin in software, run as ``python -m``; empty when there is none.
    codecs : tuple of Codec
        Both ways of the wire.
    example : mapping
        A device section with axes and options, for tests and for the twin.
    """

    declaration: Declaration
    make: Callable[..., Speaker]
    twin: str
    codecs: tuple[Codec, ...]
    example: Mapping[str, Any]


def build(driver: Driver, section: Mapping[str, Any]) -> Speaker:
    """Make the speaker of a device from its section of the profile.

    Raises
    ------
    DeviceError
        When axes are missing or contradict themselves, or an option is unknown.
    """
    options = dict(section.get("options") or {})
    known = [name for name in inspect.signature(driver.make).parameters if name != "joints"]
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise DeviceError(
            f"Driver '{driver.declaration.name}' has no option {', '.join(unknown)}; it has {', '.join(known)}.",
            "Correct device.options in the profile.",
        )
    return driver.make(read_joints(section.get("axes") or ()), **options)


def read_joints(entries: Sequence[Mapping[str, Any]]) -> tuple[Joint, ...]:
    """Read the axes of a device section.

    Raises
    ------
    DeviceError
        When there is none, one contradicts itself, or two share a name or an address.
    """
    joints = tuple(map(_joint, entries))
    if not joints:
        raise DeviceError("The profile names no axis of the device.", "Add one table [[device.axes]] for each.")
    for values in ([joint.axis.name for joint in joints], [joint.address for joint in joints]):
        if len(set(values)) < len(values):
            raise DeviceError(f"Two axes share one of {values}.", "Correct device.axes in the profile.")
    return joints


def _joint(entry: Mapping[str, Any]) -> Joint:
    name = str(entry.get("name", ""))
    try:
        values = {field: float(entry[field]) for field in AXIS_FIELDS}
        address = int(entry["address"])
    except (KeyError, TypeError, ValueError) as error:
        raise DeviceError(f"Axis '{name}' lacks or misstates {error}.", "Correct device.axes in the profile.") from None
    is_sane = (
        0 < len(name) <= 8
        and all(map(math.isfinite, values.values()))
        and values["lower"] < values["upper"]
        and values["max_speed"] > 0.0
        and values["max_acceleration"] > 0.0
        and values["raw_lower"] != values["raw_upper"]
        and address >= 0
    )
    if not is_sane:
        raise DeviceError(
            f"Axis '{name}' contradicts itself: it needs a name of 1 to 8 letters, lower below upper, speed and "
            "acceleration above 0, and raw_lower other than raw_upper.",
            "Correct device.axes in the profile.",
        )
    axis = Axis(
        name, str(entry.get("unit", "")), values["lower"], values["upper"], values["max_speed"],
        values["max_acceleration"],
    )  # fmt: skip
    return Joint(axis, address, values["raw_lower"], values["raw_upper"])


def axis_entry(
    name: str,
    unit: str,
    bounds: tuple[float, float],
    max_speed: float,
    max_acceleration: float,
    address: int,
    raw: tuple[float, float],
) -> dict[str, Any]:
    """One table [[device.axes]], for a driver's example."""
    numbers = (*bounds, max_speed, max_acceleration, *raw)
    return {"name": name, "unit": unit, "address": address, **dict(zip(AXIS_FIELDS, numbers, strict=True))}


def check_place(joints: Sequence[Joint], feedback: Feedback) -> None:
    """What must be true of a device's first report before it gets power.

    Raises
    ------
    DeviceError
        When it tells of a fault, or an axis stands outside its bounds by more than 2 % of them.
    """
    if feedback.faults:
        raise DeviceError("; ".join(feedback.faults) + ".", "Cure the cause first.")
    for joint, position in zip(joints, feedback.positions, strict=True):
        axis, margin = joint.axis, 0.02 * (joint.axis.upper - joint.axis.lower)
        if not axis.lower - margin <= position <= axis.upper + margin:
            raise DeviceError(
                f"Axis {axis.name} stands at {position:.3g} {axis.unit}, outside its bounds.", "Move it inside by hand."
            )
